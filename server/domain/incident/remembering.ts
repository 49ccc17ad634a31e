// Owns: answers that are kept for the next time, up to a number of positions; the same question comes with thousands of
// entries.
// Must never: hold more than its limit, or give another answer than the one that was found.

/**
 * The largest number of positions that are kept; each answer counts as one more. When there would be more, all are
 * forgotten.
 */
const rememberedMax = 200_000;

/** Returns `find`, which is asked once for each key that is remembered. */
export function remembering(
  find: (key: string) => readonly number[],
  max = rememberedMax,
): (key: string) => readonly number[] {
  const known = new Map<string, readonly number[]>();
  let kept = 0;
  return (key) => {
    const before = known.get(key);
    if (before !== undefined) return before;
    const found = find(key);
    kept += found.length + 1;
    if (kept > max) {
      known.clear();
      kept = found.length + 1;
    }
    known.set(key, found);
    return found;
  };
}
