// Owns: the operators' commands about the record itself: releasing a freeze, and beginning an epoch with a head that
// names all trees.
import { CofferdamError } from '../../domain/errors.ts';
import type { Params, Result } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import type { Doing } from '../commands/doing.ts';
import { record } from './entries/record.ts';
import type { LedgerGuard } from './guard.ts';
import { ends } from './releases.ts';
import { askEpoch, lockFreeze, lockState, releaseFreeze } from './seal-queries.ts';

export const ledgerUseCases = {
  'ledger.begin-epoch': async (_params: Params<OperatorToAdmin, 'ledger.begin-epoch'>, { tx }: Doing) => ({
    askedAt: (await askEpoch(tx)).toISOString(),
  }),
};

export const releaseUseCase = (guard: Pick<LedgerGuard, 'found'>) => ({
  /** The signed parameters name what is given up, so they release exactly this freeze and no other. */
  'ledger.release': async (
    { reason: _reason, ...names }: Params<OperatorToAdmin, 'ledger.release'>,
    { tx, operator, change }: Doing,
  ): Promise<Result<OperatorToAdmin, 'ledger.release'>> => {
    const { freeze: id, why, era } = names;
    const { found } = guard;
    // What this warden found counts, whatever the row says.
    if (found?.id === id && !ends(names, found))
      throw new CofferdamError(
        'conflict',
        `this names another freeze than the one that the warden found: ${found.text}`,
      );
    // A freeze is found, kept and released under the lock of the state, one at a time.
    await lockState(tx);
    const freeze = await lockFreeze(tx, id);
    if (freeze === undefined)
      throw new CofferdamError('not-found', 'there is no such freeze: see `cofferctl ledger status`');
    if (freeze.isReleased) throw new CofferdamError('conflict', 'this freeze was released before');
    const { facts } = freeze;
    const { freeze: _freeze, why: _why, ...given } = names;
    if (freeze.why !== why || Object.entries(given).some(([name, value]) => facts[name] !== value))
      throw new CofferdamError(
        'conflict',
        'this names another state of the record than the one that is frozen: see `cofferctl ledger status`',
      );
    if (change === null) return { era: era + 1 };
    const next = await releaseFreeze(tx, id, era, change);
    await record(tx, {
      kind: 'ledger.released',
      observer: 'warden',
      sensitive: { freeze: id, era: next, facts, by: operator },
    });
    return { era: next };
  },
});
