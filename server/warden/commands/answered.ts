// Owns: what becomes of commands beside being done: those that are too old are answered together, and answered ones are not kept for ever.
import type { Database } from '../../postgres/database.ts';
import { record } from '../ledger/ledger-queries.ts';
import { deleteAnswered, failExpired } from './answered-queries.ts';

/** Of one transaction. */
const expiredMax = 5000;
const deletedMax = 500;
/** Of one pass: what is left has its turn with the next one. */
const batchesMax = 40;
/** Each pass orders all that are answered, 30,000 at most. */
export const answeredEveryMs = 30_000;

/** How many an entry names; it says the number of all. */
const namedMax = 200;

/** The answers of one transaction, and one entry for all of them: however many wait, what is asked now is not behind them. Returns their ids. */
export async function answerExpired(database: Database, text: string, textOf: ReadonlyMap<string, string>): Promise<readonly string[]> {
  return database.withSystem(async (tx) => {
    const expired = await failExpired(tx, expiredMax, text, textOf);
    const ids = expired.map((one) => one.id);
    if (ids.length > 0)
      await record(tx, {
        kind: 'commands.expired',
        observer: 'warden',
        sensitive: {
          count: ids.length,
          commands: ids.slice(0, namedMax),
          operators: [...new Set(expired.map((one) => one.operator))].slice(0, namedMax),
        },
      });
    return ids;
  });
}

/** Deletes what is kept no longer, some at a time. */
export async function forgetAnswered(database: Database): Promise<void> {
  for (let batch = 0; batch < batchesMax; batch += 1)
    if ((await database.withSystem((tx) => deleteAnswered(tx, deletedMax))) < deletedMax) return;
}
