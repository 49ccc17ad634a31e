// Owns: whether the time of an entry, or the month of a statement that entries are in an archive, is possible for the
// time at which it was sealed, by the times that heads state.
// Must never: take the time of an entry for the time of its seal.
import { instantText } from './findings.js';

/** @typedef {{ readonly from: number, readonly to: number }} Sealed Between which times a head was sealed, in microseconds since 1970. */

const dayMicros = 86_400_000_000;
const hourMicros = 3_600_000_000;
/** How far before its seal, and after it, an entry's own time may lie. */
const [oldestMicros, aheadMicros] = [27 * dayMicros, 60 * dayMicros];

/**
 * When heads were sealed, kept by the hour: a head's own time is less than an hour away from the one that is kept for
 * it.
 */
export class Times {
  /**
   * In the order of the positions of the heads; the times are in microseconds since 1970.
   * @type {[head: number, at: number][]}
   */
  #kept = [];

  /** @param {number} head @param {number} at Microseconds since 1970, as the head states it. */
  add(head, at) {
    const last = this.#kept.at(-1);
    if (last === undefined || Math.abs(at - last[1]) >= hourMicros) this.#kept.push([head, at]);
  }

  /**
   * Returns between which times a head was sealed; undefined when neither it nor a head before it is known.
   * @param {number} head @returns {Sealed | undefined}
   */
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
 * Returns what is wrong with the time of an entry that was sealed then; undefined when nothing is. An entry that was
 * written waits only a moment for its seal, and a sealer refuses entries whose time is far from that of the head.
 * @param {unknown} at Microseconds since 1970, as the entry states it.
 * @param {Sealed | undefined} sealed
 */
export function oddTime(at, sealed) {
  if (
    sealed === undefined ||
    typeof at !== 'number' ||
    (at >= sealed.from - oldestMicros && at <= sealed.to + aheadMicros)
  )
    return undefined;
  return `its time is ${instantText(Math.floor(at / 1000))}, but it was sealed at about ${instantText(Math.floor(sealed.to / 1000))}: no entry is sealed so far from its time`;
}

/**
 * Returns whether an entry that was sealed then can be of this month, and so be in its archive: the time of an entry
 * lies near the time of its seal.
 * @param {string} month `2026-11`
 * @param {Sealed | undefined} sealed
 */
export function canBeOf(month, sealed) {
  const [year = 0, number = 0] = month.split('-').map(Number);
  const [begin, end] = [Date.UTC(year, number - 1, 1) * 1000, Date.UTC(year, number, 1) * 1000];
  return sealed === undefined || (sealed.to >= begin - aheadMicros && sealed.from <= end + oldestMicros);
}

/**
 * Returns whether a statement that entries of this month are in an archive was sealed too early: a month leaves the
 * database only when it has been over for a month.
 * @param {string} month `2026-11`
 * @param {Sealed | undefined} sealed
 */
export function isTooEarly(month, sealed) {
  const [year = 0, number = 0] = month.split('-').map(Number);
  return sealed !== undefined && sealed.to < Date.UTC(year, number + 1, 1) * 1000;
}
