// Owns: copying what an upload keeps of its base version. The bytes are read back extent by extent, each
// read is recorded in the ledger, and the bytes are pushed into the pipeline as if the client had sent them.
// Must never: take more of the base into memory than the pipeline has room for.
import { CofferdamError } from '../../domain/errors.ts';
import { segmentAt } from '../../extents/sealed-format.ts';
import type { UploadContext } from './upload.ts';
import type { Stored, UploadPipeline } from './upload-pipeline.ts';

/**
 * Pushes the bytes of the base from offset `from` up to, but not
 * including, `to`. Throws `corrupt` when stored data does not verify.
 */
export async function copyBase(
  context: UploadContext,
  upload: string,
  pipeline: UploadPipeline,
  from: number,
  to: number,
): Promise<void> {
  const { warden, session } = context;
  for (let at = from; at < to; ) {
    const extent = await warden.callRepeatable('upload.base-extent', { token: session.token, upload, offset: at });
    const end = Math.min(to, extent.start + extent.bytes);
    if (end <= at) throw new CofferdamError('corrupt', 'stored data does not verify');
    await copyExtent(context, upload, pipeline, extent, at - extent.start, end - extent.start);
    at = end;
  }
}

/** Pushes the plaintext of one extent, from offset `from` within the extent up to, but not including, `to`. */
async function copyExtent(
  { store }: UploadContext,
  upload: string,
  pipeline: UploadPipeline,
  extent: Stored,
  from: number,
  to: number,
): Promise<void> {
  const reader = `base of ${upload}`;
  await store.ask({ op: 'reader.open', reader, source: pipeline.source(extent) });
  try {
    for (let at = from; at < to; ) {
      await pipeline.room();
      pipeline.requireSound();
      const { index, plainStart } = segmentAt(at);
      const plain = await store.ask<Uint8Array>({ op: 'reader.segment', reader, index });
      const end = Math.min(to, plainStart + plain.length);
      if (end <= at) throw new CofferdamError('corrupt', 'stored data does not verify');
      pipeline.push(Buffer.from(plain.buffer, plain.byteOffset + at - plainStart, end - at));
      at = end;
    }
  } finally {
    await store.ask({ op: 'reader.close', reader });
  }
}
