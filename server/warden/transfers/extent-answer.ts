// Owns: what an edge is given of one extent that it may open: the key of this extent, never that of the file, and where
// the ciphertext is.
import type { ContentId, CustomerId, CustomerKeyId, ObjectId } from '../../domain/ids.ts';
import { extentContext, extentKey } from '../../extents/extent-key.ts';
import type { KeyRing, Read } from '../keys/key-ring.ts';

type OpenableExtent = {
  readonly content: ContentId;
  readonly object: ObjectId;
  readonly bytes: number;
  readonly sealedBytes: number;
  readonly inline: Buffer | null;
  readonly customerKey: CustomerKeyId;
  readonly wrappedKey: Buffer;
};
export type ExtentAnswer = {
  readonly objectId: string;
  readonly key: string;
  readonly context: string;
  readonly bytes: number;
  readonly sealedBytes: number;
  readonly inline?: string;
};

/** Derives the key of an extent. It must be called only after the charge and its entry are committed. */
export async function extentAnswer(
  keys: KeyRing,
  read: Read,
  customer: CustomerId,
  index: number,
  extent: OpenableExtent,
): Promise<ExtentAnswer> {
  const fileKey = await keys.openFileKey(read, customer, extent.content, extent.customerKey, extent.wrappedKey);
  const context = extentContext(customer, extent.content, index, extent.object);
  return {
    objectId: extent.object,
    key: extentKey(fileKey, context).toString('base64'),
    context: context.toString('base64'),
    bytes: extent.bytes,
    sealedBytes: extent.sealedBytes,
    ...(extent.inline === null ? {} : { inline: extent.inline.toString('base64') }),
  };
}
