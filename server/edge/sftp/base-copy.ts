// Owns: taking over what an upload keeps of its base: read back extent by extent, each on the record, and pushed on as if the client had sent it.
// Must never: take more of it into memory than the pipeline has room for.
import { CofferdamError } from '../../domain/errors.ts';
import { segmentAt } from '../../extents/sealed-format.ts';
import type { UploadContext } from './upload.ts';
import type { Stored, UploadPipeline } from './upload-pipeline.ts';

/** Pushes the base's bytes from `from` up to, not including, `to`. */
export async function copyBase(context: UploadContext, upload: string, pipeline: UploadPipeline, from: number, to: number): Promise<void> {
  const { warden, session } = context;
  for (let at = from; at < to; ) {
    const extent = await warden.callRepeatable('upload.base-extent', { token: session.token, upload, offset: at });
    const end = Math.min(to, extent.start + extent.bytes);
    if (end <= at) throw new CofferdamError('corrupt', 'stored data does not verify');
    await copyExtent(context, upload, pipeline, extent, at - extent.start, end - extent.start);
    at = end;
  }
}

/** From plaintext offset `from` of the extent up to `to`. */
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
