// Owns: how far a file of a witness was read: whole lines, their bytes and the hash of these; and whether what was read
// before is still there.
// Must never: continue after bytes that differ from those that were read before without saying so.
import { createHash } from 'node:crypto';

/** @typedef {{ readonly bytes: number, readonly sha256: string }} Mileage Unpacked, up to and with the last newline. */

const newline = 10;

export class Passage {
  /** Whether what was read before is gone, or differs. */
  isOther = false;
  #known;
  #isSince;
  #hash = createHash('sha256');
  #bytes = 0;
  /**
   * Of a line that has not ended.
   * @type {Buffer[]}
   */
  #rest = [];

  /**
   * @param {Mileage | undefined} known Where an earlier run ended.
   * @param {boolean} isSince Whether what that run read is passed over.
   */
  constructor(known, isSince) {
    this.#known = known;
    this.#isSince = isSince;
  }

  /** How many bytes of the file are skipped. */
  get offset() {
    return this.#isSince ? (this.#known?.bytes ?? 0) : 0;
  }

  /** @returns {Mileage} */
  get mileage() {
    return { bytes: this.#bytes, sha256: this.#hash.copy().digest('hex') };
  }

  /**
   * What is to be read of a file, as it comes.
   * @param {AsyncIterable<Buffer>} stream
   * @returns {AsyncGenerator<Buffer, void>}
   */
  async *through(stream) {
    const { bytes: end, sha256 } = this.#known ?? { bytes: 0, sha256: '' };
    for await (const chunk of stream) {
      /** @type {Buffer} */
      let bytes = chunk;
      if (this.#bytes < end) {
        const before = bytes.subarray(0, end - this.#bytes);
        bytes = bytes.subarray(before.length);
        this.#hash.update(before);
        this.#bytes += before.length;
        if (this.#bytes === end && this.mileage.sha256 !== sha256) this.isOther = true;
        if (!this.#isSince) yield before;
      }
      this.#count(bytes);
      if (bytes.length > 0) yield bytes;
    }
    if (this.#bytes < end) this.isOther = true;
  }

  /** @param {Buffer} bytes */
  #count(bytes) {
    const end = bytes.lastIndexOf(newline) + 1;
    if (end > 0) {
      for (const part of [...this.#rest, bytes.subarray(0, end)]) {
        this.#hash.update(part);
        this.#bytes += part.length;
      }
      this.#rest = [];
    }
    if (end < bytes.length) this.#rest.push(bytes.subarray(end));
  }
}
