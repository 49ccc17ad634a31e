// Owns: the operators' commands about the record itself: releasing a freeze, and beginning an epoch with a head that names all trees.
import { CofferdamError } from '../../domain/errors.ts';
import type { Params, Result } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operator-admin.ts';
import { record } from '../ledger/ledger-queries.ts';
import { askEpoch, lockFreeze, releaseFreeze } from '../ledger/seal-queries.ts';
import type { Doing } from './use-cases.ts';

export const ledgerUseCases = {
  'ledger.begin-epoch': async (_params: Params<OperatorToAdmin, 'ledger.begin-epoch'>, { tx }: Doing) => ({
    askedAt: (await askEpoch(tx)).toISOString(),
  }),

  /** The signed parameters name what is given up, so they release exactly this freeze and no other. */
  'ledger.release': async (
    { freeze: id, why, witnessedSize, witnessedRoot, heads, era }: Params<OperatorToAdmin, 'ledger.release'>,
    { tx, operator, change }: Doing,
  ): Promise<Result<OperatorToAdmin, 'ledger.release'>> => {
    const freeze = await lockFreeze(tx, id);
    if (freeze === undefined) throw new CofferdamError('not-found', 'there is no such freeze: see `cofferctl ledger status`');
    if (freeze.isReleased) throw new CofferdamError('conflict', 'this freeze was released before');
    const { facts } = freeze;
    const names = { witnessedSize, witnessedRoot, heads, era };
    if (freeze.why !== why || Object.entries(names).some(([name, value]) => facts[name] !== value))
      throw new CofferdamError(
        'conflict',
        'this names another state of the record than the one that is frozen: see `cofferctl ledger status`',
      );
    if (change === null) return { era: era + 1 };
    const next = await releaseFreeze(tx, id, change);
    await record(tx, { kind: 'ledger.released', observer: 'warden', sensitive: { freeze: id, era: next, facts, by: operator } });
    return { era: next };
  },
};
