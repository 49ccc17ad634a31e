// Owns: the wire format of the rpc: a big-endian 32-bit length, followed by that many bytes of UTF-8 JSON.
// Must never: allocate memory for a length that was not checked. The bytes that
// are added and not read yet are bounded by the caller: peer.ts pauses its stream.
import { CofferdamError } from '../domain/errors.ts';
import { Queue } from '../domain/queue.ts';

export const frameBytesMax = 131_072;

/** Returns one frame that is ready to be written. Throws `invalid` when the JSON is larger than a frame may be. */
export function encodeFrame(message: unknown): Buffer {
  const body = JSON.stringify(message);
  const length = Buffer.byteLength(body);
  if (length > frameBytesMax) throw new CofferdamError('invalid', 'rpc frame is too large');
  const frame = Buffer.allocUnsafe(4 + length);
  frame.writeUInt32BE(length, 0);
  frame.write(body, 4);
  return frame;
}

/**
 * Cuts a byte stream into frames, and parses each frame when it is asked
 * for. After `next` has thrown `invalid`, the reader must not be used again.
 */
export class FrameReader {
  readonly #pending = new Queue<Buffer>();
  #pendingBytes = 0;
  #wanted = -1;

  add(chunk: Buffer): void {
    this.#pending.push(chunk);
    this.#pendingBytes += chunk.length;
  }

  /**
   * Returns the next message, or undefined when no complete one has arrived.
   * Throws `invalid` for a length out of bounds and for a frame that is not JSON.
   */
  next(): { readonly message: unknown } | undefined {
    if (this.#wanted < 0) {
      const header = this.#take(4);
      if (header === undefined) return undefined;
      this.#wanted = header.readUInt32BE(0);
      if (this.#wanted === 0 || this.#wanted > frameBytesMax)
        throw new CofferdamError('invalid', 'rpc frame length out of bounds');
    }
    const body = this.#take(this.#wanted);
    if (body === undefined) return undefined;
    this.#wanted = -1;
    return { message: parseJson(body) };
  }

  /** Returns all messages that this chunk completes. Throws as `next` does. */
  push(chunk: Buffer): unknown[] {
    this.add(chunk);
    const messages: unknown[] = [];
    for (let one = this.next(); one !== undefined; one = this.next()) messages.push(one.message);
    return messages;
  }

  #take(bytes: number): Buffer | undefined {
    if (this.#pendingBytes < bytes) return undefined;
    if ((this.#pending.first()?.length ?? 0) < bytes)
      this.#pending.push(Buffer.concat(this.#pending.takeMany(this.#pending.length)));
    const whole = this.#pending.first() ?? Buffer.alloc(0);
    const taken = whole.subarray(0, bytes);
    if (whole.length === bytes) this.#pending.take();
    else this.#pending.replaceFirst(whole.subarray(bytes));
    this.#pendingBytes -= bytes;
    return taken;
  }
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (cause) {
    throw new CofferdamError('invalid', 'rpc frame is not JSON', { cause });
  }
}
