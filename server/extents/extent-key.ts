// Owns: how the key of one extent follows from its file key, and the context both ends of the sealed format bind.
// Must never: see a file key in the edge; the edge receives only extent keys.
import { hkdfSync } from 'node:crypto';
import type { ContentId, CustomerId, ObjectId } from '../domain/ids.ts';

/** Length-prefixed purpose, customer, content, index and object id: associated data of the sealed format and HKDF info of its key. */
export function extentContext(customer: CustomerId, content: ContentId, index: number, object: ObjectId): Buffer {
  const parts = ['cofferdam/extent/1', customer, content, String(index), object].map((part) => Buffer.from(part, 'utf8'));
  return Buffer.concat(
    parts.flatMap((part) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(part.length);
      return [length, part];
    }),
  );
}

/** 32 bytes: HKDF-SHA256 of the 32-byte file key, empty salt, the context as info (RFC 5869). */
export function extentKey(fileKey: Buffer, context: Buffer): Buffer {
  if (fileKey.length !== 32) throw new RangeError('file key must be 32 bytes');
  return Buffer.from(hkdfSync('sha256', fileKey, Buffer.alloc(0), context, 32));
}
