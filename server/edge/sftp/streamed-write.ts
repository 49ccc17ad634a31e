// Owns: one WRITE whose data goes into its file as it comes, so that it is copied once: the fields before the data, and
// the answer after the last byte.
// Must never: begin with a WRITE that would have to wait, or that is not exactly as long as it says. Those are gathered
// and handled whole (session.ts).
import { FieldReader, type } from './codec.ts';
import type { WritableFile } from './small-upload.ts';

type WriteHead = {
  readonly id: number;
  readonly handle: Buffer;
  readonly offset: number;
  readonly dataBytes: number;
  /** The length of everything before the data, with the type byte. */
  readonly headBytes: number;
};

/** The type byte, the id and the length of the handle; then the offset and the length of the data. */
const [beforeHandle, behindHandle] = [9, 12];
/** No handle of ours is longer, in bytes. */
const handleBytesMax = 64;

/**
 * Reads the fields of a WRITE of `length` bytes of which `bytes` have come. Returns undefined for every other packet,
 * while a field is missing, and when the data is not all that follows.
 */
export function writeHead(length: number, bytes: Buffer): WriteHead | undefined {
  if (bytes[0] !== type.write || bytes.length < beforeHandle) return undefined;
  const handleBytes = bytes.readUInt32BE(beforeHandle - 4);
  const headBytes = beforeHandle + handleBytes + behindHandle;
  if (handleBytes > handleBytesMax || bytes.length < headBytes) return undefined;
  const fields = new FieldReader(bytes, 1);
  const head = { id: fields.uint32(), handle: fields.string(), offset: fields.uint64(), dataBytes: fields.uint32() };
  return headBytes + head.dataBytes === length ? { ...head, headBytes } : undefined;
}

export class StreamedWrite {
  readonly id: number;
  readonly upload: WritableFile;
  #at: number;
  #leftBytes: number;
  /** The first error. What comes after it is dropped, as the whole WRITE is when it was gathered. */
  error: unknown;

  constructor({ id, offset, dataBytes }: WriteHead, upload: WritableFile) {
    this.id = id;
    this.upload = upload;
    this.#at = offset;
    this.#leftBytes = dataBytes;
  }

  get isDone(): boolean {
    return this.#leftBytes === 0;
  }

  /** Takes the next bytes of the data, and copies them. */
  take(piece: Buffer): void {
    this.#leftBytes -= piece.length;
    if (this.error === undefined)
      try {
        this.upload.write(this.#at, [piece]);
      } catch (error) {
        this.error = error;
      }
    this.#at += piece.length;
  }
}
