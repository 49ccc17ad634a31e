// Owns: the positions of one tree for which the dump has no entry, and what accounts for each of them: an archive that
// was read, a sealed statement, or nothing.
// Must never: count an archive whose hash no sealed statement of this very tree names.
import { atPlace, placeText } from './entry.js';
import { blockSize } from './merkle.js';
import { account, Statements } from './statements.js';

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
 * @typedef {{ readonly from: number, readonly to: number }} Range
 */

/**
 * A sound record has a few runs in each tree. Beyond this number, positions are only counted, and all of them are
 * missing.
 */
const runsMax = 65_536;

export class Absences {
  #tree;
  #findings;
  #around;
  /** @type {Absent[]} */
  #absent = [];
  /** Of runs that are too many to be kept. */
  #uncounted = 0;
  /** @type {Map<number, Part>} */
  #parts = new Map();
  #statements = new Statements();
  /** The ranges of all statements, joined where they touch, in order; when the tree is closed. @type {readonly Range[]} */
  #ranges = [];
  #covered = -1;
  #unproven = 0;
  /**
   * Returns the entries that the hash of their block does not prove, by the archive that has them as well.
   * @type {Map<number, { readonly block: number, count: number }>}
   */
  #leaning = new Map();

  /**
   * @param {string} tree
   * @param {Findings} findings
   * @param {Pick<import('./tree.js').Surroundings, 'sha256Of' | 'isGiven'>} around
   */
  constructor(tree, findings, around) {
    this.#tree = tree;
    this.#findings = findings;
    this.#around = around;
  }

