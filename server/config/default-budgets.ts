// Owns: how much every scope may use from its creation on, and why.
// Must never: be unlimited. A scope whose row is missing may use nothing.
import type { Caps, ScopeBudget } from '../domain/budgets/words.ts';

const GiB = 1024 ** 3;
const MiB = 1024 ** 2;
const caps = (hour: number, day: number, week: number): Caps => ({ hour, day, week });
const scope = (bytes: Caps, files: Caps, names: Caps, rate: number, sessions: number): ScopeBudget => ({
  out: { bytes, files, rate },
  in: { bytes, files, rate },
  list: { names },
  sessions,
});
const times = (given: Caps, factor: number): Caps => caps(given.hour * factor, given.day * factor, given.week * factor);

/**
 * A busy bank moves a few GiB and a few thousand files in a day. The platform that was robbed lost 400 GB in a week,
 * about 2.4 GB in an hour.
 */
const bytes = caps(4 * GiB, 20 * GiB, 60 * GiB);
const files = caps(5000, 20_000, 60_000);
/** A client that lists a folder of 10,000 names every ten minutes stays below these caps. */
const names = caps(100_000, 1_000_000, 4_000_000);
const rate = 512 * MiB;

export type BudgetDefaults = {
  readonly credential: ScopeBudget;
  /**
   * Our own systems serve many customers with one credential. The budget of account and customer limits each customer's
   * data in addition.
   */
  readonly internalCredential: ScopeBudget;
  readonly account: ScopeBudget;
  readonly customer: ScopeBudget;
  readonly plane: ScopeBudget;
  readonly gateway: ScopeBudget;
  /** A plane and the gateway slow down beyond their cap, and refuse at this percentage of it. */
  readonly ceilingPercent: number;
};

export const defaultBudgets: BudgetDefaults = {
  credential: scope(bytes, files, names, rate, 16),
  internalCredential: scope(times(bytes, 10), times(files, 10), times(names, 10), rate, 32),
  account: scope(bytes, files, names, rate, 16),
  // Enough for two busy accounts at once. When several credentials could use it, one of them gets at most half of it
  // (decision 11).
  customer: scope(times(bytes, 2), times(files, 2), times(names, 2), 2 * rate, 64),
  // Enough for ten busy customers at once. The wide scopes are an alert first: they slow down from the cap on, and
  // refuse at twice the cap.
  plane: scope(times(bytes, 20), times(files, 20), times(names, 20), 8 * rate, 2000),
  gateway: scope(times(bytes, 30), times(files, 30), times(names, 30), 16 * rate, 4000),
  ceilingPercent: 200,
};
