// Owns: one sealed extent as a whole, as an edge makes it.
import type { InPlace } from '../../server/extents/in-place.ts';
import { SegmentSealer } from '../../server/extents/sealed-format.ts';

/** Returns the header and all segments of one extent. `plain` is not changed. */
export function sealedExtent(
  key: Buffer,
  context: Buffer,
  plain: Uint8Array,
  random?: (bytes: number) => Buffer,
  means?: InPlace,
): Buffer {
  const sealer = new SegmentSealer(key, context, random, means);
  const parts: Buffer[] = [sealer.header];
  for (let at = 0; at < plain.length; ) {
    const piece = plain.subarray(at, at + sealer.plainCapacity);
    at += piece.length;
    parts.push(sealer.seal(Buffer.concat([piece, Buffer.alloc(16)]), piece.length, at === plain.length));
  }
  return Buffer.concat(parts);
}
