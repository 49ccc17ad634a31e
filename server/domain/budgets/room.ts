// Owns: what a budget has room for: its windows, the caps that hold now, and what is left under them (decision 11).
// The database computes the same in `turn_budget`, `caps_at`, `budget_used`, `room_for_bytes` and `room_for_items`
// (migrations/functions/budgets.sql); test/postgres/budget-rooms holds the two against each other.
// Numbers are exact up to 2^53.
import {
  type Amount,
  type BudgetUnit,
  type BudgetWindow,
  type Caps,
  type WindowAmounts,
  windowMinutes,
} from './words.ts';

/** What decides about the room of a budget, as its row says it. Minutes and milliseconds are counted since 1970. */
export type StoredBudget = {
  /** Everything that was ever charged. It never becomes less. */
  readonly total: Amount;
  /** The minute up to which the windows were advanced. */
  readonly minute: number;
  /** For each window the total at its beginning: total minus base is what the window holds. */
  readonly base: WindowAmounts;
  readonly caps: WindowAmounts;
  /** By how many percent the caps are larger until `headroomUntilMs`. */
  readonly headroomPercent: number;
  readonly headroomUntilMs: number;
  /** The share of the caps up to which is granted; more than 100 only where traffic slows down first. */
  readonly ceilingPercent: number;
};

/** The total of a budget at the beginning of a minute. */
export type TotalAt = Amount & { readonly minute: number };

/** What still fits into every window of a budget; less than 0 when a cap was lowered below what is used. */
export type Room = {
  /** Up to the ceiling; behind it the budget refuses. */
  readonly hard: Amount;
  /** Up to half of the customer's caps; null when the budget is no share of them. */
  readonly half: Amount | null;
  /** Up to the cap; behind it plane and gateway slow down. */
  readonly soft: Amount;
};

/** The share of the customer's caps that one credential may use while others could use them. */
export const sharePercent = 50;

const inEach = (work: (unit: BudgetUnit, window: BudgetWindow) => number): WindowAmounts => {
  const of = (unit: BudgetUnit): Caps => ({
    hour: work(unit, 'hour'),
    day: work(unit, 'day'),
    week: work(unit, 'week'),
  });
  return { bytes: of('bytes'), items: of('items') };
};

const percentOf = (amount: number, percent: number): number => Math.floor((amount * percent) / 100);

/**
 * Advances the windows of a budget: they end at `nowMinute`. `snapshots` are its totals at the beginnings of minutes
 * that are past, in any order; the total that it has now was that of every minute after its own. A base is the newest
 * of these totals that is at least as old as the window, and never becomes less, also when snapshots are missing.
 */
export function turned(budget: StoredBudget, snapshots: readonly TotalAt[], nowMinute: number): StoredBudget {
  if (nowMinute <= budget.minute) return budget;
  const known = [...snapshots, { ...budget.total, minute: budget.minute + 1 }];
  const base = inEach((unit, window) => {
    const old = known.filter(({ minute }) => minute <= nowMinute - windowMinutes[window]);
    const newest = old.reduce<TotalAt | undefined>(
      (best, one) => (best === undefined || one.minute > best.minute ? one : best),
      undefined,
    );
    return Math.max(budget.base[unit][window], newest?.[unit] ?? 0);
  });
  return { ...budget, minute: nowMinute, base };
}

/** Returns what the windows of a budget hold. */
export const usedOf = ({ total, base }: StoredBudget): WindowAmounts =>
  inEach((unit, window) => total[unit] - base[unit][window]);

/** Returns the caps of a budget that hold at a moment, released headroom included. */
export function capsAt({ caps, headroomPercent, headroomUntilMs }: StoredBudget, nowMs: number): WindowAmounts {
  const percent = headroomUntilMs > nowMs ? 100 + headroomPercent : 100;
  return inEach((unit, window) => percentOf(caps[unit][window], percent));
}

/** Returns what fits into each window under a share of its cap. */
export const roomInEach = (caps: WindowAmounts, percent: number, used: WindowAmounts): WindowAmounts =>
  inEach((unit, window) => percentOf(caps[unit][window], percent) - used[unit][window]);

const inAll = ({ hour, day, week }: Caps): number => Math.min(hour, day, week);

/** Returns what fits into every window under a share of the caps. */
function roomUnder(caps: WindowAmounts, percent: number, used: WindowAmounts): Amount {
  const { bytes, items } = roomInEach(caps, percent, used);
  return { bytes: inAll(bytes), items: inAll(items) };
}

/**
 * Returns the room of a budget whose windows were advanced. `customer` is the budget of the customer whose caps it
 * shares with other credentials; null when it shares none.
 */
export function roomOf(budget: StoredBudget, customer: StoredBudget | null, nowMs: number): Room {
  const caps = capsAt(budget, nowMs);
  const used = usedOf(budget);
  return {
    hard: roomUnder(caps, budget.ceilingPercent, used),
    half: customer === null ? null : roomUnder(capsAt(customer, nowMs), sharePercent, used),
    soft: roomUnder(caps, 100, used),
  };
}
