// Owns: what the record itself states about what left the database: sealed `ledger.archived` and
// `ledger.archive-deleted`, and for which absent positions they account.
// Must never: let one stated entry account for two positions, or count a statement that no checkpoint covers.
import { fieldsOf } from './entry.js';
import { commonTree, isCount } from './hash.js';
import { parseStrictly } from './json.js';

/**
 * @typedef {import('./entry.js').Entry} Entry
 *
 * @typedef {object} Statement
 * @property {string} month
 * @property {number} first
 * @property {number} last
 * @property {number} entries
 * @property {string} file
 * @property {string} sha256
 * @property {number} total
 *
 * A run of positions of which no entry is in the dump.
 * @typedef {object} Run
 * @property {number} from
 * @property {number} to
 */

export const archivedKind = 'ledger.archived';
export const deletedKind = 'ledger.archive-deleted';

/** @param {unknown} text @returns {Readonly<Record<string, unknown>>} */
function fieldsIn(text) {
  const value = typeof text === 'string' ? parseStrictly(text) : undefined;
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
}

/** @param {unknown} value @returns {value is string} */
const isWord = (value) => typeof value === 'string' && value !== '';

/**
 * Returns what an entry of kind `ledger.archived` states, or nothing when a part of it is missing or impossible.
 * @param {Entry} entry
 * @returns {Statement | undefined}
 */
export function statementOf(entry) {
  const { publicText, sensitiveText } = fieldsOf(entry);
  const { month, first, last, entries } = fieldsIn(publicText);
  const { file, sha256, total } = fieldsIn(sensitiveText);
  if (!isWord(month) || !monthShape.test(month) || !isCount(first) || !isCount(last) || !isCount(entries))
    return undefined;
  if (!isWord(file) || !isWord(sha256) || !/^[0-9a-f]{64}$/.test(sha256) || !isCount(total)) return undefined;
  const isPossible =
    first <= last && last < entry.position && entries >= 1 && entries <= last - first + 1 && entries <= total;
  return isPossible ? { month, first, last, entries, file, sha256, total } : undefined;
}

/**
 * Returns the file of an entry of kind `ledger.archive-deleted`, or nothing.
 * @param {Entry} entry
 * @returns {string | undefined}
 */
export function deletedFileOf(entry) {
  const { month, file } = fieldsIn(fieldsOf(entry).sensitiveText);
  return entry.tree === commonTree && isWord(month) && isWord(file) ? file : undefined;
}

/** The month of an archive: from 1970 on, and one that exists. */
const monthShape = /^(?:19[7-9]\d|[2-9]\d{3})-(?:0[1-9]|1[0-2])$/;

/**
 * The statements of one tree that count, in the order of their positions. Whoever owns the database can have as many as
 * he likes sealed, so each takes the same time, however many there are.
 */
export class Statements {
  /** @type {{ readonly statement: Statement, readonly key: string, readonly block: number }[]} */
  #kept = [];
  #keys = new Set();

  /** @returns {readonly Statement[]} */
  get all() {
    return this.#kept.map(({ statement }) => statement);
  }

  /**
   * Statements that are alike in every field, by a sealing that was tried again, count once.
   * @param {Statement} statement
   * @param {number} block In which it stands.
   */
  add(statement, block) {
    const { month, first, last, entries, file, sha256, total } = statement;
    const key = JSON.stringify([month, first, last, entries, file, sha256, total]);
    if (this.#keys.has(key)) return;
    this.#keys.add(key);
    this.#kept.push({ statement, key, block });
  }

  /** Takes back the statements of the last block. @param {number} block */
  takeBack(block) {
    for (let last = this.#kept.at(-1); last?.block === block; last = this.#kept.at(-1)) {
      this.#keys.delete(last.key);
      this.#kept.pop();
    }
  }
}

/** @typedef {{ readonly statement: Statement, left: number }} Allowance How many positions a statement can still take. */

/** Statements whose ranges have begun; the one whose range ends first is on top. */
class Open {
  /** @type {Allowance[]} */
  #heap = [];

  /** @param {number} index */
  #end(index) {
    return this.#heap[index]?.statement.last ?? Number.POSITIVE_INFINITY;
  }

  /** @param {number} a @param {number} b */
  #swap(a, b) {
    const [one, other] = [this.#heap[a], this.#heap[b]];
    if (one !== undefined && other !== undefined) [this.#heap[a], this.#heap[b]] = [other, one];
  }

  /** @param {Allowance} allowance */
  push(allowance) {
    let at = this.#heap.push(allowance) - 1;
    for (let above = (at - 1) >> 1; at > 0 && this.#end(at) < this.#end(above); above = (at - 1) >> 1) {
      this.#swap(at, above);
      at = above;
    }
  }

  /** The one to be used at a position, which only grows: those that have ended, or have nothing left, are let go. @param {number} position */
  at(position) {
    for (let top = this.#heap[0]; top !== undefined; top = this.#heap[0]) {
      if (top.statement.last >= position && top.left > 0) return top;
      this.#pop();
    }
    return undefined;
  }

  #pop() {
    this.#swap(0, this.#heap.length - 1);
    this.#heap.pop();
    for (let at = 0; ; ) {
      const below = this.#end(2 * at + 1) <= this.#end(2 * at + 2) ? 2 * at + 1 : 2 * at + 2;
      if (this.#end(below) >= this.#end(at)) return;
      this.#swap(at, below);
      at = below;
    }
  }
}

/**
 * Gives each absent position to a statement in whose range it lies, and to each statement no more than the entries that
 * it counts: the range that ends first is used first, which serves as many positions as possible. `left` says how many
 * a statement can still take.
 * @param {readonly Run[]} runs In order, apart from each other.
 * @param {readonly Allowance[]} allowances
 * @returns {{ readonly missing: Run[], readonly stated: Map<string, number> }} `stated`: positions by file.
 */
export function account(runs, allowances) {
  const byFirst = [...allowances].sort((a, b) => a.statement.first - b.statement.first);
  /** @type {Run[]} */
  const missing = [];
  /** @type {Map<string, number>} */
  const stated = new Map();
  const open = new Open();
  let begun = 0;
  for (const run of runs)
    for (let at = run.from; at <= run.to; ) {
      let next = byFirst[begun];
      for (; next !== undefined && next.statement.first <= at; next = byFirst[begun]) {
        begun += 1;
        open.push(next);
      }
      const taken = open.at(at);
      const until = Math.min(run.to, next === undefined ? run.to : next.statement.first - 1);
      const end = taken === undefined ? until : Math.min(until, taken.statement.last, at + taken.left - 1);
      if (taken === undefined) add(missing, at, end);
      else {
        taken.left -= end - at + 1;
        stated.set(taken.statement.file, (stated.get(taken.statement.file) ?? 0) + end - at + 1);
      }
      at = end + 1;
    }
  return { missing, stated };
}

/**
 * @param {Run[]} runs
 * @param {number} from
 * @param {number} to
 */
function add(runs, from, to) {
  const last = runs.at(-1);
  if (last !== undefined && last.to === from - 1) runs[runs.length - 1] = { from: last.from, to };
  else runs.push({ from, to });
}
