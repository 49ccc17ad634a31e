// Owns: what every scope may use from the moment it exists, and why it is so much.
// Must never: be infinite. A scope whose row is missing may use nothing.
import type { Caps, ScopeBudget } from '../domain/budgets.ts';

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

/** A busy bank moves some GiB and some thousand files a day; the robbed platform lost 400 GB in a week, about 2.4 GB an hour. */
const bytes = caps(4 * GiB, 20 * GiB, 60 * GiB);
const files = caps(5000, 20_000, 60_000);
/** A client that looks into a folder of 10,000 names every ten minutes stays below. */
const names = caps(100_000, 1_000_000, 4_000_000);
const rate = 512 * MiB;

export type BudgetDefaults = {
  readonly credential: ScopeBudget;
  /** Our own systems serve many customers with one credential; each customer's data is bounded by account × customer as well. */
  readonly internalCredential: ScopeBudget;
  readonly account: ScopeBudget;
  readonly customer: ScopeBudget;
  readonly plane: ScopeBudget;
  readonly gateway: ScopeBudget;
  /** Plane and gateway slow down from the cap on and refuse at this share of it. */
  readonly ceilingPercent: number;
};

export const defaultBudgets: BudgetDefaults = {
  credential: scope(bytes, files, names, rate, 16),
  internalCredential: scope(times(bytes, 10), times(files, 10), times(names, 10), rate, 32),
  account: scope(bytes, files, names, rate, 16),
  // Two busy accounts at once; one credential gets at most half of it while there are several.
  customer: scope(times(bytes, 2), times(files, 2), times(names, 2), 2 * rate, 64),
  // Ten busy customers at once. The wide scopes are alarms first: slow from here, refused at twice as much.
  plane: scope(times(bytes, 20), times(files, 20), times(names, 20), 8 * rate, 2000),
  gateway: scope(times(bytes, 30), times(files, 30), times(names, 30), 16 * rate, 4000),
  ceilingPercent: 200,
};
