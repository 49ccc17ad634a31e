// Owns: the rule which month an entry may be sealed into, and the monthly tables, which are made ahead of time and
// outside of sealing (decision 0037).
// Must never: seal an entry into a month that may have left the database, or make a table in a transaction that entries wait for.
import { CofferdamError } from '../../domain/errors.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Database, Transaction } from '../../postgres/database.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import { makeMonth, missingMonths, missingMonthsAhead } from './month-queries.ts';

/**
 * The greatest age in days of an entry when it is sealed; an older entry is set aside. A month leaves the database at
 * the earliest when it has been over for a whole month, and the shortest month has 28 days. An entry younger than 27
 * days therefore belongs to a month that is still there, with one day to spare. An honest entry waits a moment for its
 * seal; one that waited for weeks was written by hand, or by a gateway that stood still for weeks, and an operator must
 * look at it.
 */
export const oldestDays = 27;
/**
 * How many days ahead of the database's clock the time of an entry may be. Entries that were written while the clock
 * was ahead, before it was corrected, are sealed as they were written. Entries further ahead are set aside.
 */
export const aheadDays = 60;
/** The number of months after the current one whose tables exist at any time. */
export const monthsAhead = 3;
const dayMicros = 86_400_000_000;

const told = (micros: number): string => new Date(micros / 1000).toISOString();

/**
 * An entry whose time is outside of the accepted range. It counts as an entry that cannot be read, so the sealer sets
 * it aside with an alarm.
 */
export class OddTime extends RangeError {}

/**
 * Throws `OddTime` for an entry whose time is more than `oldestDays` before or `aheadDays` after `now`. All times are
 * microseconds since 1970, by the database's clock.
 */
export function requireUsualTimes(times: readonly number[], now: number): void {
  for (const at of times) {
    if (at < now - oldestDays * dayMicros)
      throw new OddTime(`its time, ${told(at)}, is more than ${oldestDays} days before now: its month may be in an archive`);
    if (at > now + aheadDays * dayMicros) throw new OddTime(`its time, ${told(at)}, is more than ${aheadDays} days after now`);
  }
}

/** The error that the month of an entry (such as `2026-11`) has no table. */
export class MonthMissing extends CofferdamError {
  readonly month: string;

  constructor(month: string) {
    super('unavailable', `the record has no table for the entries of ${month}`);
    this.month = month;
  }
}

/**
 * Throws `OddTime` for an entry with a time outside of the range, and `MonthMissing` when the month of an entry has no
 * table. `times` and `now` are microseconds since 1970.
 */
export async function requireMonths(tx: Transaction, times: readonly number[], now: number): Promise<void> {
  requireUsualTimes(times, now);
  const onePerMonth = new Map(times.map((at) => [told(at).slice(0, 7), at]));
  if (onePerMonth.size === 0) return;
  const [month] = await missingMonths(tx, [...onePerMonth.values()]);
  if (month !== undefined) throw new MonthMissing(month);
}

/**
 * Raises an alarm and makes the table that a sealing round did not find, each in a transaction of its own. The regular
 * pass should have made the table months ago, so the alarm is raised whether or not it can be made now. Throws the
 * error that prevented it; the next round tries again.
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

/**
 * Makes the tables of the coming months, each in a transaction of its own. Throws when one could not be made in time;
 * the next pass continues with that one.
 */
export async function makeMonthsAhead(database: Database): Promise<void> {
  for (const month of await database.withSystem((tx) => missingMonthsAhead(tx, monthsAhead)))
    await database.withSystem((tx) => makeMonth(tx, month));
}
