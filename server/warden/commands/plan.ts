// Owns: what a command would do, found by doing it and undoing it.
// Must never: leave an effect behind.
import type { Params, Result } from '../../rpc/operation.ts';
import { type OperatorToAdmin, operatorToAdmin } from '../../rpc/operators/table.ts';
import { watch } from '../ledger/entries/record.ts';
import { relyOnFound } from '../seals/declared.ts';
import { examineDeclared } from '../seals/seals.ts';
import { namesOf } from './command-queries.ts';
import type { Doing, UseCases } from './doing.ts';

const effectsMax = 200;
/** Thrown to undo what a plan did, so that it is never committed. */
class Undone extends Error {}

/**
 * Executes the operation (`run`) inside a savepoint and undoes it. Errors are found as in the real execution, and the
 * effects are read from the entries that it wrote.
 */
export async function plan(
  wanted: Params<OperatorToAdmin, 'plan'>,
  doing: Doing,
  run: (doing: Doing) => Promise<unknown>,
): Promise<Result<OperatorToAdmin, 'plan'>> {
  const { tx } = doing;
  const wider: string[] = [];
  let sessionsEnded = 0;
  const entries = watch(tx);
  try {
    await doing.savepoint(async () => {
      await run({
        ...doing,
        widen: (what) => {
          if (what.length > 0) relyOnFound(tx);
          wider.push(...what);
        },
        endSessions: async (filter, reason, how) => {
          const ended = await doing.endSessions(filter, reason, { ...how, isPlan: true });
          sessionsEnded += ended;
          return ended;
        },
      });
      await examineDeclared(tx, doing.warden.keys);
      throw new Undone();
    });
  } catch (error) {
    if (!(error instanceof Undone)) throw error;
  }
  const seen = entries.slice(0, effectsMax);
  const ids = (pick: (entry: (typeof seen)[number]) => string | null | undefined): string[] =>
    seen.flatMap((entry) => pick(entry) ?? []);
  const names = await namesOf(
    tx,
    ids((entry) => entry.customer),
    ids((entry) => entry.account),
  );
  const row = operatorToAdmin[wanted.operation as keyof UseCases];
  return {
    needsSecond: row.second === 'always' || wider.length > 0,
    wider: [...new Set(wider)],
    sessionsEnded,
    more: entries.length > seen.length,
    effects: seen.map((entry) => ({
      kind: entry.kind,
      customer: names.get(entry.customer ?? '') ?? null,
      account: names.get(entry.account ?? '') ?? null,
      text: JSON.stringify({ ...entry.public, ...entry.sensitive }),
    })),
  };
}
