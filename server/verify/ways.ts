// Owns: saying by which ways the questions about an incident do not find what is in the months of the database
// (decision 0051).
// Must never: hold a transaction open from one way to the next: what is sealed never changes.
import type { Database } from '../postgres/database.ts';
import { countBy, countByDays, countWhole, numberNow, ways } from './ways-queries.ts';

const lost = (missed: number, way: string): string =>
  `${missed} entries are in the database and are not found by ${way}: questions about an incident pass them over`;

/**
 * Returns a sentence for each way by which something is not found that is in the months of the database, or by which
 * something else is found. What is sealed after it began is not counted.
 */
export async function waysAstray(database: Pick<Database, 'withSystem'>): Promise<readonly string[]> {
  const number = await database.withSystem(numberNow);
  const whole = await database.withSystem((tx) => countWhole(tx, number));
  const astray: string[] = [];
  for (const [i, [way, condition]] of ways.entries()) {
    const missed = (whole.counts[i] ?? 0) - (await database.withSystem((tx) => countBy(tx, condition, number)));
    if (missed !== 0) astray.push(lost(missed, way));
  }
  const missed = whole.total - (await database.withSystem((tx) => countByDays(tx, number)));
  if (missed !== 0) astray.push(lost(missed, 'their time'));
  if (whole.otherwise > 0)
    astray.push(`${whole.otherwise} entries have another hash of a file beside them than the one that is sealed`);
  return astray;
}
