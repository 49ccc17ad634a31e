// Owns: what an era lost that was abandoned: its words, and whether it reaches into the time and the heads of a slice.
// Must never: leave out a loss because the record that went on has nothing of it.
import { instantText } from './findings.js';

/**
 * @typedef {import('./witness.js').Loss} Loss
 *
 * What a slice covers: the position of its last head, and its window in microseconds since 1970.
 * @typedef {{ readonly position: number, readonly begin: number | null, readonly end: number }} Covered
 */

/** A seal may be so late before nothing is served, and clocks may differ by half of it. */
const lateMs = 60_000;

/**
 * Returns whether entries of the window of a slice may have been sealed in what was lost.
 * @param {Loss} loss
 * @param {Covered} covered
 */
export function isLostIn({ fromSize, kept, until }, { position, begin, end }) {
  // The slice ends with a head of before the loss, and heads do not go back in time.
  if (position < fromSize) return false;
  return (begin === null || until + lateMs >= begin / 1000) && kept - lateMs < end / 1000;
}

/** @param {Loss} loss */
export const lossText = ({ era, nextEra, fromSize, toSize, since, until }) =>
  `era ${era} had sealed up to size ${toSize}, era ${nextEra} went on from size ${fromSize}: its checkpoints beyond, witnessed ${instantText(since)} to ${instantText(until)}, were abandoned. What they covered is lost`;
