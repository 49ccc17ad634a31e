// Owns: what was found wrong: kinds of findings, the first of them in words, and the number of all of them.
// Must never: lose count, or keep more than a report can show.

const findingsMax = 20;
/** Beyond those, the first finding of each of this many trees. */
const treesMax = 1000;

/**
 * A row: tree, position and number say which. A block: from and to are positions. The heads log: head, from and to are
 * positions in it, number is the first suspect entry. The rest is of the witness, of archives and of slices.
 * @typedef {'changed' | 'missing' | 'inserted' | 'out of order' | 'swapped' | 'malformed' | 'misplaced' | 'number' | 'block'
 *   | 'head malformed' | 'head missing' | 'head out of order' | 'head changed' | 'behind'
 *   | 'old' | 'from the future' | 'note malformed' | 'note forged' | 'two truths' | 'shrunk' | 'era' | 'unreadable'
 *   | 'statement' | 'time' | 'archive' | 'slice malformed' | 'slice incomplete' | 'not in this witness'} What
 *
 * @typedef {object} Finding
 * @property {What} what
 * @property {string} text
 * @property {string | undefined} [tree]
 * @property {number | undefined} [position]
 * @property {number | undefined} [number]
 * @property {number | undefined} [head]
 * @property {number | undefined} [from]
 * @property {number | undefined} [to]
 *
 * @typedef {(better: Finding) => void} Better Says a finding in better words, when more is known.
 */

/**
 * What is wrong with lines and files of a witness: its holder alone can make any number of them.
 * @type {readonly What[]}
 */
const junk = ['note malformed', 'note forged', 'unreadable', 'from the future'];

/** @param {Finding} finding */
export const isJunk = ({ what }) => junk.includes(what);

/**
 * Returns the finding that is named when only one can be: about a row, else about the record, else any.
 * @param {{ readonly firstRow: Finding | null, readonly findings: readonly Finding[] }} report
 * @returns {Finding | undefined}
 */
export const firstToName = ({ firstRow, findings }) => firstRow ?? findings.find((one) => !isJunk(one)) ?? findings[0];

/** @param {Finding} finding */
const isOfRow = (finding) => finding.tree !== undefined && finding.position !== undefined;

/** Keeps the first twenty, the first of each tree and of each kind, and the first that names a row; counts all. */
export class Findings {
  /** @type {Finding[]} */
  list = [];
  count = 0;
  /** @type {Finding | undefined} */
  #firstRow;
  /** @type {Set<string>} */
  #trees = new Set();
  /** @type {Set<What>} */
  #kinds = new Set();

  get firstRow() {
    return this.#firstRow;
  }

  /**
   * @param {What} what
   * @param {string} text
   * @param {Omit<Finding, 'what' | 'text'>} [more]
   */
  say(what, text, more = {}) {
    return this.add({ what, text, ...more });
  }

  /**
   * @param {Finding} finding
   * @returns {Better}
   */
  add(finding) {
    this.count += 1;
    let current = finding;
    if (this.list.length < findingsMax || this.#isFirstOf(finding.tree) || !this.#kinds.has(finding.what))
      this.list.push(finding);
    this.#kinds.add(finding.what);
    if (finding.tree !== undefined && this.#trees.size < treesMax) this.#trees.add(finding.tree);
    if (isOfRow(finding)) this.#firstRow ??= finding;
    return (better) => {
      const index = this.list.indexOf(current);
      if (index !== -1) this.list[index] = better;
      if (this.#firstRow === current || (this.#firstRow === undefined && isOfRow(better))) this.#firstRow = better;
      current = better;
    };
  }

  /**
   * Takes over what was found in one tree, by position.
   * @param {Findings} other
   */
  take(other) {
    const placed = (/** @type {Finding} */ one) => one.position ?? one.from ?? Number.POSITIVE_INFINITY;
    for (const finding of [...other.list].sort((a, b) => placed(a) - placed(b))) this.add(finding);
    this.count += other.count - other.list.length;
  }

  /** @param {string | undefined} tree However many findings there are in other trees: whose tree it is wants to know. */
  #isFirstOf(tree) {
    return tree !== undefined && this.#trees.size < treesMax && !this.#trees.has(tree);
  }
}

/** @param {number} milliseconds */
export function instantText(milliseconds) {
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime()) ? `${milliseconds} ms` : date.toISOString();
}

/** @param {number} micros Since 1970. */
export const microsText = (micros) => instantText(Math.floor(micros / 1000));

const shownMax = 256;

/**
 * Returns text that anybody may have written in a printable form: quotes, backslashes, everything that controls a
 * terminal, a line or the direction of writing, and blanks of other scripts are escaped, and at most 256 characters are
 * shown.
 * @param {string} text
 */
export function shownText(text) {
  const head = [...text.slice(0, 2 * shownMax)];
  const isCut = text.length > 2 * shownMax || head.length > shownMax;
  const escaped = head
    .slice(0, shownMax)
    .map((one) =>
      one === ' ' || /[^\p{C}\p{Z}\p{M}"\\]/u.test(one) ? one : `\\u{${(one.codePointAt(0) ?? 0).toString(16)}}`,
    )
    .join('');
  return isCut ? `${escaped} (cut off here)` : escaped;
}

/** @param {number} seconds */
export function spanText(seconds) {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} days`;
}
