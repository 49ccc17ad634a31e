// Owns: how much of a list one answer holds.

/** Of JSON in one list: a frame with room to spare. */
const listBytesMax = 110_000;

/** As many rows as one answer holds. */
export function fitting<K extends string, T>(name: K, rows: readonly T[]): { readonly [P in K]: T[] } & { readonly more: boolean } {
  const taken: T[] = [];
  let bytes = 0;
  for (const row of rows) {
    bytes += Buffer.byteLength(JSON.stringify(row)) + 1;
    if (bytes > listBytesMax) break;
    taken.push(row);
  }
  return { [name]: taken, more: taken.length < rows.length } as { readonly [P in K]: T[] } & { readonly more: boolean };
}
