// Owns: how the key of one extent is derived from its file key, and the
// context that the warden and the edge bind into the sealed format.
// Must never: be used with a file key in the edge. The edge only receives the keys of single extents.
import { hkdfSync } from 'node:crypto';
import type { ContentId, CustomerId, ObjectId } from '../domain/ids.ts';

/**
 * Returns the context of one extent: purpose, customer, content, index and object id, each with its length
 * as a 32-bit prefix. It is the associated data of the sealed format and the HKDF info of the extent's key.
 */
export function extentContext(customer: CustomerId, content: ContentId, index: number, object: ObjectId): Buffer {
  const parts = ['cofferdam/extent/1', customer, content, String(index), object].map((part) =>
    Buffer.from(part, 'utf8'),
  );
  return Buffer.concat(
    parts.flatMap((part) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(part.length);
      return [length, part];
    }),
  );
}

/**
 * Returns the 32-byte key of an extent: HKDF-SHA256 of the 32-byte file key with an empty salt
 * and the context as info (RFC 5869). Throws RangeError for a file key of another length.
 */
export function extentKey(fileKey: Buffer, context: Buffer): Buffer {
  if (fileKey.length !== 32) throw new RangeError('file key must be 32 bytes');
  return Buffer.from(hkdfSync('sha256', fileKey, Buffer.alloc(0), context, 32));
}
