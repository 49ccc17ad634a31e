// Owns: verifier keys and checkpoints: C2SP signed notes and their Ed25519 signatures.
// Must never: believe a note that no given key has signed, or that a key signed after its end.
import { createPublicKey, verify } from 'node:crypto';
import { fromBase64, sha256 } from './hash.js';

/**
 * @typedef {{ readonly era: number, readonly size: number }} End The last checkpoint that a retired key may have signed.
 * @typedef {{ readonly name: string, readonly id: string, readonly key: import('node:crypto').KeyObject, readonly end: End | undefined }} VerifierKey
 */

/**
 * Returns whether a text has the form of a verifier key. Such a text is a key and never the name of a file: whoever
 * hands on a folder could give a file in it the name of the key that is typed.
 * @param {string} text
 */
export const hasKeyForm = (text) => /^[^+]+\+[0-9a-f]{8}\+/.test(text);

/**
 * Throws an Error unless all keys belong to one installation, and each of them has one end.
 * @param {readonly VerifierKey[]} keys
 */
export function requireOneInstallation(keys) {
  const known = new Map();
  for (const { name, id, end } of keys) {
    if (name !== keys[0]?.name) throw new Error('the keys are of different installations: verify one record at a time');
    const text = end === undefined ? 'no end' : `${end.era}:${end.size}`;
    if ((known.get(id) ?? text) !== text)
      throw new Error(`the key ${name}+${id} was given with two different ends: give the one that holds`);
    known.set(id, text);
  }
}

/**
 * `name+id+base64`, and for a key that was retired `@era:size` behind it. Throws an Error that says what is wrong.
 * @param {string} text
 * @returns {VerifierKey}
 */
export function parseVerifierKey(text) {
  const [, name, id, encoded, era, size] =
    /^((?:[A-Za-z0-9._-]+\/)*[A-Za-z0-9._-]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})(?:@(0|[1-9]\d{0,14}):(0|[1-9]\d{0,14}))?$/.exec(
      text,
    ) ?? [];
  const bytes = fromBase64(encoded, 33);
  if (name === undefined || id === undefined || bytes === undefined || bytes[0] !== 1)
    throw new Error(
      'this is not a verifier key (name+8 hexadecimal digits+base64, Ed25519; a retired one with @ERA:SIZE behind it)',
    );
  if (sha256(Buffer.concat([Buffer.from(`${name}\n`), bytes])).toString('hex', 0, 4) !== id)
    throw new Error(`the verifier key of ${name} does not fit its key id: a letter was changed`);
  const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), bytes.subarray(1)]);
  const end = era === undefined ? undefined : { era: Number(era), size: Number(size) };
  return { name, id, key: createPublicKey({ key: der, format: 'der', type: 'spki' }), end };
}

/**
 * @typedef {object} Note
 * @property {string} origin
 * @property {number} size
 * @property {Buffer} root
 * @property {number} era
 * @property {number} time Milliseconds since 1970.
 * @property {string} body
 * @property {readonly { readonly name: string, readonly id: string, readonly signature: Buffer }[]} signatures
 */

const noteShape =
  /^(([^\s+]+)\n(0|[1-9]\d{0,14})\n(\S+)\nera (0|[1-9]\d{0,14})\ntime (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)\n)\n((?:\u2014 [^\s+]+ [A-Za-z0-9+/]+={0,2}\n){1,16})$/;

/**
 * Throws an Error for whatever is not exactly a checkpoint; says nothing about its signature.
 * @param {string} text
 * @returns {Note}
 */
export function parseNote(text) {
  const [, body, origin, size, root64, era, time, lines] = noteShape.exec(text) ?? [];
  const root = fromBase64(root64, 32);
  if (body === undefined || origin === undefined || lines === undefined || root === undefined)
    throw new Error(
      /\nentries \d+\n\n/.test(text)
        ? 'this is a checkpoint of format 1, and this verifier reads format 2 only'
        : 'this is not a checkpoint',
    );
  const instant = Date.parse(time ?? '');
  if (Number.isNaN(instant) || new Date(instant).toISOString() !== time)
    throw new Error('the time of the checkpoint is none');
  const signatures = lines
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [, name = '', encoded] = line.split(' ');
      const bytes = Buffer.from(encoded ?? '', 'base64');
      if (bytes.toString('base64') !== encoded || bytes.length < 5) throw new Error('a signature line is malformed');
      return { name, id: bytes.toString('hex', 0, 4), signature: bytes.subarray(4) };
    });
  return { origin, size: Number(size), root, era: Number(era), time: instant, body, signatures };
}

/**
 * @param {{ readonly era: number, readonly size: number }} one
 * @param {{ readonly era: number, readonly size: number }} other
 */
export const isLater = (one, other) => one.era > other.era || (one.era === other.era && one.size > other.size);

/**
 * Returns why a note is not to be believed; undefined when a given key has signed it. Lines of unknown keys do not
 * count.
 * @param {Note} note
 * @param {readonly VerifierKey[]} keys
 * @returns {string | undefined}
 */
export function verifyNote(note, keys) {
  if (!keys.some(({ name }) => name === note.origin))
    return `it is of ${note.origin}, not of ${keys[0]?.name ?? 'any given key'}`;
  let isSigned = false;
  /** @type {string | undefined} */
  let late;
  for (const { name, id, signature } of note.signatures) {
    const known = keys.find((key) => key.name === name && key.id === id && name === note.origin);
    if (known === undefined) continue;
    if (signature.length !== 64 || !verify(null, Buffer.from(note.body), known.key, signature))
      return `the signature of key ${id} is false`;
    if (known.end === undefined || !isLater(note, known.end)) isSigned = true;
    else late = `key ${id} was retired with era ${known.end.era}, size ${known.end.size}`;
  }
  if (isSigned) return undefined;
  return late ?? `no given key has signed it (key ids in it: ${note.signatures.map(({ id }) => id).join(', ')})`;
}
