// Owns: when an entry, and a statement about a month, may have been sealed: by the times that heads state.
// Must never: take the time of an entry for the time of its seal.
import { instantText } from './findings.js';

/** @typedef {{ readonly from: number, readonly to: number }} Sealed Between which times a head was sealed, in microseconds since 1970. */

const dayMicros = 86_400_000_000;
const hourMicros = 3_600_000_000;
/** So far before its seal, and behind it, an entry's own time may lie. */
const [oldestMicros, aheadMicros] = [27 * dayMicros, 60 * dayMicros];

/** When heads were sealed, kept by the hour: a head's own time is less than an hour away from the one that is kept for it. */
export class Times {
  /** By position of the head. @type {[head: number, at: number][]} */
  #kept = [];

  /** @param {number} head @param {number} at Microseconds since 1970, as the head states it. */
  add(head, at) {
    const last = this.#kept.at(-1);
    if (last === undefined || Math.abs(at - last[1]) >= hourMicros) this.#kept.push([head, at]);
  }

  /** Undefined: no head up to it is known. @param {number} head @returns {Sealed | undefined} */
  of(head) {
    let [low, high] = [0, this.#kept.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#kept[middle]?.[0] ?? 0) <= head) low = middle + 1;
      else high = middle;
    }
    const at = this.#kept[low - 1]?.[1];
    return at === undefined ? undefined : { from: at - hourMicros, to: at + hourMicros };
  }
}

/**
 * What is wrong with the time of an entry that was sealed then; undefined: nothing. What was written waits for its seal
 * for a moment, and the sealer itself refuses what is far from its own time.
 * @param {unknown} at Microseconds since 1970, as the entry states it.
 * @param {Sealed | undefined} sealed
 */
export function oddTime(at, sealed) {
  if (sealed === undefined || typeof at !== 'number' || (at >= sealed.from - oldestMicros && at <= sealed.to + aheadMicros))
    return undefined;
  return `it says ${instantText(Math.floor(at / 1000))}, and was sealed at about ${instantText(Math.floor(sealed.to / 1000))}: nothing that is sealed is so far from its time`;
}

/**
 * Whether a statement that entries of this month are in an archive was sealed before the month could leave: it has to be
 * over for a month.
 * @param {string} month `2026-11`
 * @param {Sealed | undefined} sealed
 */
export function isTooEarly(month, sealed) {
  const [year = 0, number = 0] = month.split('-').map(Number);
  return sealed !== undefined && sealed.to < Date.UTC(year, number + 1, 1) * 1000;
}
