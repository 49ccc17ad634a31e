// Owns: the limit of how much of a list one answer holds.

/** The largest size of the list as JSON, in bytes. It leaves room for the rest of the frame. */
const listBytesMax = 110_000;

/** Returns as many of the rows, from the first on, as one answer holds, and whether there are more. */
export function fitting<K extends string, T>(
  name: K,
  rows: readonly T[],
): { readonly [P in K]: T[] } & { readonly more: boolean } {
  const taken: T[] = [];
  let bytes = 0;
  for (const row of rows) {
    bytes += Buffer.byteLength(JSON.stringify(row)) + 1;
    if (bytes > listBytesMax) break;
    taken.push(row);
  }
  return { [name]: taken, more: taken.length < rows.length } as { readonly [P in K]: T[] } & { readonly more: boolean };
}

/**
 * The same for rows of which one more was read than an answer may have (`rowsMax`). Whoever asks page by page until
 * there is no more would otherwise take what was read for everything.
 */
export function pageOf<K extends string, T>(
  name: K,
  rows: readonly T[],
  rowsMax: number,
): ReturnType<typeof fitting<K, T>> {
  const page = fitting(name, rows.slice(0, rowsMax));
  return { ...page, more: page.more || rows.length > rowsMax };
}
