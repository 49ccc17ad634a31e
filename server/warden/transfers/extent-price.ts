// Owns: what an extent of an upload costs beside its bytes. Each extent means a call, a charge, an entry and a row for
// the client that stores it, and again for each client that reads it. Its length is chosen by its sender, because an
// fsync ends an extent; so a version of many short extents has a price (T-34).
// Must never: charge a client that sends pieces of ordinary length.

/**
 * The smallest length, in bytes, of an extent that is not short. An honest client writes at least so much between two
 * fsyncs.
 */
export const shortBytes = 16 * 1024;
/**
 * The same for an extent that the edge ended by itself, and reported so, because its process had no room. It is one
 * page, the smallest buffer that an edge keeps. A taken edge gains no more than this by the report.
 */
export const shortCutBytes = 4096;
/**
 * The number of extents at the beginning of a version that may be short without a price. It is for resumptions, and for
 * a log that is written line by line.
 */
export const freeExtents = 256;

/**
 * Returns how many items of the sender's budget the extent costs. It follows that a version has no more extents than
 * 256, plus one for each 16 KiB of its size (4 KiB where the edge cut it), plus those that were paid for.
 */
export function itemsOf(extent: {
  readonly index: number;
  readonly bytes: number;
  readonly isCut?: true | undefined;
}): 0 | 1 {
  return extent.bytes < (extent.isCut === true ? shortCutBytes : shortBytes) && extent.index >= freeExtents ? 1 : 0;
}
