// Owns: which texts were seen lately, by their hash, so that what was verified need not be verified again.
// Must never: grow with the number of texts, or say of a text that was not seen that it was.
import { createHash } from 'node:crypto';

const textsMax = 32_768;

/** Remembers at least this many texts that were seen last, and at most twice as many. */
export class Lately {
  /** @type {Set<string>} */
  #new = new Set();
  /** @type {Set<string>} */
  #old = new Set();

  /**
   * Returns whether this text was seen. A text that is not seen again is forgotten.
   * @param {string} text
   */
  has(text) {
    const key = keyOf(text);
    if (this.#new.has(key)) return true;
    if (!this.#old.has(key)) return false;
    this.#add(key);
    return true;
  }

  /** @param {string} text */
  add(text) {
    this.#add(keyOf(text));
  }

  /** @param {string} key */
  #add(key) {
    if (this.#new.size >= textsMax) [this.#old, this.#new] = [this.#new, new Set()];
    this.#new.add(key);
  }
}

/** @param {string} text */
const keyOf = (text) => createHash('sha256').update(text).digest('base64');
