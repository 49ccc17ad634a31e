// Owns: the positions of one tree of which the dump has no entry, and who accounts for each: an archive that was read, a sealed statement, or nobody.
// Must never: count an archive whose hash no sealed statement of this very tree names.
import { atPlace, placeText } from './entry.js';
import { blockSize } from './merkle.js';
import { account, addStatement } from './statements.js';

/**
 * @typedef {import('./entry.js').Entry} Entry
 * @typedef {import('./findings.js').Findings} Findings
 * @typedef {import('./statements.js').Statement} Statement
 *
 * Positions without an entry in the dump. `sources`: the archives that have them.
 * @typedef {object} Absent
 * @property {number} from
 * @property {number} to
 * @property {readonly number[]} sources
 * @property {boolean} isHashed Whether blocks and leaves let the roots behind them be computed.
 * @property {{ readonly head: number, readonly low: number, readonly high: number } | undefined} sealed With which head the first was sealed.
 * @property {Entry} [late] A row of theirs that came behind rows of higher positions.
 *
 * @typedef {{ count: number, first: number, last: number }} Part What an archive has of this tree.
 */

/** Of a record as it should be there are a few in each tree. Beyond so many, positions are only counted, and all of them are missing. */
const runsMax = 65_536;

export class Absences {
  #tree;
  #findings;
  #sha256Of;
  /** @type {Absent[]} */
  #absent = [];
  /** Of runs that are too many to be kept. */
  #uncounted = 0;
  /** @type {Map<number, Part>} */
  #parts = new Map();
  /** @type {Statement[]} */
  #statements = [];
  /** The block in which each of them stands. @type {Map<Statement, number>} */
  #blocks = new Map();
  #covered = -1;
  #unproven = 0;
  /** Entries that the hash of their block does not prove, by the archive that has them, too. @type {Map<number, { readonly block: number, count: number }>} */
  #leaning = new Map();

  /**
   * @param {string} tree
   * @param {Findings} findings
   * @param {(source: number) => string | undefined} sha256Of
   */
  constructor(tree, findings, sha256Of) {
    this.#tree = tree;
    this.#findings = findings;
    this.#sha256Of = sha256Of;
  }

