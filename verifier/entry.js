// Owns: an entry as a line of a dump, an archive or a slice has it, and its leaf hash, computed from its fields.
// Must never: use the leaf hash that the database stores for anything that is computed.
import { commonTree, fromHex, headsTree, isCount, isUuid, leafHash, sha256 } from './hash.js';

/** @typedef {string | number | null} Cell */

/** The 23 columns of a dump's entry before salt and leaf, by kind: u UUID, i integer, w text; ? may be absent. */
const columns = 'u i i i w w u? u? u? w? w? u? u? i? i? w? w? w? w? i? w? w? w?'.split(' ');
/** The columns of a slice: all public ones, and therefore without the number, which is the third. */
const shownColumns = columns.slice(0, 16).filter((_, i) => i !== 2);

/**
 * @typedef {object} Entry
 * @property {string} tree
 * @property {number} position
 * @property {number} number
 * @property {readonly Cell[]} cells The columns in the order of a dump, the first three included.
 * @property {Buffer} salt
 * @property {Buffer} leaf As it was computed when the entry was sealed.
 */

/**
 * @param {unknown} value
 * @param {string | undefined} kind
 * @returns {value is Cell}
 */
function isCell(value, kind) {
  if (value === null) return kind?.endsWith('?') === true;
  if (kind?.startsWith('i')) return typeof value === 'number' && Number.isSafeInteger(value) && !Object.is(value, -0);
  return typeof value === 'string' && (!kind?.startsWith('u') || isUuid(value));
}

/**
 * @param {readonly unknown[]} values
 * @param {readonly string[]} kinds
 * @returns {values is readonly Cell[]}
 */
function areCells(values, kinds) {
  for (let i = 0; i < kinds.length; i += 1) if (!isCell(values[i], kinds[i])) return false;
  return values[0] !== headsTree && isCount(values[1]);
}

/**
 * Returns the entry of a dump's line, or undefined when it is none.
 * @param {readonly unknown[]} values
 * @returns {Entry | undefined}
 */
export function parseEntry(values) {
  const salt = fromHex(values[23], 32);
  const leaf = fromHex(values[24], 32);
  if (values.length !== 25 || salt === undefined || leaf === undefined || !areCells(values, columns)) return undefined;
  const [tree, position, number] = values;
  if (typeof tree !== 'string' || !isCount(position) || !isCount(number) || number === 0) return undefined;
  return { tree, position, number, cells: values.slice(0, 23), salt, leaf };
}

/**
 * Returns the public fields of a slice's line, or undefined.
 * @param {unknown} values
 * @returns {readonly Cell[] | undefined}
 */
export const parseShown = (values) =>
  Array.isArray(values) && values.length === shownColumns.length && areCells(values, shownColumns) ? values : undefined;

/** @param {readonly Cell[]} shown Fields in the order of a slice. */
const publicArray = (shown) => `["cofferdam ledger public/2",${JSON.stringify(shown).slice(1)}`;

/** @param {readonly Cell[]} hidden The number first. */
const sensitiveArray = (hidden) => `["cofferdam ledger sensitive/2",${JSON.stringify(hidden).slice(1)}`;

/**
 * @param {Uint8Array} salt
 * @param {string} array
 */
const digest = (salt, array) => sha256(Buffer.concat([salt, Buffer.from(array)]));

/** @param {Pick<Entry, 'cells' | 'salt'>} entry */
export function leafOf({ cells, salt }) {
  const shown = digest(salt.subarray(0, 16), publicArray([...cells.slice(0, 2), ...cells.slice(3, 16)]));
  const hidden = digest(salt.subarray(16), sensitiveArray([cells[2] ?? null, ...cells.slice(16)]));
  return leafHash(Buffer.concat([shown, hidden]));
}

/**
 * Returns the leaf of what a slice shows.
 * @param {readonly Cell[]} shown
 * @param {Buffer} salt
 * @param {Buffer} sensitive
 */
export const leafOfShown = (shown, salt, sensitive) =>
  leafHash(Buffer.concat([digest(salt, publicArray(shown)), sensitive]));

/**
 * Returns the leaf hash that this entry would have at another place.
 * @param {Entry} entry
 * @param {number} position
 * @param {number} number
 */
export const leafAt = (entry, position, number) =>
  leafOf({ cells: [entry.tree, position, number, ...entry.cells.slice(3)], salt: entry.salt });

/**
 * Returns whether an entry is in the tree of its customer.
 * @param {string} tree
 * @param {unknown} customer
 */
export const isOwnTree = (tree, customer) =>
  customer === null ? tree === commonTree : tree === customer && tree !== commonTree;

/** @param {Entry} entry */
export const fieldsOf = ({ cells }) => ({
  kind: cells[4],
  customer: cells[6] ?? null,
  publicText: cells[15],
  sensitiveText: cells[22],
});

/**
 * @param {string} tree
 * @param {number} position
 * @param {number} [number]
 */
export const placeText = (tree, position, number) =>
  `tree ${tree} position ${position}${number === undefined ? '' : ` (entry number ${number})`}`;

/** @param {Entry} entry */
export const atPlace = ({ tree, position, number }) => ({ tree, position, number });
