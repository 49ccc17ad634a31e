// Owns: what a good verification leaves for the next one, and proving it anew from its signed checkpoint before
// anything is extended from it.
// Must never: believe a size, a root or a number that this checkpoint does not cover.
import { fromBase64, isCount, isUuid, leafHash, sha256 } from './hash.js';
import { headText } from './head.js';
import { exactly, messageOf } from './json.js';
import { TreeMap } from './map.js';
import { Frontier } from './merkle.js';
import { parseNote, verifyNote } from './note.js';

/**
 * @typedef {import('./note.js').Note} Note
 * @typedef {import('./note.js').VerifierKey} VerifierKey
 * @typedef {import('./witness.js').Witness} Witness
 * @typedef {import('./witness-files.js').Place} Place
 * @typedef {{ readonly position: number, readonly at: number, readonly number: number, readonly secret: string }} LastHead `secret` in base64.
 *
 * Plain data, as it is written into a file. Some hundred bytes for each tree; nothing for an entry.
 * @typedef {object} Known
 * @property {string} note The newest checkpoint, which fits: the signed note.
 * @property {LastHead} head The last head that it covers.
 * @property {string} log The whole subtrees of the heads log before that head, the largest first: their roots behind each other, in base64.
 * @property {readonly (readonly [tree: string, size: number, roots: string])[]} trees As they stand after that head, in the order of their names.
 * @property {readonly string[]} secrets Of each epoch the first bytes of the hash of its secret, in base64.
 * @property {readonly (readonly [size: number, root: string])[]} roots Of the checkpoints that fitted last.
 * @property {readonly Place[]} witnesses How far each witness was read.
 *
 * The same, proved.
 * @typedef {object} Base
 * @property {string} text Of the note.
 * @property {Note} note
 * @property {Frontier} before The heads log before the last head.
 * @property {Frontier} log And with it.
 * @property {{ readonly position: number, readonly at: number, readonly number: number, readonly secret: Buffer }} head
 * @property {ReadonlyMap<string, Frontier>} trees
 * @property {TreeMap} map
 * @property {readonly string[]} secrets
 * @property {ReadonlyMap<number, string>} roots
 * @property {readonly Place[]} witnesses
 */

/**
 * This many checkpoints that fitted last are kept: a witness that lags, or has its lines from two wardens, shows some
 * of them again.
 */
export const rootsMax = 16_384;
/** And this many epochs: one begins every 23 hours, and when an operator asks. */
export const secretsMax = 65_536;

/**
 * A secret is not kept where it only matters that it is a different one.
 * @param {Buffer} secret
 */
export const tagOf = (secret) => sha256(secret).toString('base64', 0, 12);

const fields = /** @type {const} */ (['note', 'head', 'log', 'trees', 'secrets', 'roots', 'witnesses']);

/** @param {number} size @param {unknown} roots @returns {Frontier | undefined} */
function frontierOf(size, roots) {
  if (typeof roots !== 'string') return undefined;
  const bytes = fromBase64(roots, Buffer.byteLength(roots, 'base64'));
  if (bytes === undefined || bytes.length % 32 !== 0) return undefined;
  const parts = [];
  for (let at = 0; at < bytes.length; at += 32) parts.push(bytes.subarray(at, at + 32));
  return Frontier.from(size, parts);
}

/**
 * Every tree, in order.
 * @param {unknown} given
 * @returns {Map<string, Frontier> | undefined}
 */
function treesOf(given) {
  if (!Array.isArray(given)) return undefined;
  /** @type {Map<string, Frontier>} */
  const trees = new Map();
  let last = '';
  for (const one of given) {
    const [tree, size, roots] = Array.isArray(one) && one.length === 3 ? one : [];
    if (!isUuid(tree) || tree <= last || !isCount(size) || size === 0) return undefined;
    const frontier = frontierOf(size, roots);
    if (frontier === undefined) return undefined;
    trees.set(tree, frontier);
    last = tree;
  }
  return trees;
}

/** @param {unknown} given @returns {Base['head'] | undefined} */
function headOf(given) {
  const { position, at, number, secret: secret64 } = exactly(given, ['position', 'at', 'number', 'secret']) ?? {};
  const secret = fromBase64(secret64, 32);
  return isCount(position) && isCount(at) && isCount(number) && secret !== undefined
    ? { position, at, number, secret }
    : undefined;
}

