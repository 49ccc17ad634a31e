// Owns: the shapes of extents and of opened uploads, as a warden and its edges say them to each other.
// Must never: let a value pass that edge-words.ts bounds in another way.
import { z } from 'zod';
import { edgeWords, inlineExtentBytesMax } from './edge-words.ts';

const uuid = z.uuid();
const base64 = (bytesMax: number) => z.base64().max(Math.ceil(bytesMax / 3) * 4);
const objectId = z.string().regex(/^[0-9a-f]{32}$/);
/** A number of bytes, or another number that a result states. */
export const size = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const index = z.number().int().min(0).max(10_000_000);

/** An extent to be written. This is the only time that its key is handed out for writing. */
export const freshExtent = z.strictObject({
  index,
  objectId,
  key: base64(32),
  context: base64(512),
  /** The ticket by which this node may put the object into the store (`extents/object-tickets.ts`). */
  ticket: base64(58),
});
export type FreshExtent = z.infer<typeof freshExtent>;

/** An upload that was opened: its row exists, and is charged and recorded. */
export const openedUpload = z.strictObject({
  upload: uuid,
  customer: uuid,
  /** The number of bytes of this content that are stored already. Writing goes on here. */
  storedBytes: size,
  baseBytes: size.optional(),
  /**
   * The object of the last stored extent. The edge process may still have the running hash of everything up to it.
   */
  lastObject: objectId.optional(),
  firstExtent: freshExtent,
});

/** An offer to take a small file whole, in one call. Nothing is charged, written or recorded for it. */
export const uploadOffer = z.strictObject({
  outcome: z.literal('offer'),
  upload: uuid,
  customer: uuid,
  /** The highest number of a version that the name has; 0 when it has none. */
  standing: size,
  /** How long the offer may be used, in milliseconds. */
  lifeMs: z.number().int().positive(),
  /** The only extent of the file, which is stored in its row; so there is no ticket for the store. */
  extent: z.strictObject({ objectId, key: base64(32), context: base64(512) }),
});

export const sealedExtent = z.strictObject({
  index: edgeWords.index,
  objectId: edgeWords.objectId,
  /** The number of plaintext bytes in this extent: 1 up to 16 MiB less the overhead. */
  bytes: edgeWords.extentBytes,
  /** The number of ciphertext bytes, including the header. */
  sealedBytes: edgeWords.sealedBytes,
  /** The ciphertext of a small extent. Every other extent has `durable`, and none has both. */
  inline: edgeWords.inline.optional(),
  /** What the store said of the object: its digest, and the acknowledgement that it is durable. */
  durable: z.strictObject({ digest: edgeWords.sealedDigest, acknowledgement: edgeWords.acknowledgement }).optional(),
  /**
   * The edge ended the extent early for want of room. Its client does not pay for that, down to the shortest extent
   * that an edge cuts.
   */
  isCut: z.literal(true).optional(),
});

/** The extent of a small file, whose ciphertext comes with the call. */
export const smallExtent = z.strictObject({
  objectId: edgeWords.objectId,
  bytes: edgeWords.extentBytes,
  sealedBytes: edgeWords.sealedBytes,
  inline: edgeWords.inline,
});

export const storedExtent = z.strictObject({
  objectId,
  key: base64(32),
  context: base64(512),
  bytes: size,
  sealedBytes: size,
  inline: base64(inlineExtentBytesMax + 128).optional(),
});

/** Where an extent is in its file. */
export const locatedExtent = z.strictObject({ index, offset: size, bytes: size });

export const grantedExtent = z.strictObject({
  index,
  objectId,
  key: base64(32),
  /** The associated data of the sealed format (server/extents/extent-key.ts). */
  context: base64(512),
  bytes: z.number().int().min(1).max(16_777_216),
  sealedBytes: z.number().int().min(1).max(16_777_216),
  inline: base64(inlineExtentBytesMax + 128).optional(),
});
