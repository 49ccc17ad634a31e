// Owns: cutting the byte stream of one SFTP channel into packets, and the bytes that wait to be cut.
// Must never: keep a slice of a buffer that the socket gave, because
// a slice of one byte would keep the whole buffer in memory (T-34).
// Bytes that cannot be cut at once are copied after those that already
// wait, so that a million small pieces cost what one large piece costs.
import { CofferdamError } from '../../domain/errors.ts';
import { Queue } from '../../domain/queue.ts';

/** The largest request in bytes: 256 KiB of data and its fields. */
export const packetBytesMax = 256 * 1024 + 1024;
const lengthBytes = 4;
/**
 * The room after a packet that has begun, in bytes, so that what
 * follows the packet in the same message needs no other buffer.
 */
const roomBytes = 64 * 1024;
/**
 * The size of the blocks in which waiting bytes are kept. A growing buffer
 * would be copied, and its memory pages allocated, again and again.
 */
const blockBytes = 32 * 1024;
const nothing = Buffer.alloc(0);

export class PacketCutter {
  #bytes: Buffer = nothing;
  #from = 0;
  #to = 0;
  /** True while `#bytes` belongs to the caller, which is so until `keep`. */
  #isBorrowed = false;
  /** How many bytes of the packet that is poured are still to come, or to be taken. */
  #pouredBytes = 0;
  /** Copies of what came while a whole packet was waiting. Small copies share a block. */
  readonly #blocks = new Queue<Buffer>();
  #blockBytes = 0;
  /** The last block while it has room: its memory, and how many bytes of it are used. */
  #tail: { readonly memory: Buffer; used: number } | undefined;

  /** The number of bytes that were not cut yet. */
  get waitingBytes(): number {
    return this.#openBytes + this.#blockBytes;
  }

