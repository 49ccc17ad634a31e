// Owns: the wire format between an edge and the store, both ways, and cutting a byte stream into its frames.
// Must never: allocate memory for a length that was not checked, or keep a slice of what the socket gave.
// Form: type (u8), three zero bytes, put (u32), length (u32), all big-endian, and then `length` bytes. A put is one
// object that is being written, under a number that the edge chooses; several are under way on one connection.
import { CofferdamError } from '../domain/errors.ts';

/** What an edge sends to the store. */
export const edgeFrames = {
  /** Begins a put. The body is its ticket (`extents/object-tickets.ts`). */
  begin: 1,
  /** The next piece of an object: one sealed segment, the first with the header before it. */
  piece: 2,
  /** The object is whole. */
  end: 3,
  /** The put is given up. Nothing answers it. */
  abort: 4,
} as const;
/** What the store answers: once for each put that was not given up. */
export const storeFrames = {
  /** The object is durable. The body is its length (u32), its digest (32 bytes) and the acknowledgement (32 bytes). */
  durable: 1,
  /** Nothing was stored. The body is one of `failures`, one byte. */
  failed: 2,
} as const;

/** Why a put failed. The position is the byte on the wire. */
export const failures = ['denied', 'over-limit', 'conflict', 'unavailable', 'invalid'] as const;
export type Failure = (typeof failures)[number];

const frameHeadBytes = 12;
/** The longest body of a frame in bytes: one sealed segment. */
export const bodyBytesMax = 256 * 1024;
export const durableBytes = 4 + 32 + 32;

/** Returns the head of a frame, 12 bytes. The body follows it. */
export function frameHead(type: number, put: number, length: number): Buffer {
  const head = Buffer.alloc(frameHeadBytes);
  head[0] = type;
  head.writeUInt32BE(put, 4);
  head.writeUInt32BE(length, 8);
  return head;
}

export type Head = { readonly type: number; readonly put: number; readonly length: number };

/** Where the bodies of frames go. */
type Taker = {
  /**
   * Returns the memory for the body of a frame, at least as long as the body; undefined when there is none now. Throws
   * `invalid` when such a frame may not come.
   */
  readonly room: (head: Head) => Buffer | undefined;
  /** Takes a frame whose body is complete, in the memory that `room` returned. */
  readonly take: (head: Head, memory: Buffer) => void;
};

/** Cuts what arrives into frames. After anything was thrown, it must not be used again. */
export class FrameCutter {
  readonly #taker: Taker;
  readonly #headMemory = Buffer.alloc(frameHeadBytes);
  #headFilled = 0;
  #head: Head | undefined;
  #memory: Buffer | undefined;
  #filled = 0;
  constructor(taker: Taker) {
    this.#taker = taker;
  }

  /**
   * Takes the next bytes, and returns how many it used: all of them, or fewer when a frame has no room now. The others
   * are to be passed again when there is room. `chunk` is not used after this has returned.
   */
  push(chunk: Buffer): number {
    let at = 0;
    for (;;) {
      if (this.#head === undefined) {
        const count = Math.min(frameHeadBytes - this.#headFilled, chunk.length - at);
        chunk.copy(this.#headMemory, this.#headFilled, at, at + count);
        this.#headFilled += count;
        at += count;
        if (this.#headFilled < frameHeadBytes) return at;
        this.#head = this.#readHead();
      }
      this.#memory ??= this.#taker.room(this.#head);
      if (this.#memory === undefined) return at;
      const count = Math.min(this.#head.length - this.#filled, chunk.length - at);
      chunk.copy(this.#memory, this.#filled, at, at + count);
      this.#filled += count;
      at += count;
      if (this.#filled < this.#head.length) return at;
      this.#complete(this.#head, this.#memory);
    }
  }

  #readHead(): Head {
    const memory = this.#headMemory;
    const head = { type: memory.readUInt8(0), put: memory.readUInt32BE(4), length: memory.readUInt32BE(8) };
    if (memory.readUIntBE(1, 3) !== 0 || head.length > bodyBytesMax)
      throw new CofferdamError('invalid', 'this is no frame of the store');
    return head;
  }

  #complete(head: Head, memory: Buffer): void {
    this.#head = undefined;
    this.#headFilled = 0;
    this.#memory = undefined;
    this.#filled = 0;
    this.#taker.take(head, memory);
  }
}
