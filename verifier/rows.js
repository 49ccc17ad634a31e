// Owns: what must be kept of a long record, in few bytes: rows of one width, growths of a tree, the numbers that were
// seen.
// Must never: keep an object for each entry. It keeps one bit for each entry, 38 bytes for each block, and about ten
// bytes for each time that a tree grew.
import { sha256 } from './hash.js';

/** Rows of a fixed width in pieces of 256, so that a long table is never copied. */
export class Rows {
  #width;
  /** @type {Buffer[]} */
  #pieces = [];
  length = 0;

  /** @param {number} width */
  constructor(width) {
    this.#width = width;
  }

  /** The bytes of a new row, to be filled. Small tables stay small. */
  add() {
    const rows = 256;
    const offset = (this.length % rows) * this.#width;
    if (offset === 0) this.#pieces.push(Buffer.alloc(this.#width * (this.length === 0 ? 4 : rows)));
    const index = this.#pieces.length - 1;
    const piece = this.#pieces[index];
    if (piece !== undefined && piece.length < offset + this.#width) {
      const whole = Buffer.alloc(Math.min(this.#width * rows, piece.length * 4));
      piece.copy(whole);
      this.#pieces[index] = whole;
    }
    this.length += 1;
    return this.at(this.length - 1);
  }

  /** @param {number} index */
  at(index) {
    const piece = this.#pieces[Math.floor(index / 256)];
    if (piece === undefined || index >= this.length) throw new RangeError('no such row');
    const offset = (index % 256) * this.#width;
    return piece.subarray(offset, offset + this.#width);
  }
}

/** @param {Buffer} row @param {number} offset */
export const uint = (row, offset) => row.readUIntBE(offset, 6);

/**
 * 48 bits: enough for milliseconds, sizes and numbers of centuries.
 * @param {Buffer} row @param {number} offset @param {number} value
 */
export const setUint = (row, offset, value) => {
  row.writeUIntBE(Math.min(value, 2 ** 48 - 1), offset, 6);
};

/** Hashes by a growing index: blocks or leaves of one tree. */
export class HashesByIndex {
  #rows = new Rows(38);
  #next = 0;

  get length() {
    return this.#rows.length;
  }

  /** The highest index; -1 when there is none. */
  get last() {
    return this.#rows.length === 0 ? -1 : uint(this.#rows.at(this.#rows.length - 1), 0);
  }

  /** @param {number} index Higher than any before. @param {Buffer} hash */
  add(index, hash) {
    const row = this.#rows.add();
    setUint(row, 0, index);
    row.set(hash, 6);
  }

  /**
   * Returns the hash at an index; indexes are asked for in growing order.
   * @param {number} index @returns {Buffer | undefined}
   */
  get(index) {
    this.#passTo(index);
    return this.#next < this.#rows.length && uint(this.#rows.at(this.#next), 0) === index
      ? this.#rows.at(this.#next).subarray(6)
      : undefined;
  }

  /**
   * Returns the first index that is there, from this one on.
   * @param {number} index @returns {number | undefined}
   */
  from(index) {
    this.#passTo(index);
    return this.#next < this.#rows.length ? uint(this.#rows.at(this.#next), 0) : undefined;
  }

  /** @param {number} index */
  #passTo(index) {
    while (this.#next < this.#rows.length && uint(this.#rows.at(this.#next), 0) < index) this.#next += 1;
  }
}

/** @typedef {{ readonly size: number, readonly head: number, readonly low: number, readonly high: number, readonly isNamed: (root: Buffer) => boolean }} Growth */

/** @typedef {{ readonly size: number, readonly head: number, readonly high: number, readonly root: Buffer | undefined }} Start */

/** @type {Start} */
const nothing = { size: 0, head: 0, high: 0, root: undefined };

const groupSize = 16;

/**
 * What the heads say about one tree, read again in the same order: size, head, the numbers that the head sealed, and
 * three bytes of the root. The roots themselves go into a chain of hashes, which begins anew every sixteen. A false
 * root is found at its very head or, when somebody made those three bytes fit, by the end of its group. Only where the
 * first roots of a group are in an archive that was not given, three bytes have to do for the rest of that group.
 */
export class Growths {
  /** @type {Buffer} */
  #bytes = Buffer.alloc(64);
  #end = 0;
  #count = 0;
  #size = 0;
  #head = 0;
  #high = 0;
  /** @type {Buffer | undefined} */
  #root;
  /** @type {Buffer} */
  #chain = Buffer.alloc(32);
  #marks = new Rows(32);
  #start;

  /**
   * `start`: how the tree stood before, when an earlier run read and proved that.
   * @param {Start} [start]
   */
  constructor(start = nothing) {
    this.#start = start;
    [this.#size, this.#head, this.#high, this.#root] = [start.size, start.head, start.high, start.root];
  }

  get size() {
    return this.#size;
  }

  /** The root after the last growth. */
  get root() {
    return this.#root;
  }

  /**
   * @param {number} size
   * @param {Buffer} root
   * @param {number} head
   * @param {number} low
   * @param {number} high
   */
  add(size, root, head, low, high) {
    this.#write(size - this.#size);
    this.#write(head - this.#head);
    this.#write(Math.max(0, high - this.#high));
    this.#write(Math.max(0, high - low + 1));
    this.#room(3);
    this.#end += root.copy(this.#bytes, this.#end, 0, 3);
    [this.#size, this.#head, this.#high, this.#root] = [size, head, Math.max(high, this.#high), root];
    this.#chain = sha256(Buffer.concat([this.#chain, root]));
    this.#count += 1;
    if (this.#count % groupSize !== 0) return;
    this.#marks.add().set(this.#chain);
    this.#chain = Buffer.alloc(32);
  }

  reader() {
    return new GrowthReader(this.#bytes.subarray(0, this.#end), this.#count, this.#marks, this.#chain, this.#start);
  }

  /** @param {number} count */
  #room(count) {
    if (this.#end + count <= this.#bytes.length) return;
    const more = Buffer.alloc(Math.ceil(this.#bytes.length * 1.5) + count);
    this.#bytes.copy(more);
    this.#bytes = more;
  }

  /**
   * Seven bits a byte, the lowest first.
   * @param {number} value
   */
  #write(value) {
    this.#room(8);
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128))
      this.#end = this.#bytes.writeUInt8((rest % 128) + 128, this.#end);
    this.#end = this.#bytes.writeUInt8(rest, this.#end);
  }
}

/** Goes through the growths of a tree once. */
class GrowthReader {
  /** @type {Buffer} */
  #bytes;
  /** @type {number} */
  #count;
  /** @type {Rows} */
  #marks;
  /** @type {Buffer} */
  #last;
  #at = 0;
  #read = 0;
  /** @type {Buffer} */
  #chain = Buffer.alloc(32);
  /** Whether a root of this group was skipped. */
  #isBroken = false;
  #size = 0;
  #head = 0;
  #high = 0;
  /** @type {Growth | undefined} */
  next;

  /**
   * @param {Buffer} bytes
   * @param {number} count
   * @param {Rows} marks
   * @param {Buffer} last
   * @param {Start} start
   */
  constructor(bytes, count, marks, last, start) {
    [this.#size, this.#head, this.#high] = [start.size, start.head, start.high];
    this.#bytes = bytes;
    this.#count = count;
    this.#marks = marks;
    this.#last = last;
    this.step();
  }

  /** Advances without having compared this root. */
  pass() {
    this.#isBroken = true;
    this.step();
  }

  step() {
    if (this.#read % groupSize === 0) [this.#chain, this.#isBroken] = [Buffer.alloc(32), false];
    if (this.#read >= this.#count) {
      this.next = undefined;
      return;
    }
    this.#read += 1;
    this.#size += this.#number();
    this.#head += this.#number();
    this.#high += this.#number();
    const numbers = this.#number();
    const tag = this.#bytes.subarray(this.#at, this.#at + 3);
    this.#at += 3;
    const isNamed = (/** @type {Buffer} */ root) => root.subarray(0, 3).equals(tag) && this.#isInChain(root);
    this.next = { size: this.#size, head: this.#head, low: this.#high - numbers + 1, high: this.#high, isNamed };
  }

  /**
   * Returns whether the roots up to this one are those that the heads named; this is certain only at the end of a
   * group.
   * @param {Buffer} root
   */
  #isInChain(root) {
    if (this.#isBroken) return true;
    const chain = sha256(Buffer.concat([this.#chain, root]));
    if (this.#read % groupSize === 0) return chain.equals(this.#marks.at(this.#read / groupSize - 1));
    if (this.#read === this.#count && !chain.equals(this.#last)) return false;
    this.#chain = chain;
    return true;
  }

  #number() {
    let [value, scale] = [0, 1];
    for (;;) {
      const byte = this.#bytes[this.#at] ?? 0;
      this.#at += 1;
      value += (byte % 128) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
  }
}

const pieceBits = 65_536;

/** Which numbers were seen: one bit each, as much as the hashes of the blocks take. */
export class Numbers {
  /** @type {Map<number, Buffer>} */
  #pieces = new Map();

  /**
   * Returns false when the number was seen before.
   * @param {number} number
   */
  see(number) {
    const index = Math.floor(number / pieceBits);
    const piece = this.#pieces.get(index) ?? Buffer.alloc(pieceBits / 8);
    this.#pieces.set(index, piece);
    const [byte, bit] = [Math.floor((number % pieceBits) / 8), 1 << (number % 8)];
    const before = piece[byte] ?? 0;
    piece[byte] = before | bit;
    return (before & bit) === 0;
  }
}
