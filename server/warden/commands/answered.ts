// Owns: what happens to commands beside being executed: those that are too old are answered together, and answered ones
// are deleted after a while.
import type { Database } from '../../postgres/database.ts';
import { record } from '../ledger/entries/record.ts';
import { deleteAnswered, failExpired } from './answered-queries.ts';

/** The largest number of commands of one transaction. */
const expiredMax = 5000;
const deletedMax = 500;
/** The largest number of transactions of one pass. What is left is done by the next pass. */
const batchesMax = 40;

/** The largest number of commands, and of operators, that an entry names. It states the number of all commands. */
const namedMax = 200;

/**
 * Answers expired commands in one transaction, with one entry for all of them, so that a new command does not wait
 * behind many old ones. Returns the ids of the answered commands.
 */
export async function answerExpired(
  database: Database,
  text: string,
  textOf: ReadonlyMap<string, string>,
): Promise<readonly string[]> {
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

/**
 * Deletes answered commands that are no longer kept, in batches. Each call sorts all answered commands, of which there
 * are at most about 30,000.
 */
export async function forgetAnswered(database: Database): Promise<void> {
  for (let batch = 0; batch < batchesMax; batch += 1)
    if ((await database.withSystem((tx) => deleteAnswered(tx, deletedMax))) < deletedMax) return;
}
