// Owns: a head as the dump has it, its lines of trees, and the text that is its leaf data.
// Must never: accept a head of another version.
import { fromBase64, headsTree, isCount, isUuid } from './hash.js';
import { commitmentOf } from './map.js';

/**
 * @typedef {{ readonly tree: string, readonly size: number, readonly root: Buffer }} HeadTree
 * @typedef {object} Head
 * @property {number} position
 * @property {number} at Microseconds since 1970.
 * @property {number} number Of the last entry sealed so far.
 * @property {Buffer} secret Of its epoch.
 * @property {string} lines
 */

/**
 * Returns the head of a dump's line, or a sentence that says why it is none.
 * @param {readonly unknown[]} row
 * @returns {Head | string}
 */
export function parseHead(row) {
  const [position, at, number, secret64, lines] = row;
  if (row.length === 4) return 'this is a head of format 1, and this verifier reads format 2 only';
  const secret = fromBase64(secret64, 32);
  if (
    row.length !== 5 ||
    !isCount(position) ||
    !isCount(at) ||
    !isCount(number) ||
    secret === undefined ||
    typeof lines !== 'string'
  )
    return 'this is not a head';
  return { position, at, number, secret, lines };
}

/**
 * Returns the lines of a head, or undefined when they are not exactly such lines, in the order of the trees.
 * @param {string} lines
 * @returns {readonly HeadTree[] | undefined}
 */
export function parseHeadLines(lines) {
  if (lines === '') return [];
  if (!lines.endsWith('\n')) return undefined;
  /** @type {HeadTree[]} */
  const trees = [];
  for (const line of lines.slice(0, -1).split('\n')) {
    const [, tree, size, encoded] = /^(\S{36}) ([1-9]\d{0,15}) (\S{44})$/.exec(line) ?? [];
    const root = fromBase64(encoded, 32);
    if (root === undefined || !isUuid(tree) || tree === headsTree || !isCount(Number(size))) return undefined;
    if (tree <= (trees.at(-1)?.tree ?? '')) return undefined;
    trees.push({ tree, size: Number(size), root });
  }
  return trees;
}

/**
 * @param {Omit<Head, 'lines'>} head
 * @param {Buffer} mapRoot
 */
export const headText = ({ position, at, number, secret }, mapRoot) =>
  `cofferdam ledger head/2\n${position}\n${at}\n${mapRoot.toString('base64')}\n${commitmentOf(secret, position, number).toString('base64')}\n`;

/**
 * Returns the text of a head as a slice shows it, or undefined.
 * @param {unknown} text
 * @returns {{ readonly position: number, readonly at: number, readonly mapRoot: Buffer, readonly commitment: Buffer } | undefined}
 */
export function parseHeadText(text) {
  if (typeof text !== 'string') return undefined;
  const [, position, at, root64, commitment64] =
    /^cofferdam ledger head\/2\n(0|[1-9]\d{0,15})\n(0|[1-9]\d{0,15})\n(\S{44})\n(\S{44})\n$/.exec(text) ?? [];
  const [mapRoot, commitment] = [fromBase64(root64, 32), fromBase64(commitment64, 32)];
  if (mapRoot === undefined || commitment === undefined || !isCount(Number(position)) || !isCount(Number(at)))
    return undefined;
  return { position: Number(position), at: Number(at), mapRoot, commitment };
}
