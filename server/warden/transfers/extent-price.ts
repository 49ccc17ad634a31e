// Owns: what an extent of an upload costs beside its bytes. Each is a call, a charge, an entry and a row for whoever stores it, and again for everyone who reads
// it: its length is its sender's choice (an fsync ends it), so a version of many short ones has its price (T-34).
// Must never: charge who sends in pieces of ordinary length.

/** A client that makes durable what it wrote sends at least so much between two fsyncs. */
export const shortBytes = 16 * 1024;
/** An edge whose process has no room ends extents by itself, and says so. Not below a page, the smallest buffer that it keeps, so its word opens no more than that. */
export const shortCutBytes = 4096;
/** So many extents of a version may be short for nothing: resumptions, and a log that is written line by line. */
export const freeExtents = 256;

/** Items of the budget of its sender. The extents of a version are no more than 256, one for each 16 KiB of its size (4 KiB where the edge cut it), and those that were paid for. */
export function itemsOf(extent: { readonly index: number; readonly bytes: number; readonly isCut?: true | undefined }): 0 | 1 {
  return extent.bytes < (extent.isCut === true ? shortCutBytes : shortBytes) && extent.index >= freeExtents ? 1 : 0;
}