  get #openBytes(): number {
    return this.#to - this.#from;
  }

  /** The number of bytes of memory in which the waiting bytes are held. */
  get heldBytes(): number {
    return this.#bytes.length + this.#blockBytes;
  }

  /** True while the bytes of a packet are taken in pieces. */
  get isPouring(): boolean {
    return this.#pouredBytes > 0;
  }

  /** True when `next` would return a packet or throw, or `piece` would return a piece. */
  get hasPacket(): boolean {
    while (!this.#isWhole()) {
      const block = this.#takeBlock();
      if (block === undefined) return false;
      this.#append(block);
    }
    return true;
  }

  #isWhole(): boolean {
    if (this.#pouredBytes > 0) return this.#openBytes > 0;
    if (this.#openBytes < lengthBytes) return false;
    const length = this.#bytes.readUInt32BE(this.#from);
    return length > packetBytesMax || this.#openBytes >= lengthBytes + length;
  }

  #takeBlock(): Buffer | undefined {
    const block = this.#blocks.take();
    if (block === undefined) return undefined;
    let used = block;
    if (this.#blocks.length === 0) {
      used = block.subarray(0, this.#tail?.used);
      this.#tail = undefined;
    }
    this.#blockBytes -= used.length;
    return used;
  }

  #addBlock(chunk: Buffer): void {
    this.#blockBytes += chunk.length;
    const tail = this.#tail;
    if (tail !== undefined && tail.memory.length - tail.used >= chunk.length) {
      chunk.copy(tail.memory, tail.used);
      tail.used += chunk.length;
      return;
    }
    // The new chunk does not fit into the last block, which therefore ends where its used part ends.
    if (tail !== undefined) this.#blocks.replaceLast(tail.memory.subarray(0, tail.used));
    const memory = Buffer.allocUnsafeSlow(Math.max(chunk.length, blockBytes));
    chunk.copy(memory);
    this.#tail = { memory, used: chunk.length };
    this.#blocks.push(memory);
  }

  /** Adds a chunk. The chunk must not change before `keep`, which the caller calls before it gives the chunk away. */
  push(chunk: Buffer): void {
    if (this.#blocks.length > 0 || this.#isWhole()) return this.#addBlock(chunk);
    if (this.#openBytes > 0) return this.#append(chunk);
    this.#bytes = chunk;
    this.#from = 0;
    this.#to = chunk.length;
    this.#isBorrowed = true;
  }

  /**
   * Returns the next whole packet (type byte and body), or undefined. The packet is
   * valid until the next call of any method. Throws `invalid` on a length out of bounds.
   */
  next(): Buffer | undefined {
    if (!this.hasPacket) return undefined;
    const start = this.#from + lengthBytes;
    const length = this.#packetLength();
    this.#from = start + length;
    return this.#bytes.subarray(start, start + length);
  }

  /**
   * Returns the length of the packet that has begun and is not whole, and what has come of it (type byte and body).
   * The bytes are valid until the next call of any method.
   */
  get begun(): { readonly length: number; readonly bytes: Buffer } | undefined {
    if (this.hasPacket || this.#openBytes <= lengthBytes) return undefined;
    const start = this.#from + lengthBytes;
    return { length: this.#packetLength(), bytes: this.#bytes.subarray(start, this.#to) };
  }

  /** Begins to return the packet that has begun in pieces, from the byte at `skippedBytes` on. */
  pour(skippedBytes: number): void {
    this.#pouredBytes = this.#packetLength() - skippedBytes;
    this.#from += lengthBytes + skippedBytes;
  }

  /** Returns the next bytes of the packet that is poured, valid until the next call of any method. */
  piece(): Buffer | undefined {
    if (this.#pouredBytes === 0 || !this.hasPacket) return undefined;
    const start = this.#from;
    const length = Math.min(this.#openBytes, this.#pouredBytes);
    this.#from += length;
    this.#pouredBytes -= length;
    return this.#bytes.subarray(start, start + length);
  }

  #packetLength(): number {
    const length = this.#bytes.readUInt32BE(this.#from);
    if (length < 1 || length > packetBytesMax) throw new CofferdamError('invalid', 'packet length out of bounds');
    return length;
  }

  /**
   * Copies what is waiting into memory of our own. When nothing is waiting, no memory is held. `isTight` says that the
   * rest of a packet that has begun will be poured, so that it needs no memory here.
   */
  keep(isTight = false): void {
    if (this.waitingBytes === 0) this.#drop();
    else if (this.#isBorrowed || this.#isRoomy) this.#move(isTight ? this.#openBytes : this.#wanted(0));
  }

  clear(): void {
    this.#drop();
    this.#pouredBytes = 0;
  }

  #drop(): void {
    this.#bytes = nothing;
    this.#from = 0;
    this.#to = 0;
    this.#blocks.clear();
    this.#blockBytes = 0;
    this.#tail = undefined;
  }

  /**
   * Returns how large a buffer should be for what is waiting, `more`
   * bytes after it, and the rest of the packet that has begun.
   */
  #wanted(more: number): number {
    const needed = this.#openBytes + more;
    if (this.#pouredBytes > 0) return Math.ceil(needed * 1.5);
    const packet =
      this.#openBytes < lengthBytes
        ? lengthBytes
        : lengthBytes + Math.min(this.#bytes.readUInt32BE(this.#from), packetBytesMax);
    // Most packets have a few bytes only. Half as much again keeps the number of copies of a growing backlog small.
    return needed <= packet ? packet + (packet > roomBytes ? roomBytes : 0) : Math.ceil(needed * 1.5);
  }

  /** Whether the buffer is far larger than needed. Memory that a backlog left behind is not kept for the next one. */
  get #isRoomy(): boolean {
    return this.#bytes.length > 8 * roomBytes + 4 * this.#openBytes;
  }

  #append(chunk: Buffer): void {
    if (this.#bytes.length - this.#to < chunk.length) {
      // Bytes are moved to the front only when at least as many have left as
      // are moved, so that each byte is copied a bounded number of times.
      if (!this.#isBorrowed && this.#from >= this.#openBytes + chunk.length) this.#toFront();
      else this.#move(this.#wanted(chunk.length));
    }
    chunk.copy(this.#bytes, this.#to);
    this.#to += chunk.length;
  }

  #toFront(): void {
    this.#bytes.copyWithin(0, this.#from, this.#to);
    this.#to -= this.#from;
    this.#from = 0;
  }

  #move(capacity: number): void {
    const own = Buffer.allocUnsafeSlow(capacity);
    this.#bytes.copy(own, 0, this.#from, this.#to);
    this.#to -= this.#from;
    this.#from = 0;
    this.#bytes = own;
    this.#isBorrowed = false;
  }
}
