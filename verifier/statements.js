// Owns: what the record itself states of what left the database: sealed `ledger.archived` and `ledger.archive-deleted`, and which absent positions they account for.
// Must never: let one stated entry account for two positions, or a statement count that no checkpoint covers.
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
 * What an entry of kind `ledger.archived` states, or nothing when it is not all there, or cannot be.
 * @param {Entry} entry
 * @returns {Statement | undefined}
 */
export function statementOf(entry) {
  const { publicText, sensitiveText } = fieldsOf(entry);
  const { month, first, last, entries } = fieldsIn(publicText);
  const { file, sha256, total } = fieldsIn(sensitiveText);
  if (!isWord(month) || !/^\d{4}-\d\d$/.test(month) || !isCount(first) || !isCount(last) || !isCount(entries)) return undefined;
  if (!isWord(file) || !isWord(sha256) || !/^[0-9a-f]{64}$/.test(sha256) || !isCount(total)) return undefined;
  const isPossible = first <= last && last < entry.position && entries >= 1 && entries <= last - first + 1 && entries <= total;
  return isPossible ? { month, first, last, entries, file, sha256, total } : undefined;
}

/** When a month of entries may leave the database at the earliest: it has been over for a month. Microseconds since 1970. @param {string} month */
export function leavesAt(month) {
  const [year = 0, number = 0] = month.split('-').map(Number);
  return Date.UTC(year, number + 1, 1) * 1000;
}

/**
 * The file of an entry of kind `ledger.archive-deleted`, or nothing.
 * @param {Entry} entry
 * @returns {string | undefined}
 */
export function deletedFileOf(entry) {
  const { month, file } = fieldsIn(fieldsOf(entry).sensitiveText);
  return entry.tree === commonTree && isWord(month) && isWord(file) ? file : undefined;
}

/**
 * Statements that are alike in every field, by a sealing that was tried again, count once.
 * @param {Statement[]} statements
 * @param {Statement} statement
 */
export function addStatement(statements, statement) {
  const same = (/** @type {Statement} */ one) =>
    Object.entries(one).every(([name, value]) => value === Object.entries(statement).find(([other]) => other === name)?.[1]);
  if (statements.some(same)) return false;
  statements.push(statement);
  return true;
}

/**
 * Gives each absent position to a statement in whose range it lies, and to each statement no more than the entries it counts: the range that ends first is
 * used first, which serves as many as can be. `left` says how many a statement can still take.
 * @param {readonly Run[]} runs In order, apart from each other.
 * @param {readonly { readonly statement: Statement, left: number }[]} allowances
 * @returns {{ readonly missing: Run[], readonly stated: Map<string, number> }} `stated`: positions by file.
 */
export function account(runs, allowances) {
  const byFirst = [...allowances].sort((a, b) => a.statement.first - b.statement.first);
  /** @type {Run[]} */
  const missing = [];
  /** @type {Map<string, number>} */
  const stated = new Map();
  /** Begun and not ended, by end. @type {{ readonly statement: Statement, left: number }[]} */
  let open = [];
  let begun = 0;
  for (const run of runs)
    for (let at = run.from; at <= run.to; ) {
      let next = byFirst[begun];
      for (; next !== undefined && next.statement.first <= at; next = byFirst[begun]) {
        begun += 1;
        open.push(next);
        open.sort((a, b) => a.statement.last - b.statement.last);
      }
      const now = at;
      open = open.filter(({ statement, left }) => statement.last >= now && left > 0);
      const until = Math.min(run.to, next === undefined ? run.to : next.statement.first - 1);
      const [taken] = open;
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
