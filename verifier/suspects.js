// Owns: rows that are not what their stored leaf says, and what that leaf tells about where they come from: moved,
// swapped, or simply changed.
// Must never: decide whether a record is good. It only finds better words for what is already wrong.
import { atPlace, leafAt, placeText } from './entry.js';

/**
 * @typedef {import('./entry.js').Entry} Entry
 * @typedef {import('./findings.js').Findings} Findings
 * @typedef {import('./findings.js').Finding} Finding
 * @typedef {import('./findings.js').Better} Better
 * @typedef {{ readonly entry: Entry, readonly better: Better }} Odd
 */

const oddMax = 20;
const movedMax = 8;

/** @param {Entry} entry @returns {Finding} */
const changed = (entry) => ({
  what: 'changed',
  text: `${placeText(entry.tree, entry.position, entry.number)}: the entry was changed after it was sealed`,
  ...atPlace(entry),
});

/** @param {Entry} first @param {Entry} second @returns {Finding} */
const swapped = (first, second) => ({
  what: 'swapped',
  text: `${placeText(first.tree, first.position, first.number)}: the row was swapped with the one at position ${second.position}`,
  ...atPlace(first),
  from: first.position,
  to: second.position,
});

/** The suspect rows of one tree. */
export class Suspects {
  #findings;
  /** @type {Odd[]} */
  #odd = [];
  /** @type {{ readonly position: number, readonly number: number, readonly odd: Odd } | undefined} */
  #shift;

  /** @param {Findings} findings */
  constructor(findings) {
    this.#findings = findings;
  }

  /** By how many places rows have moved; 0 when they did not. */
  get shift() {
    return this.#shift?.position ?? 0;
  }

  /**
   * The row is not what its stored leaf says.
   * @param {Entry} entry
   * @param {number | undefined} numberBefore Of the row before it.
   * @param {(finding: Finding & { readonly position: number }) => void} sayBetter
   */
  accuse(entry, numberBefore, sayBetter) {
    const { number, position } = entry;
    const shift = this.#shift;
    if (shift !== undefined && leafAt(entry, position + shift.position, number + shift.number).equals(entry.leaf))
      return;
    if (this.#odd.length >= oddMax) {
      this.#findings.add(changed(entry));
      return;
    }
    if (this.#hasMoved(entry, numberBefore, sayBetter) || this.#odd.some((other) => areSwapped(other, entry))) return;
    this.#odd.push({ entry, better: this.#findings.add(changed(entry)) });
  }

  /**
   * The root is right with the computed leaves: of the suspect rows from this position on, only the stored leaf was
   * changed.
   * @param {number} from
   */
  onlyLeaves(from) {
    for (const { entry, better } of this.#odd)
      if (entry.position >= from)
        better({
          what: 'changed',
          text: `${placeText(entry.tree, entry.position, entry.number)}: its stored leaf hash was changed; the entry itself is what was sealed`,
          ...atPlace(entry),
        });
  }

  /**
   * @param {Entry} entry
   * @param {number | undefined} numberBefore
   * @param {(finding: Finding & { readonly position: number }) => void} sayBetter
   */
  #hasMoved(entry, numberBefore, sayBetter) {
    for (let distance = 1; distance <= movedMax; distance += 1)
      for (const by of [distance, -distance])
        for (const more of [0, by])
          if (entry.position + by >= 0 && leafAt(entry, entry.position + by, entry.number + more).equals(entry.leaf)) {
            if (by > 0) this.#sayGone(entry, by, more);
            else this.#sayInserted(entry, -by, more, numberBefore, sayBetter);
            return true;
          }
    return false;
  }

  /**
   * @param {Entry} entry
   * @param {number} by
   * @param {number} more
   */
  #sayGone(entry, by, more) {
    if (this.#isSwapBack(entry, by)) return;
    const { tree, position, number } = entry;
    const sealedAt = position + by;
    // The number of the missing one is known when the numbers moved, too: it is the one that is here now.
    const missing = more === 0 ? undefined : number;
    const text = `${placeText(tree, position, missing)}: what was sealed here is missing: the row that is here now was sealed at position ${sealedAt}, and rows behind it may have moved with it`;
    const better = this.#findings.add({
      what: 'missing',
      text,
      tree,
      position,
      number: missing,
      from: position,
      to: sealedAt - 1,
    });
    this.#shift = { position: by, number: more, odd: { entry, better } };
  }

  /**
   * @param {Entry} entry
   * @param {number} count
   * @param {number} more
   * @param {number | undefined} numberBefore
   * @param {(finding: Finding & { readonly position: number }) => void} sayBetter
   */
  #sayInserted(entry, count, more, numberBefore, sayBetter) {
    if (this.#isSwapBack(entry, -count)) return;
    const { tree, position } = entry;
    const sealedAt = position - count;
    const before = this.#odd.find((other) => other.entry.position === sealedAt);
    const text = `${count === 1 ? 'a row' : `${count} rows`} inserted here: the row at position ${position} was sealed at position ${sealedAt}`;
    const inserted = before?.entry.number ?? (count === 1 ? numberBefore : undefined);
    const at = { tree, position: sealedAt, number: inserted, from: sealedAt, to: position - 1 };
    const finding = {
      what: /** @type {const} */ ('inserted'),
      text: `${placeText(tree, sealedAt, inserted)}: ${text}`,
      ...at,
    };
    if (before === undefined) sayBetter(finding);
    else before.better(finding);
    this.#shift = { position: -count, number: more, odd: { entry, better: () => {} } };
  }

  /**
   * Returns whether this row is what the first of two swapped rows made look like a gap.
   * @param {Entry} entry
   * @param {number} by
   */
  #isSwapBack(entry, by) {
    const shift = this.#shift;
    if (shift === undefined || by !== -shift.position || shift.odd.entry.position !== entry.position + by) return false;
    this.#shift = undefined;
    shift.odd.better(swapped(shift.odd.entry, entry));
    return true;
  }
}

/**
 * Returns whether each of two rows is what was sealed in the other's place, with its stored leaf or without.
 * @param {Odd} first
 * @param {Entry} entry
 */
function areSwapped(first, entry) {
  const one = first.entry;
  const isAt = (/** @type {Entry} */ row, /** @type {Entry} */ at, /** @type {Buffer} */ leaf) =>
    [row.number, at.number].some((number) => leafAt(row, at.position, number).equals(leaf));
  const isWithLeaves = isAt(one, entry, one.leaf) && isAt(entry, one, entry.leaf);
  if (!isWithLeaves && !(isAt(one, entry, entry.leaf) && isAt(entry, one, one.leaf))) return false;
  first.better(swapped(one, entry));
  return true;
}
