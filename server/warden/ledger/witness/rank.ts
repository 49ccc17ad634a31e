// Owns: the order of signed notes, by era, then by size, then by the time of the signature.
// Must never: depend on where a note is stored, or on the name of its file.
import { parseNote } from '../../../domain/ledger/checkpoint.ts';

export type Rank = readonly [era: number, size: number, time: string];

export function rankOf(note: string): Rank {
  const { era, size, time } = parseNote(note).checkpoint;
  return [era, size, time];
}

/** Compares two ranks. The result is negative when `a` is older than `b`. */
export function compareRanks(a: Rank, b: Rank): number {
  if (a[0] !== b[0]) return a[0] - b[0];
  if (a[1] !== b[1]) return a[1] - b[1];
  return a[2] < b[2] ? -1 : a[2] > b[2] ? 1 : 0;
}

/**
 * Returns the newest note that all witnesses have, given the newest note of each; undefined while one of them has none.
 */
export function commonOf(newest: readonly (string | undefined)[]): string | undefined {
  let least: { readonly note: string; readonly rank: Rank } | undefined;
  for (const note of newest) {
    if (note === undefined) return undefined;
    const rank = rankOf(note);
    if (least === undefined || compareRanks(rank, least.rank) < 0) least = { note, rank };
  }
  return least?.note;
}