/** @param {unknown} given @returns {Map<number, string> | undefined} */
function rootsOf(given) {
  if (!Array.isArray(given)) return undefined;
  /** @type {Map<number, string>} */
  const roots = new Map();
  for (const one of given) {
    const [size, root] = Array.isArray(one) && one.length === 2 ? one : [];
    if (!isCount(size) || typeof root !== 'string') return undefined;
    roots.set(size, root);
  }
  return roots;
}

/** @param {unknown} given @returns {given is readonly string[]} */
const areTexts = (given) => Array.isArray(given) && given.every((one) => typeof one === 'string');

/** @param {unknown} given @returns {given is readonly Place[]} */
const arePlaces = (given) =>
  Array.isArray(given) &&
  given.every((one) => {
    const { directory, days, files } = exactly(one, ['directory', 'days', 'files']) ?? {};
    return typeof directory === 'string' && areTexts(days) && Array.isArray(files) && files.every(isFile);
  });

/** @param {unknown} given */
function isFile(given) {
  const { day, bytes, sha256: hash, last } = exactly(given, ['day', 'bytes', 'sha256', 'last']) ?? {};
  const { size, era, time } = exactly(last, ['size', 'era', 'time']) ?? {};
  return (
    typeof day === 'string' &&
    isCount(bytes) &&
    typeof hash === 'string' &&
    (last === null || [size, era, time].every(isCount))
  );
}

/**
 * Computes everything anew: the trees give the map, the map gives the last head, that head gives the root of the heads
 * log, and a given key has signed that root. The answer is a sentence when anything does not fit.
 * @param {unknown} known
 * @param {readonly VerifierKey[]} keys
 * @returns {Base | string}
 */
export function proveKnown(known, keys) {
  const {
    note: text,
    head: given,
    log: subtrees,
    trees: listed,
    secrets,
    roots: marks,
    witnesses,
  } = exactly(known, fields) ?? {};
  const [head, trees, roots] = [headOf(given), treesOf(listed), rootsOf(marks)];
  const before = head === undefined ? undefined : frontierOf(head.position, subtrees);
  if (
    typeof text !== 'string' ||
    head === undefined ||
    trees === undefined ||
    roots === undefined ||
    before === undefined
  )
    return 'what was kept is malformed';
  if (!areTexts(secrets) || !arePlaces(witnesses)) return 'what was kept is malformed';
  /** @type {Note} */
  let note;
  try {
    note = parseNote(text);
  } catch (cause) {
    return `the checkpoint that was kept is none: ${messageOf(cause)}`;
  }
  const why = verifyNote(note, keys);
  if (why !== undefined) return `the checkpoint that was kept is not to be believed: ${why}`;
  const map = new TreeMap(head.secret);
  for (const [tree, frontier] of trees)
    if (!map.set(tree, frontier.size, frontier.root())) return 'the trees that were kept make no map';
  const log = before.copy();
  log.append(leafHash(Buffer.from(headText(head, map.root()))));
  if (log.size !== note.size || !log.root().equals(note.root))
    return 'what was kept is not what its own checkpoint covers';
  return { text, note, before, log, head, trees, map, secrets, roots, witnesses };
}

/**
 * Returns why the new checkpoints of the witnesses need a full run; undefined when a run that reads only what is new is
 * enough. A checkpoint that contradicts one that fitted before is a finding.
 * @param {Witness} witness Closed; of what is new.
 * @param {Base} base
 * @returns {string | undefined}
 */
export function whyWhole(witness, { note, roots }) {
  if (witness.whyFullRun !== undefined) return witness.whyFullRun;
  const other = witness.eras().find((era) => era !== note.era);
  if (other !== undefined)
    return `the witness shows a checkpoint of era ${other}, and the last good run was of era ${note.era}`;
  for (const { size, root } of witness.accepted()) {
    if (size >= note.size) return undefined;
    const fitted = roots.get(size);
    if (fitted === undefined)
      return `the witness shows one more checkpoint of size ${size}, which the last good run was beyond`;
    if (fitted !== root.toString('base64'))
      witness.findings.say(
        'two truths',
        `era ${note.era} has two different checkpoints of size ${size}, both rightly signed`,
        {
          from: size,
          to: size,
        },
      );
  }
  return undefined;
}
