// Owns: cutting the byte stream of one SFTP channel into packets, and the bytes that wait to be cut.
// Must never: keep a slice of what the socket gave: a piece of one byte would keep the whole buffer that it arrived in (T-34).
// What cannot be cut at once is copied behind what waits already, so that a million small pieces cost what one large piece costs.
import { CofferdamError } from '../../domain/errors.ts';
import { Queue } from '../../domain/queue.ts';

/** Largest request: 256 KiB of data and its fields. */
export const packetBytesMax = 256 * 1024 + 1024;
const lengthBytes = 4;
/** Room behind the packet that has begun: what follows it in the same message needs no other buffer. */
const roomBytes = 64 * 1024;
/** A backlog is kept in blocks: a growing buffer would be copied, and its pages made, again and again. */
const blockBytes = 32 * 1024;
const nothing = Buffer.alloc(0);

export class PacketCutter {
  #bytes: Buffer = nothing;
  #from = 0;
  #to = 0;
  /** `#bytes` is the caller's own, and is so until `keep`. */
  #isBorrowed = false;
  /** Copies of what came while a whole packet waited; small ones share a block. */
  readonly #blocks = new Queue<Buffer>();
  #blockBytes = 0;
  /** The last block, when it has room: its memory, and how much of it is used. */
  #tail: { readonly memory: Buffer; used: number } | undefined;

  /** Bytes that were not cut yet. */
  get waitingBytes(): number {
    return this.#openBytes + this.#blockBytes;
  }

  get #openBytes(): number {
    return this.#to - this.#from;
  }

  /** Memory that is held for them. */
  get heldBytes(): number {
    return this.#bytes.length + this.#blockBytes;
  }

  /** `next` would give a packet, or throw. */
  get hasPacket(): boolean {
    while (!this.#isWhole()) {
      const block = this.#takeBlock();
      if (block === undefined) return false;
      this.#append(block);
    }
    return true;
  }

  #isWhole(): boolean {
    if (this.#openBytes < lengthBytes) return false;
    const length = this.#bytes.readUInt32BE(this.#from);
    return length > packetBytesMax || this.#openBytes >= lengthBytes + length;
  }

  #takeBlock(): Buffer | undefined {
    const block = this.#blocks.take();
    if (block === undefined) return undefined;
    const used = this.#blocks.length === 0 && this.#tail !== undefined ? block.subarray(0, this.#tail.used) : block;
    if (this.#blocks.length === 0) this.#tail = undefined;
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
    // The block before is full enough: it ends where it is used.
    if (tail !== undefined) this.#blocks.replaceLast(tail.memory.subarray(0, tail.used));
    const memory = Buffer.allocUnsafeSlow(Math.max(chunk.length, blockBytes));
    chunk.copy(memory);
    this.#tail = { memory, used: chunk.length };
    this.#blocks.push(memory);
  }

  /** Takes a chunk; it must not change before `keep`, which the caller calls before it gives the chunk away. */
  push(chunk: Buffer): void {
    if (this.#blocks.length > 0 || this.#isWhole()) return this.#addBlock(chunk);
    if (this.#openBytes > 0) return this.#append(chunk);
    this.#bytes = chunk;
    this.#from = 0;
    this.#to = chunk.length;
    this.#isBorrowed = true;
  }

  /** The next whole packet, type byte and body, good until the next call of any method. Throws `invalid` on a length out of bounds. */
  next(): Buffer | undefined {
    if (!this.hasPacket) return undefined;
    const start = this.#from + lengthBytes;
    const length = this.#packetLength();
    this.#from = start + length;
    return this.#bytes.subarray(start, start + length);
  }

  #packetLength(): number {
    const length = this.#bytes.readUInt32BE(this.#from);
    if (length < 1 || length > packetBytesMax) throw new CofferdamError('invalid', 'packet length out of bounds');
    return length;
  }

  /** Makes what waits our own. Nothing waits, nothing is held. */
  keep(): void {
    if (this.waitingBytes === 0) this.clear();
    else if (this.#isBorrowed || this.#isRoomy(this.#openBytes)) this.#move(this.#wanted(0));
  }

  clear(): void {
    this.#bytes = nothing;
    this.#from = 0;
    this.#to = 0;
    this.#isBorrowed = false;
    this.#blocks.clear();
    this.#blockBytes = 0;
    this.#tail = undefined;
  }

  /** What a buffer should hold for what waits, `more` behind it, and the rest of the packet that has begun. */
  #wanted(more: number): number {
    const needed = this.#openBytes + more;
    const packet =
      this.#openBytes < lengthBytes ? lengthBytes : lengthBytes + Math.min(this.#bytes.readUInt32BE(this.#from), packetBytesMax);
    // Packets of a few bytes are the rule; half as much again keeps the copies of a growing backlog few.
    return needed <= packet ? packet + (packet > roomBytes ? roomBytes : 0) : Math.ceil(needed * 1.5);
  }

  /** What a backlog has left behind is not kept for the next one. */
  #isRoomy(needed: number): boolean {
    return this.#bytes.length > 8 * roomBytes + 4 * needed;
  }

  #append(chunk: Buffer): void {
    const needed = this.#openBytes + chunk.length;
    const isRoomy = this.#isRoomy(needed);
    const fits = this.#bytes.length - this.#to >= chunk.length;
    // To the front only when as much has left as is moved: each byte is copied a bounded number of times.
    if (!this.#isBorrowed && !isRoomy && !fits && this.#from >= needed) this.#toFront();
    else if (this.#isBorrowed || isRoomy || !fits) this.#move(this.#wanted(chunk.length));
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