  /** @param {Absent} run */
  keep(run) {
    const last = this.#absent.at(-1);
    if (last !== undefined && last.to === run.from - 1 && last.sources.join() === run.sources.join() && last.isHashed === run.isHashed)
      last.to = run.to;
    else if (this.#absent.length < runsMax) this.#absent.push(run);
    else this.#uncounted += run.to - run.from + 1;
  }

  /** The last position is in another archive, too. @param {number} position @param {number} source */
  alsoIn(position, source) {
    const last = this.#absent.at(-1);
    if (last?.to !== position || last.sources.includes(source)) return;
    if (last.from === position) this.#absent.pop();
    else last.to = position - 1;
    this.keep({ ...last, from: position, to: position, sources: [...last.sources, source] });
  }

  /** Statements that count. @returns {readonly Statement[]} */
  get statements() {
    return this.#statements;
  }

  /**
   * A statement that a checkpoint covers. It counts only where its own leaf leads to a root: not in a block of which the hash has to do.
   * @param {Statement} statement
   * @param {number} block In which it stands.
   */
  state(statement, block) {
    if (block !== this.#covered && addStatement(this.#statements, statement)) this.#blocks.set(statement, block);
  }

  /** Of this block only the hash is known. @param {number} block */
  cover(block) {
    this.#covered = block;
    this.#statements = this.#statements.filter((statement) => this.#blocks.get(statement) !== block);
  }

  /** A statement that no checkpoint covers: it excuses nothing. */
  passOver() {
    this.#unproven += 1;
  }

  /**
   * Entries of a block of which only the hash is known: an archive has to have them, too (0: none has), or nothing says that they are what was sealed.
   * @param {number} source
   * @param {number} block
   * @param {number} count
   */
  lean(source, block, count) {
    const known = this.#leaning.get(source);
    if (known === undefined) this.#leaning.set(source, { block, count });
    else known.count += count;
  }

  /** Whether a row that came behind rows of higher positions is of these. @param {Entry} entry */
  isLate(entry) {
    const gap = this.#absent.findLast((run) => run.sources.length === 0 && entry.position >= run.from && entry.position <= run.to);
    if (gap === undefined || gap.late !== undefined) return false;
    gap.late = entry;
    return true;
  }

  /** @param {number} position @param {number} source */
  partOf(position, source) {
    const part = this.#parts.get(source) ?? { count: 0, first: position, last: position };
    part.count += 1;
    [part.first, part.last] = [Math.min(part.first, position), Math.max(part.last, position)];
    this.#parts.set(source, part);
  }

  /** Which of the absent positions an archive has, the record states, or nobody knows. */
  close() {
    /** @type {Set<number>} */
    const known = new Set();
    const allowances = this.#statements.map((statement) => ({ statement, left: statement.entries }));
    for (const [source, part] of this.#parts)
      for (const allowance of allowances)
        if (allowance.statement.sha256 === this.#sha256Of(source)) {
          known.add(source);
          allowance.left = 0;
          this.#comparePart(part, allowance.statement);
        }
    const runs = this.#absent.filter(({ sources }) => !sources.some((source) => known.has(source)));
    const { missing, stated } = account(runs, allowances);
    for (const run of runs) this.#sayAbsent(run, missing);
    // What is missing was said, and is why the leaves are not there.
    const isSaid = missing.length > 0 || runs.some(({ late }) => late !== undefined);
    for (const [source, { block, count }] of this.#leaning) if (!known.has(source) && !isSaid) this.#sayLeaning(block, count);
    if (this.#uncounted > 0)
      this.#findings.say('missing', `tree ${this.#tree}: ${this.#uncounted} more entries are missing, here and there`, {
        tree: this.#tree,
      });
    return stated;
  }

  /** @param {number} block @param {number} count */
  #sayLeaning(block, count) {
    const text = `tree ${this.#tree}: leaves are missing from the dump, so of some blocks (the first is ${block}) only the hash is known: ${count} of their entries are in the database and could be compared with nothing`;
    this.#findings.say('block', text, { tree: this.#tree, from: block * blockSize });
  }

  /** @param {Part} part @param {Statement} statement */
  #comparePart({ count, first, last }, statement) {
    if (count === statement.entries && first === statement.first && last === statement.last) return;
    const text = `tree ${this.#tree}: of ${statement.file} the record states ${statement.entries} entries, positions ${statement.first} to ${statement.last}; it holds ${count}, positions ${first} to ${last}`;
    this.#findings.say('archive', text, { tree: this.#tree, from: first, to: last });
  }

  /** @param {Absent} run @param {readonly { readonly from: number, readonly to: number }[]} missing */
  #sayAbsent(run, missing) {
    const { late } = run;
    if (late !== undefined) {
      const text = `${placeText(late.tree, late.position, late.number)}: the row stands behind rows of higher positions`;
      this.#findings.add({ what: 'out of order', text, ...atPlace(late) });
      return;
    }
    for (let i = firstAfter(missing, run.from); i < missing.length; i += 1) {
      const one = missing[i];
      if (one === undefined || one.from > run.to) break;
      this.#sayMissing(Math.max(one.from, run.from), Math.min(one.to, run.to), run);
    }
    if (run.isHashed || missing.some(({ from, to }) => from <= run.to && to >= run.from)) return;
    const text = `tree ${this.#tree}: positions ${run.from} to ${run.to} are in an archive, and neither block nor leaf stands for them: no root behind them could be computed`;
    this.#findings.say('block', text, { tree: this.#tree, from: run.from, to: run.to });
  }

  /** @param {number} from @param {number} to @param {Absent} run */
  #sayMissing(from, to, { sources, sealed }) {
    const { head, low, high } = sealed ?? {};
    const number = low !== undefined && low === high ? low : undefined;
    const where = number === undefined && head !== undefined ? ` (sealed with head ${head}, as one of the numbers ${low} to ${high})` : '';
    const what = from === to ? 'the entry is missing' : `${to - from + 1} entries are missing, up to position ${to}`;
    const why =
      sources.length > 0
        ? ': an archive has it, and no sealed statement of this tree names that file by its hash'
        : this.#unproven > 0
          ? `, and no sealed statement accounts for it that a checkpoint covers (${this.#unproven} are newer than the witness: copy it again, dump again)`
          : this.#statements.some(({ first, last }) => first <= to && last >= from)
            ? ', and the sealed statements account for fewer than are absent here: which it is, only the archive tells'
            : ', and no sealed statement accounts for it';
    const text = `${placeText(this.#tree, from, number)}: ${what}${where}${why}`;
    this.#findings.add({ what: 'missing', text, tree: this.#tree, position: from, number, head, from, to });
  }
}

/**
 * The first run that does not end before a position; by halving.
 * @param {readonly { readonly from: number, readonly to: number }[]} runs
 * @param {number} position
 */
function firstAfter(runs, position) {
  let [low, high] = [0, runs.length];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if ((runs[middle]?.to ?? 0) < position) low = middle + 1;
    else high = middle;
  }
  return low;
}
