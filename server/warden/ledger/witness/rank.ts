// Owns: which of several signed notes is the newest, and which is the oldest: by era and size, then by the time at which it was signed.
// Must never: go by where a note stands, or by what its file is called.
import { parseNote } from '../../../domain/ledger/checkpoint.ts';

export type Rank = readonly [era: number, size: number, time: string];

export function rankOf(note: string): Rank {
  const { era, size, time } = parseNote(note).checkpoint;
  return [era, size, time];
}

/** Below zero: `a` is older. */
export function compareRanks(a: Rank, b: Rank): number {
  if (a[0] !== b[0]) return a[0] - b[0];
  if (a[1] !== b[1]) return a[1] - b[1];
  return a[2] < b[2] ? -1 : a[2] > b[2] ? 1 : 0;
}

/** Of two wardens the slower one may have written last. Of two that are equal the later one. */
export function newestOf(notes: readonly string[]): string | undefined {
  let newest: { readonly note: string; readonly rank: Rank } | undefined;
  for (const note of notes) {
    const rank = rankOf(note);
    if (newest === undefined || compareRanks(rank, newest.rank) >= 0) newest = { note, rank };
  }
  return newest?.note;
}

/** What all have who have these as their newest: undefined while one of them has none. */
export function commonOf(newest: readonly (string | undefined)[]): string | undefined {
  let least: { readonly note: string; readonly rank: Rank } | undefined;
  for (const note of newest) {
    if (note === undefined) return undefined;
    const rank = rankOf(note);
    if (least === undefined || compareRanks(rank, least.rank) < 0) least = { note, rank };
  }
  return least?.note;
}
