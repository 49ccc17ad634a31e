// Owns: the digest of a sealed object as receipts name it, without the product's code.
import { createHash } from 'node:crypto';

const [headerBytes, segmentBytes, tagBytes] = [40, 262_144, 16];

/** Returns the SHA-256 over the header and the tags of all segments. */
export function digestOf(object: Buffer): Buffer {
  const digest = createHash('sha256').update(object.subarray(0, headerBytes));
  for (let at = 0; at < object.length; at += segmentBytes) {
    const end = Math.min(at + segmentBytes, object.length);
    digest.update(object.subarray(Math.max(at, end - tagBytes), end));
  }
  return digest.digest();
}