  /** @param {Absent} run */
  keep(run) {
    const last = this.#absent.at(-1);
    if (
      last !== undefined &&
      last.to === run.from - 1 &&
      last.sources.join() === run.sources.join() &&
      last.isHashed === run.isHashed
    )
      last.to = run.to;
    else if (this.#absent.length < runsMax) this.#absent.push(run);
    else this.#uncounted += run.to - run.from + 1;
  }

  /**
   * The last position is in another archive as well.
   * @param {number} position @param {number} source
   */
  alsoIn(position, source) {
    const last = this.#absent.at(-1);
    if (last?.to !== position || last.sources.includes(source)) return;
    if (last.from === position) this.#absent.pop();
    else last.to = position - 1;
    this.keep({ ...last, from: position, to: position, sources: [...last.sources, source] });
  }

  /**
   * The statements that count.
   * @returns {readonly Statement[]}
   */
  get statements() {
    return this.#statements.all;
  }

  /**
   * Adds a statement that a checkpoint covers. It counts only where its own leaf leads to a root, and not in a block of
   * which only the hash is known.
   * @param {Statement} statement
   * @param {number} block In which it stands.
   */
  state(statement, block) {
    if (block !== this.#covered) this.#statements.add(statement, block);
  }

  /**
   * Only the hash of this block is known.
   * @param {number} block
   */
  cover(block) {
    this.#covered = block;
    this.#statements.takeBack(block);
  }

  /** A statement that no checkpoint covers: it excuses nothing. */
  passOver() {
    this.#unproven += 1;
  }

  /**
   * Entries of a block of which only the hash is known: an archive must have them as well (0: none has), or nothing
   * proves that they are what was sealed.
   * @param {number} source
   * @param {number} block
   * @param {number} count
   */
  lean(source, block, count) {
    const known = this.#leaning.get(source);
    if (known === undefined) this.#leaning.set(source, { block, count });
    else known.count += count;
  }

  /**
   * Returns whether a row that came after rows of higher positions is one of these.
   * @param {Entry} entry
   */
  isLate(entry) {
    const gap = this.#absent.findLast(
      (run) => run.sources.length === 0 && entry.position >= run.from && entry.position <= run.to,
    );
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

  /**
   * Decides for each absent position whether an archive has it, the record states it, or nobody knows of it. A file
   * that was given is compared with every statement that names it, and excuses what it holds; one that was not given
   * excuses what can have been of its month.
   * @param {(month: string) => Range | undefined} within Between which positions those of a month lie.
   */
  close(within) {
    /** @type {Set<number>} */
    const known = new Set();
    const { sha256Of, isGiven } = this.#around;
    /** @type {{ readonly statement: Statement, left: number }[]} */
    const allowances = [];
    /** @type {Map<string | undefined, number[]>} */
    const sources = new Map();
    for (const source of this.#parts.keys())
      sources.set(sha256Of(source), [...(sources.get(sha256Of(source)) ?? []), source]);
    /** @type {Map<string, Range | undefined>} */
    const months = new Map();
    for (const statement of this.#statements.all) {
      if (isGiven(statement.sha256)) {
        const own = sources.get(statement.sha256) ?? [];
        for (const source of own) known.add(source);
        for (const source of own) this.#comparePart(this.#parts.get(source), statement);
        if (own.length === 0) this.#comparePart(undefined, statement);
        continue;
      }
      const { month, first, last, entries } = statement;
      if (!months.has(month)) months.set(month, within(month));
      const { from, to } = months.get(month) ?? { from: 0, to: -1 };
      const narrowed = { ...statement, first: Math.max(first, from), last: Math.min(last, to) };
      if (narrowed.first <= narrowed.last) allowances.push({ statement: narrowed, left: entries });
    }
    this.#ranges = joined(allowances.map(({ statement }) => ({ from: statement.first, to: statement.last })));
    const runs = this.#absent.filter(({ sources }) => !sources.some((source) => known.has(source)));
    const { missing, stated } = account(runs, allowances);
    for (const run of runs) this.#sayAbsent(run, missing);
    // The missing positions were reported, and they are the reason why the leaves are not there.
    const isSaid = missing.length > 0 || runs.some(({ late }) => late !== undefined);
    for (const [source, { block, count }] of this.#leaning)
      if (!known.has(source) && !isSaid) this.#sayLeaning(block, count);
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

  /** @param {Part | undefined} part Nothing: the file has nothing of this tree. @param {Statement} statement */
  #comparePart(part, statement) {
    const { entries, first, last, file } = statement;
    if (part?.count === entries && part.first === first && part.last === last) return;
    const held = part === undefined ? 'none' : `${part.count}, positions ${part.first} to ${part.last}`;
    const text = `tree ${this.#tree}: of ${file} the record states ${entries} entries, positions ${first} to ${last}; it holds ${held}`;
    this.#findings.say('archive', text, { tree: this.#tree, from: part?.first ?? first, to: part?.last ?? last });
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
    const where =
      number === undefined && head !== undefined
        ? ` (sealed with head ${head}, as one of the numbers ${low} to ${high})`
        : '';
    const what = from === to ? 'the entry is missing' : `${to - from + 1} entries are missing, up to position ${to}`;
    const why =
      sources.length > 0
        ? ': an archive has it, and no sealed statement of this tree names that file by its hash'
        : this.#unproven > 0
          ? `, and no sealed statement accounts for it that a checkpoint covers (${this.#unproven} are newer than the witness: copy it again, dump again)`
          : (this.#ranges[firstAfter(this.#ranges, from)]?.from ?? Number.POSITIVE_INFINITY) <= to
            ? ', and the sealed statements account for fewer than are absent here: which it is, only the archive tells'
            : this.#statements.all.some(({ first, last }) => first <= to && last >= from)
              ? ', and the sealed statements that name it cannot mean it: it was sealed too long after that month, or before it, or the file that was given does not hold it'
              : ', and no sealed statement accounts for it';
    const text = `${placeText(this.#tree, from, number)}: ${what}${where}${why}`;
    this.#findings.add({ what: 'missing', text, tree: this.#tree, position: from, number, head, from, to });
  }
}

/**
 * Ranges in order, joined where they overlap.
 * @param {readonly Range[]} ranges
 */
function joined(ranges) {
  /** @type {{ readonly from: number, to: number }[]} */
  const result = [];
  for (const { from, to } of [...ranges].sort((a, b) => a.from - b.from)) {
    const last = result.at(-1);
    if (last !== undefined && from <= last.to) last.to = Math.max(last.to, to);
    else result.push({ from, to });
  }
  return result;
}

/**
 * The first run that does not end before a position; by halving.
 * @param {readonly Range[]} runs
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
