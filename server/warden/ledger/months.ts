// Owns: which month an entry may be sealed into, and the tables of months, which are made ahead of time and outside of the seal.
// Must never: seal an entry into a month that may have left the database, or make a table while entries wait for the transaction that does it.
import { CofferdamError } from '../../domain/errors.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Database, Transaction } from '../../postgres/database.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import { makeMonth, missingMonths, missingMonthsAhead } from './month-queries.ts';

/**
 * An entry that is older than this when it is sealed is set aside. A month leaves the database when it has been over for a month at the least, and the
 * shortest month has 28 days: what is younger than 27 days stands in a month that is still there, by a day to spare. An entry waits for its seal for a
 * moment; one that waited for weeks was written by hand, or by a gateway that stood still for as long, and somebody looks at it.
 */
export const oldestDays = 27;
/** So far ahead a clock may have been that was set right since: its entries are sealed as they were written. Beyond that they are set aside. */
export const aheadDays = 60;
/** Tables of so many months behind the current one exist at any time. */
export const monthsAhead = 3;
const dayMicros = 86_400_000_000;

const told = (micros: number): string => new Date(micros / 1000).toISOString();

/** An entry says a time at which it was not written. Counts as an entry that cannot be read: the sealer sets it aside with an alarm. */
export class OddTime extends RangeError {}

/** Throws `OddTime` for an entry whose time is not about now; all in microseconds since 1970, by the database's clock. */
export function requireUsualTimes(times: readonly number[], now: number): void {
  for (const at of times) {
    if (at < now - oldestDays * dayMicros)
      throw new OddTime(`its time, ${told(at)}, is more than ${oldestDays} days before now: its month may be in an archive`);
    if (at > now + aheadDays * dayMicros) throw new OddTime(`its time, ${told(at)}, is more than ${aheadDays} days after now`);
  }
}

/** There is no table for this month, `2026-11`. */
export class MonthMissing extends CofferdamError {
  readonly month: string;

  constructor(month: string) {
    super('unavailable', `the record has no table for the entries of ${month}`);
    this.month = month;
  }
}

/** Throws what an entry of a wrong time is, or `MonthMissing`. `times` and `now`: microseconds since 1970. */
export async function requireMonths(tx: Transaction, times: readonly number[], now: number): Promise<void> {
  requireUsualTimes(times, now);
  const onePerMonth = new Map(times.map((at) => [told(at).slice(0, 7), at]));
  if (onePerMonth.size === 0) return;
  const [month] = await missingMonths(tx, [...onePerMonth.values()]);
  if (month !== undefined) throw new MonthMissing(month);
}

/**
 * The table that a round of sealing missed, in a transaction of its own. The regular pass should have made it long ago: that is an alarm, whether it can be
 * made now or not. Throws what stood in the way; the next round tries again.
 */
export async function makeMissing(database: Database, log: Logger, { month, message }: MonthMissing): Promise<void> {
  log.error({ month }, `${message}; it is made now`);
  await database.withSystem((tx) =>
    insertAlert(tx, {
      kind: 'ledger.month-missing',
      severity: 'critical',
      subject: 'ledger',
      text: `${message}: it should have been made months ago, and nothing is sealed until it is`,
      facts: { month },
      nextCommand: 'cofferctl ledger status',
    }),
  );
  await database.withSystem((tx) => makeMonth(tx, month));
}

/** Makes the tables of the months to come, each in a transaction of its own. Throws when one of them could not be made in time: the next pass goes on there. */
export async function makeMonthsAhead(database: Database): Promise<void> {
  for (const month of await database.withSystem((tx) => missingMonthsAhead(tx, monthsAhead)))
    await database.withSystem((tx) => makeMonth(tx, month));
}
