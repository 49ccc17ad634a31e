// Owns: what becomes of one item that is to be charged: the rule of every grant, as a function of the item, its five
// budgets and the clock (decision 11).
// No process calls it: a batch is decided inside the database, under its locks, by `decide_charges`
// (migrations/functions/charges.sql, decision 52). This is the rule to read and to test; test/postgres/decided-charges
// holds the database against it.
import type { Room } from './room.ts';
import { type Amount, type BudgetWindow, budgetWindows, type WindowAmounts, windowMinutes } from './words.ts';

/** One item, and what is known about who asks for it. Instants are milliseconds since 1970. */
export type Ask = {
  /** The session, its account, credential and customer are good. */
  readonly isGood: boolean;
  /** An extent of an open download; otherwise an amount. */
  readonly isExtent: boolean;
  /** What it costs. Null where there is no such extent, or the download is none of the session. */
  readonly bytes: number | null;
  readonly items: number | null;
  /** When the credential paid for the extent, and for its file, last; null when it never did. */
  readonly extentPaidAtMs: number | null;
  readonly filePaidAtMs: number | null;
  /** Several credentials can use the customer's budget now. */
  readonly hasSeveralCredentials: boolean;
};

/** One of the five budgets of an item, and what the batch has taken of it before. */
export type Charged = {
  readonly room: Room;
  readonly taken: Amount;
  /** Behind its cap, nothing is granted before this instant; negative infinity when it never slowed down. */
  readonly slowUntilMs: number;
  readonly ceilingPercent: number;
  /** Caps, and what the windows hold, by which its pace is computed. Null where nothing slows down. */
  readonly pace: { readonly caps: WindowAmounts; readonly used: WindowAmounts } | null;
};

/** The outcomes are explained by `chargeOutcomes` (words.ts). */
export type Decision =
  | { readonly outcome: 'missing' | 'session' | 'repeat' }
  /** `rank`: the narrowest budget that refuses. `isHalf`: what refuses is half of the customer's caps. */
  | { readonly outcome: 'over-limit'; readonly rank: number; readonly isHalf: boolean }
  | { readonly outcome: 'later'; readonly afterMs: number }
  /** `paysFile`: the file of the extent was paid for with this item. `isSlow`: plane or gateway is past its cap. */
  | { readonly outcome: 'granted'; readonly paysFile: boolean; readonly isSlow: boolean };

/** What becomes of the item, and its five budgets afterwards. */
type Decided = { readonly decision: Decision; readonly budgets: readonly Charged[] };

/** For how long a credential reads again what it paid for. */
const paidForMs = 24 * 3_600_000;
/** The rank from which on a budget slows down before it refuses: plane and gateway. */
const slowFromRank = 4;
/** A wait of weeks is as good as never: whoever asks has less patience. */
const afterMsMax = 2 ** 31 - 1;

const exceeds = (wanted: Amount, room: Amount, taken: Amount): boolean =>
  wanted.bytes > room.bytes - taken.bytes || wanted.items > room.items - taken.items;

/**
 * Returns for how long a budget past its cap lets nothing through after this item: what is left of the way from cap to
 * ceiling is stretched over the window. In milliseconds.
 */
function slowStepMs({ pace, ceilingPercent }: Charged, wanted: Amount): number {
  if (pace === null) return 0;
  const { caps, used } = pace;
  const stepIn = (unit: 'bytes' | 'items', window: BudgetWindow): number => {
    const cap = caps[unit][window];
    if (used[unit][window] + wanted[unit] <= cap) return 0;
    const way = Math.max(Math.floor((cap * (ceilingPercent - 100)) / 100), 1);
    return (windowMinutes[window] * 60_000 * wanted[unit]) / way;
  };
  return Math.max(...budgetWindows.flatMap((window) => [stepIn('bytes', window), stepIn('items', window)]));
}

/** Returns what the item costs this credential; undefined when there is nothing that could be charged. */
function priceOf({ isExtent, bytes, items, filePaidAtMs }: Ask, nowMs: number): Amount | undefined {
  if (bytes === null || items === null || bytes < 0 || items < 0) return undefined;
  return { bytes, items: isExtent && isPaid(filePaidAtMs, nowMs) ? 0 : items };
}
const isPaid = (atMs: number | null, nowMs: number): boolean => atMs !== null && atMs > nowMs - paidForMs;

/** Returns the refusal of the narrowest budget that has no room; undefined when all have. */
function refusalBy(budgets: readonly Charged[], wanted: Amount, hasSeveralCredentials: boolean): Decision | undefined {
  for (const [i, { room, taken }] of budgets.entries()) {
    if (exceeds(wanted, room.hard, taken)) return { outcome: 'over-limit', rank: i + 1, isHalf: false };
    if (hasSeveralCredentials && room.half !== null && exceeds(wanted, room.half, taken))
      return { outcome: 'over-limit', rank: i + 1, isHalf: true };
  }
  return undefined;
}

/**
 * Decides about one item. `budgets` are its five, in the order of their ranks, locked and with their windows advanced;
 * with fewer nothing is granted. All five are charged, or none.
 */
export function decide(ask: Ask, budgets: readonly Charged[], nowMs: number): Decided {
  const answer = (decision: Decision): Decided => ({ decision, budgets });
  if (!ask.isGood) return answer({ outcome: ask.bytes === null ? 'missing' : 'session' });
  const wanted = priceOf(ask, nowMs);
  if (wanted === undefined) return answer({ outcome: 'missing' });
  if (ask.isExtent && isPaid(ask.extentPaidAtMs, nowMs)) return answer({ outcome: 'repeat' });
  if (budgets.length < 5) return answer({ outcome: 'missing' });

  const refusal = refusalBy(budgets, wanted, ask.hasSeveralCredentials);
  if (refusal !== undefined) return answer(refusal);

  const isSlow = budgets.map(({ room, taken }, i) => i + 1 >= slowFromRank && exceeds(wanted, room.soft, taken));
  const waitsMs = budgets.map(({ slowUntilMs }, i) => (isSlow[i] ? slowUntilMs - nowMs : 0));
  const waitMs = Math.max(...waitsMs);
  if (waitMs > 0) return answer({ outcome: 'later', afterMs: Math.min(Math.ceil(waitMs), afterMsMax) });

  const after = budgets.map((budget, i) => ({
    ...budget,
    taken: { bytes: budget.taken.bytes + wanted.bytes, items: budget.taken.items + wanted.items },
    slowUntilMs: isSlow[i] ? Math.max(budget.slowUntilMs, nowMs) + slowStepMs(budget, wanted) : budget.slowUntilMs,
  }));
  return {
    decision: { outcome: 'granted', paysFile: ask.isExtent && wanted.items > 0, isSlow: isSlow.includes(true) },
    budgets: after,
  };
}
