// Owns: the course of a window of a budget, bucket by bucket, from the snapshots of its total.
import { type BudgetWindow, windowMinutes } from './words.ts';

/** The total of a budget at the start of a minute (`minute` is in minutes since 1970). */
export type Snapshot = { readonly minute: number; readonly amount: number };
/** What was charged in one bucket (`amount`), and from the start of the window to the bucket's end (`since`). */
type Bucket = { readonly fromMinute: number; readonly amount: number; readonly since: number };
const bucketMinutes = { hour: 1, day: 15, week: 60 } as const satisfies Record<BudgetWindow, number>;

/**
 * Returns the buckets of a window, oldest first: 60, 96 or 168 of them, computed from `snapshots` (ascending), the
 * total before the first of them (`base`), and the present total. A span without snapshots had no charges. Where old
 * snapshots are missing, charges appear in a later bucket than the one in which they happened; their sum is never too
 * small.
 */
export function historyOf(
  snapshots: readonly Snapshot[],
  total: number,
  base: number,
  nowMinute: number,
  window: BudgetWindow,
): readonly Bucket[] {
  const width = bucketMinutes[window];
  const end = Math.floor(nowMinute / width) * width + width;
  const begin = end - windowMinutes[window];
  /** Returns the total at the start of a minute: that of the newest snapshot that is not younger. */
  const totalAt = (minute: number): number => {
    if (minute > nowMinute) return total;
    let known = base;
    for (const one of snapshots) {
      if (one.minute > minute) break;
      known = one.amount;
    }
    return known;
  };
  const first = totalAt(begin);
  return Array.from({ length: windowMinutes[window] / width }, (_, i) => {
    const from = begin + i * width;
    const until = totalAt(from + width);
    return { fromMinute: from, amount: until - totalAt(from), since: until - first };
  });
}
