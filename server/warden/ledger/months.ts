// Owns: the monthly tables of the record, which are made ahead of time and outside of sealing (decision 0037). Into
// which month an entry may be sealed is decided by `domain/ledger/sealable.ts`.
// Must never: make a table in a transaction that entries wait for.
import { CofferdamError } from '../../domain/errors.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Database, Transaction } from '../../postgres/database.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import { makeMonth, missingMonths, missingMonthsAhead } from './month-queries.ts';

/** The number of months after the current one whose tables exist at any time. */
export const monthsAhead = 3;

const told = (micros: number): string => new Date(micros / 1000).toISOString();

/** The error that the month of an entry (such as `2026-11`) has no table. */
export class MonthMissing extends CofferdamError {
  readonly month: string;

  constructor(month: string) {
    super('unavailable', `the record has no table for the entries of ${month}`);
    this.month = month;
  }
}

/** Throws `MonthMissing` when the month of an entry has no table. `times` are microseconds since 1970. */
export async function requireMonths(tx: Transaction, times: readonly number[]): Promise<void> {
  const onePerMonth = new Map(times.map((at) => [told(at).slice(0, 7), at]));
  if (onePerMonth.size === 0) return;
  const [month] = await missingMonths(tx, [...onePerMonth.values()]);
  if (month !== undefined) throw new MonthMissing(month);
}

/**
 * Raises an alert and makes the table that a sealing round did not find, each in a transaction of its own. The regular
 * pass should have made the table months ago, so the alert is raised whether or not it can be made now. Throws the
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
