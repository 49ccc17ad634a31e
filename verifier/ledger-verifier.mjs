#!/usr/bin/env node
// The verifier of Cofferdam's record: docs/reference/ledger-format.md in one file, for Node 20 or later, without anything else.
// Made by scripts/bundle-verifier.mjs from the files of verifier/, in the order in which they need each other. It is the command, and always runs: `--help`.

import crypto from 'node:crypto';
import { isUtf8 } from 'node:buffer';
import { createHash, createPublicKey, verify } from 'node:crypto';
import { closeSync, constants, createReadStream, existsSync, fstatSync, openSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { parseArgs } from 'node:util';
import { createGunzip } from 'node:zlib';

// ======== json.js ========================================================================================================================

// Owns: reading one line of JSON strictly: each key once, integers only in their plain spelling, no broken text.
// Must never: let two readers see two different things in one line.

/**
 * Counts the keys of every object in a parsed value.
 * @param {unknown} value
 * @returns {number}
 */
function keysIn(value) {
  if (typeof value !== 'object' || value === null) return 0;
  let count = 0;
  if (Array.isArray(value)) {
    for (const one of value) if (typeof one === 'object') count += keysIn(one);
    return count;
  }
  for (const one of Object.values(value)) count += 1 + keysIn(one);
  return count;
}

const isDigit = (/** @type {number} */ code) => code >= 48 && code <= 57;

/**
 * Counts the colons outside strings: this many keys were written. Returns nothing when a number has a fraction, an
 * exponent, or a sign before zero. The text is known to be JSON.
 * @param {string} text
 */
function keysWritten(text) {
  let count = 0;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code === 34) {
      // To the end of the string: a quote after an even number of backslashes.
      for (i = text.indexOf('"', i + 1); isEscaped(text, i); i = text.indexOf('"', i + 1));
    } else if (code === 58) count += 1;
    else if (code === 46) return undefined;
    else if ((code === 101 || code === 69) && isDigit(text.charCodeAt(i - 1))) return undefined;
    else if (code === 45 && text.charCodeAt(i + 1) === 48) return undefined;
  }
  return count;
}

/**
 * @param {string} text
 * @param {number} quote
 */
function isEscaped(text, quote) {
  let slashes = 0;
  while (text.charCodeAt(quote - 1 - slashes) === 92) slashes += 1;
  return slashes % 2 === 1;
}

/**
 * Returns the value, or nothing when the text is not JSON, or not strictly so.
 * @param {string} text
 * @returns {unknown}
 */
function parseStrictly(text) {
  try {
    const value = JSON.parse(text);
    // A key that was written twice is there once. Text that was replaced while decoding, or has half a surrogate pair,
    // is no text of this format.
    return keysWritten(text) === keysIn(value) && isWhole(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Returns whether all strings are without half a surrogate pair.
 * @param {unknown} value
 * @returns {boolean}
 */
function isWhole(value) {
  if (typeof value === 'string') return value.isWellFormed();
  if (typeof value !== 'object' || value === null) return true;
  if (Array.isArray(value)) return value.every(isWhole);
  return Object.entries(value).every(([key, one]) => key.isWellFormed() && isWhole(one));
}

/**
 * Returns the fields of an object that has exactly these, or nothing.
 * @template {string} Name
 * @param {unknown} value
 * @param {readonly Name[]} names
 * @returns {Readonly<Record<Name, unknown>> | undefined}
 */
function exactly(value, names) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const fields = new Map(Object.entries(value));
  if (fields.size !== names.length || !names.every((name) => fields.has(name))) return undefined;
  return /** @type {Record<Name, unknown>} */ (Object.fromEntries(fields));
}

/**
 * Returns the one property of an object.
 * @param {unknown} value
 * @returns {readonly [name: string, value: unknown] | readonly []}
 */
function onlyProperty(value) {
  const properties = typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : [];
  const [first] = properties;
  return properties.length === 1 && first !== undefined ? first : [];
}

/** @param {unknown} cause */
const messageOf = (cause) => (cause instanceof Error ? cause.message : String(cause));

// ======== hash.js ========================================================================================================================

// Owns: SHA-256 and the two hashes of RFC 6962, and bytes in text: canonical base64, lower-case hexadecimal.
// Must never: accept a second spelling of the same bytes.

/**
 * The one-shot function is three times as fast, and exists from Node 20.12 on.
 * @type {(data: Uint8Array) => Buffer}
 */
const sha256 =
  typeof crypto.hash === 'function'
    ? (data) => crypto.hash('sha256', data, 'buffer')
    : (data) => crypto.createHash('sha256').update(data).digest();

const leafMark = Buffer.of(0);
const nodeMark = Buffer.of(1);

/** @param {Uint8Array} data */
const leafHash = (data) => sha256(Buffer.concat([leafMark, data]));

/**
 * @param {Uint8Array} left
 * @param {Uint8Array} right
 */
const nodeHash = (left, right) => sha256(Buffer.concat([nodeMark, left, right]));

/**
 * Returns the bytes of base64 in its one canonical form, or nothing.
 * @param {unknown} text
 * @param {number} bytes
 */
function fromBase64(text, bytes) {
  if (typeof text !== 'string') return undefined;
  const data = Buffer.from(text, 'base64');
  return data.length === bytes && data.toString('base64') === text ? data : undefined;
}

/**
 * @param {unknown} text
 * @param {number} bytes
 */
function fromHex(text, bytes) {
  return typeof text === 'string' && text.length === bytes * 2 && /^[0-9a-f]*$/.test(text)
    ? Buffer.from(text, 'hex')
    : undefined;
}

/**
 * @param {unknown} value
 * @returns {value is number}
 */
const isCount = (value) =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && !Object.is(value, -0);

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/**
 * @param {unknown} value
 * @returns {value is string}
 */
const isUuid = (value) => typeof value === 'string' && uuid.test(value);

const commonTree = '00000000-0000-0000-0000-000000000000';
const headsTree = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

// ======== note.js ========================================================================================================================

// Owns: verifier keys and checkpoints: C2SP signed notes and their Ed25519 signatures.
// Must never: believe a note that no given key has signed, or that a key signed after its end.

/**
 * @typedef {{ readonly era: number, readonly size: number }} End The last checkpoint that a retired key may have signed.
 * @typedef {{ readonly name: string, readonly id: string, readonly key: import('node:crypto').KeyObject, readonly end: End | undefined }} VerifierKey
 */

/**
 * Returns whether a text has the form of a verifier key. Such a text is a key and never the name of a file: whoever
 * hands on a folder could give a file in it the name of the key that is typed.
 * @param {string} text
 */
const hasKeyForm = (text) => /^[^+]+\+[0-9a-f]{8}\+/.test(text);

/**
 * Throws an Error unless all keys belong to one installation, and each of them has one end.
 * @param {readonly VerifierKey[]} keys
 */
function requireOneInstallation(keys) {
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
function parseVerifierKey(text) {
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
function parseNote(text) {
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
const isLater = (one, other) => one.era > other.era || (one.era === other.era && one.size > other.size);

/**
 * Returns why a note is not to be believed; undefined when a given key has signed it. Lines of unknown keys do not
 * count.
 * @param {Note} note
 * @param {readonly VerifierKey[]} keys
 * @returns {string | undefined}
 */
function verifyNote(note, keys) {
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

// ======== findings.js ====================================================================================================================

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
const isJunk = ({ what }) => junk.includes(what);

/**
 * Returns the finding that is named when only one can be: about a row, else about the record, else any.
 * @param {{ readonly firstRow: Finding | null, readonly findings: readonly Finding[] }} report
 * @returns {Finding | undefined}
 */
const firstToName = ({ firstRow, findings }) => firstRow ?? findings.find((one) => !isJunk(one)) ?? findings[0];

/** @param {Finding} finding */
const isOfRow = (finding) => finding.tree !== undefined && finding.position !== undefined;

/** Keeps the first twenty, the first of each tree and of each kind, and the first that names a row; counts all. */
class Findings {
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
function instantText(milliseconds) {
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime()) ? `${milliseconds} ms` : date.toISOString();
}

/** @param {number} micros Since 1970. */
const microsText = (micros) => instantText(Math.floor(micros / 1000));

const shownMax = 256;

/**
 * Returns text that anybody may have written in a printable form: quotes, backslashes, everything that controls a
 * terminal, a line or the direction of writing, and blanks of other scripts are escaped, and at most 256 characters are
 * shown.
 * @param {string} text
 */
function shownText(text) {
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
function spanText(seconds) {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} days`;
}

// ======== losses.js ======================================================================================================================

// Owns: what an era lost that was abandoned: its words, and whether it reaches into the time and the heads of a slice.
// Must never: leave out a loss because the record that went on has nothing of it.

/**
 *
 * What a slice covers: the position of its last head, and its window in microseconds since 1970.
 * @typedef {{ readonly position: number, readonly begin: number | null, readonly end: number }} Covered
 */

/** A seal may be so late before nothing is served, and clocks may differ by half of it. */
const lateMs = 60_000;

/**
 * Returns whether entries of the window of a slice may have been sealed in what was lost.
 * @param {Loss} loss
 * @param {Covered} covered
 */
function isLostIn({ fromSize, kept, until }, { position, begin, end }) {
  // The slice ends with a head of before the loss, and heads do not go back in time.
  if (position < fromSize) return false;
  return (begin === null || until + lateMs >= begin / 1000) && kept - lateMs < end / 1000;
}

/** @param {Loss} loss */
const lossText = ({ era, nextEra, fromSize, toSize, since, until }) =>
  `era ${era} had sealed up to size ${toSize}, era ${nextEra} went on from size ${fromSize}: its checkpoints beyond, witnessed ${instantText(since)} to ${instantText(until)}, were abandoned. What they covered is lost`;

// ======== report.js ======================================================================================================================

// Owns: what is printed about a verification, in sentences.
// Must never: print GOOD for anything except a good verdict, or let text of a dump control a terminal.

/**
 */

/**
 * Text in a dump may be anybody's: none of it controls a terminal or begins a line, and each sentence has an end.
 * @param {string} text
 */
const plain = (text) =>
  (text.length > lineMax ? `${text.slice(0, lineMax)} (cut off here)` : text).replace(/[\p{C}\u2028\u2029]/gu, '?');
const lineMax = 2000;

/**
 * Returns a report as one line of JSON for programs. What would control a terminal is escaped as JSON escapes it, so
 * that the values stay the same.
 * @param {unknown} report
 */
const jsonText = (report) =>
  `${JSON.stringify(report).replace(/[\p{C}\u2028\u2029]/gu, (one) =>
    Array.from({ length: one.length }, (_, i) => `\\u${one.charCodeAt(i).toString(16).padStart(4, '0')}`).join(''),
  )}\n`;

/** @param {{ readonly found: number, readonly firstRow: Finding | null, readonly findings: readonly Finding[] }} report */
function findingsText({ found, firstRow, findings }) {
  const counted = `NOT GOOD: ${found} finding${found === 1 ? '' : 's'}`;
  const first = firstRow === null ? [] : [`First bad row: ${plain(firstRow.text)}`];
  const more = found > findings.length ? [`and ${found - findings.length} more`] : [];
  return [
    counted,
    ...first,
    ...findings.map(({ what, text }, i) => `${i + 1}. ${what}: ${plain(text)}`),
    ...more,
    '',
  ].join('\n');
}

/**
 * Returns what was found wrong in sentences, for a program that reads a witness by itself.
 * @param {Findings} findings
 */
const recordFindingsText = ({ count, firstRow, list }) =>
  findingsText({ found: count, firstRow: firstRow ?? null, findings: list });

/** @param {Report['newest']} checkpoint */
const checkpointText = (checkpoint) =>
  checkpoint === null ? 'none' : `size ${checkpoint.size}, era ${checkpoint.era}, ${checkpoint.time}`;

/** @param {Report} report @param {number} maxAgeSeconds */
function recordText(report, maxAgeSeconds) {
  const { newest, unwitnessed } = report;
  const age = newest !== null && maxAgeSeconds === 0 ? ' (its age was not checked: --max-age 0)' : '';
  const lines = [
    `${report.entries} entries, ${report.trees} trees, ${report.heads} heads, ${report.checkpoints} checkpoints`,
    `newest checkpoint: ${checkpointText(newest)}${age}`,
  ];
  for (const loss of report.lost) lines.push(`LOST: ${lossText(loss)}; sizes and numbers were given again.`);
  if (unwitnessed.heads > 0)
    lines.push(
      `${unwitnessed.heads} heads (${unwitnessed.entries} entries) are newer than what was witnessed and proved: nothing can be said of them yet.`,
    );
  const read = report.read.map((one) => `read: ${plain(one)}`);
  const notRead = report.notRead.map((one) => `NOT READ: ${plain(one)}`);
  return [...lines, ...read, ...notRead, conclusion(report)].join('\n');
}

/** @param {Report} report */
function conclusion(report) {
  if (report.verdict === 'bad') return findingsText(report);
  if (report.verdict === 'good')
    return 'GOOD: every witnessed entry is what was sealed, and none is missing: every position up to the newest checkpoint was read.\n';
  return `NOT COMPLETE: nothing bad was found, and not everything was read${report.archived > 0 ? `: ${report.archived} entries were not` : ''}. This is no proof that the record is whole.\n`;
}

/** @param {SliceReport} report */
function sliceText(report) {
  const { positions, says, begin, end, from, to } = report;
  const span = `${from === null ? 'from the first entry ever' : `behind ${sealedText(from)}`} up to ${sealedText(to)}`;
  const isLost = report.lost.some(({ isInWindow }) => isInWindow);
  const lines = [
    `slice of customer ${report.tree ?? '?'}: ${report.entries} entries, ${span}`,
    report.isWitnessed
      ? `the checkpoints that cover these heads were looked for among ${report.checkpoints} of the witness`
      : 'the checkpoints were not compared with a witness: that nobody was shown another record, their signatures alone do not prove',
    ...erasText(report),
    ...report.lost.map(
      (loss) =>
        `LOST: ${lossText(loss)}. ${loss.isInWindow ? 'Entries of the window of this slice may be among it' : 'The window of this slice lies outside of that'}.`,
    ),
  ];
  if (report.verdict === 'bad' || positions === null) return `${lines.join('\n')}\n${findingsText(report)}`;
  const count = positions.to - positions.from;
  const which = count === 0 ? 'there is none' : `positions ${positions.from} to ${positions.to - 1}, none is missing`;
  const said =
    says === 'affected'
      ? `that ${report.selected} of these entries belong to`
      : 'that none of these entries belongs to';
  return [
    ...lines,
    `${isLost ? 'NOT COMPLETE: the record lost what it had of the time of this slice (LOST, above), and of that nothing can be said. In the record that went on, these' : 'GOOD: these'} are all entries of this customer that were sealed ${span} (${which}), and each is what was sealed. That is proved. Of what was sealed before or after, nothing is.`,
    `They enclose the window for which the slice was made: ${begin === null ? 'everything' : `from ${begin}`} up to ${end}. An entry is sealed after what it tells of, as a rule within a second.`,
    `Nobody vouches for what follows: it is not signed, and whoever had this file may have written it: ${said} "${report.subject ?? ''}".`,
    'Compare the id of the customer with your own: it stands in every receipt that you have from this gateway. The internal fields of each entry are covered by a digest and not shown.',
    '',
  ].join('\n');
}

/**
 * A head is proved by a checkpoint of its own era or of a later one.
 * @param {SliceReport} report
 * @returns {readonly string[]}
 */
function erasText({ from, to, isWitnessed }) {
  if (to === null) return [];
  const eras =
    from === null
      ? `the head at the end is proved by a checkpoint of era ${to.era}`
      : `the head at the beginning is proved by a checkpoint of era ${from.era}, the one at the end by one of era ${to.era}`;
  const isLater = to.era > 1 && !isWitnessed;
  return [
    `${eras}${isLater ? `. Era ${to.era}: what earlier eras lost is not in it, and only a witness says when` : ''}`,
  ];
}

/** @param {ShownHead | null} head */
const sealedText = (head) => (head === null ? '?' : `head ${head.position} (sealed ${head.at})`);

// ======== lines.js =======================================================================================================================

// Owns: reading files and streams line by line: plain or compressed, strictly UTF-8, with a limit on the length of a
// line.
// Must never: hold a file in memory, or accept broken text as text.

/** @typedef {import('node:stream').Readable} Readable */

const lineBytesMax = 16 * 1024 * 1024;

/** What stands for a line that is not UTF-8: it is no JSON either. */
const brokenLine = '\ufffd';

/**
 * Opens a file in a directory of somebody else. It follows no link, and does not wait for the other end of a pipe.
 * Throws unless it is a regular file.
 * @param {string} path
 * @returns {Readable}
 */
function openRegular(path) {
  const fd = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
  if (!fstatSync(fd).isFile()) {
    closeSync(fd);
    throw new Error('this is no regular file');
  }
  return createReadStream(path, { fd, highWaterMark: 1 << 20 });
}

/**
 * Returns the bytes of a file, unpacked. `onBytes` gets what was read, before it is unpacked. `isForeign`: whether the
 * file is in a directory of somebody else, in which only regular files are read.
 * @param {string} path
 * @param {((bytes: Buffer) => void) | undefined} [onBytes]
 * @param {boolean} [isForeign]
 * @returns {Readable}
 */
function openFile(path, onBytes, isForeign = false) {
  /** @type {Readable} */
  const raw = isForeign ? openRegular(path) : createReadStream(path, { highWaterMark: 1 << 20 });
  if (onBytes !== undefined) raw.on('data', (/** @type {Buffer} */ chunk) => onBytes(chunk));
  if (!path.endsWith('.gz')) return raw;
  const unpacked = raw.pipe(createGunzip());
  raw.on('error', (/** @type {Error} */ cause) => unpacked.destroy(cause));
  unpacked.on('close', () => raw.destroy());
  return unpacked;
}

/**
 * Returns the lines of a file or stream, in batches. `isTornKept`: whether a last line without its newline counts.
 * `onBytes` gets what was read, before it is unpacked. `isForeign`: whether `source` is a path in a directory of
 * somebody else, in which only regular files are read.
 * @param {string | Readable} source
 * @param {boolean} isTornKept
 * @param {((bytes: Buffer) => void) | undefined} [onBytes]
 * @param {boolean} [isForeign]
 * @returns {AsyncGenerator<readonly string[], void>}
 */
export async function* readLines(source, isTornKept, onBytes, isForeign = false) {
  const stream = typeof source === 'string' ? openFile(source, onBytes, isForeign) : source;
  /** @type {Buffer[]} */
  let rest = [];
  let restBytes = 0;
  for await (const chunk of stream) {
    /** @type {Buffer} */
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    const end = bytes.lastIndexOf(10);
    if (end !== -1) {
      yield linesOf(Buffer.concat([...rest, bytes.subarray(0, end)]));
      [rest, restBytes] = [[], 0];
    }
    rest.push(bytes.subarray(end + 1));
    restBytes += bytes.length - end - 1;
    if (restBytes > lineBytesMax) throw new Error('a line is longer than any of this format');
  }
  if (isTornKept && restBytes > 0) yield linesOf(Buffer.concat(rest));
}

/** @param {Buffer} bytes */
function linesOf(bytes) {
  if (isUtf8(bytes)) return bytes.toString('utf8').split('\n');
  const lines = [];
  for (let from = 0; from <= bytes.length; ) {
    const newline = bytes.indexOf(10, from);
    const to = newline === -1 ? bytes.length : newline;
    const line = bytes.subarray(from, to);
    lines.push(isUtf8(line) ? line.toString('utf8') : brokenLine);
    from = to + 1;
  }
  return lines;
}

// ======== archives.js ====================================================================================================================

// Owns: a dump and its archives as files: their hashes, and their lines merged by tree and position.
// Must never: accept an archive for anything except the very bytes whose hash was taken.

/**
 */

const archiveFile = /^ledger-\d{4}-\d\d\.jsonl(?:\.gz)?$/;

/**
 * Returns the files of months in a directory, by name. Throws when the directory cannot be read.
 * @param {string} directory
 */
const archivesIn = (directory) =>
  readdirSync(directory)
    .filter((name) => archiveFile.test(name))
    .sort();

/** @param {string} path @returns {Promise<string>} */
async function sha256OfFile(path) {
  const hash = createHash('sha256');
  for await (const chunk of openRegular(path)) hash.update(chunk);
  return hash.digest('hex');
}

/** One sorted file of lines, read one line ahead. */
class Source {
  /**
   * The parsed line; undefined at the end, or for what is not JSON.
   * @type {unknown}
   */
  value;
  isAtEnd = false;
  /** The place of the entry, as a text that sorts. What is no entry is examined and reported at once. */
  key = '';
  #name;
  #batches;
  /** @type {readonly string[]} */
  #batch = [];
  #offset = 0;
  #line = 0;

  /**
   * @param {string} name
   * @param {number} index 0: the dump.
   * @param {AsyncGenerator<readonly string[], void>} batches
   */
  constructor(name, index, batches) {
    this.#name = name;
    this.index = index;
    this.#batches = batches;
  }

  get where() {
    return `${this.#name} line ${this.#line}`;
  }

  /** Advances inside what was read; false means that more must be read. */
  step() {
    while (this.#offset < this.#batch.length) {
      const text = this.#batch[this.#offset];
      this.#offset += 1;
      this.#line += 1;
      if (text === undefined || text === '') continue;
      this.value = parseStrictly(text);
      const entry = exactly(this.value, ['entry'])?.entry;
      this.key = Array.isArray(entry) ? `${entry[0]} ${String(entry[1]).padStart(16, '0')}` : '';
      return true;
    }
    return false;
  }

  async next() {
    while (!this.step()) {
      const read = await this.#batches.next();
      if (read.done === true) {
        this.end();
        return;
      }
      this.#batch = read.value;
      this.#offset = 0;
    }
  }

  end() {
    this.isAtEnd = true;
    this.value = undefined;
  }
}

/**
 * @param {string} directory
 * @param {readonly Archive[]} archives
 * @param {Verification} verification
 */
const openArchives = (directory, archives, verification) =>
  archives.map(
    ({ file, sha256 }, i) => new Source(file, i + 1, hashedLines(join(directory, file), sha256, verification)),
  );

/**
 * Returns the lines of an archive. At its end its hash must be the one that was taken before.
 * @param {string} path
 * @param {string} sha256
 * @param {Verification} verification
 */
async function* hashedLines(path, sha256, verification) {
  const hash = createHash('sha256');
  yield* readLines(path, true, (bytes) => hash.update(bytes), true);
  if (hash.digest('hex') !== sha256) verification.findings.say('archive', `${path} was changed while it was read`);
}

/**
 * Advances one source; a source that breaks off ends there.
 * @param {Source} source @param {Verification} verification
 */
async function advance(source, verification) {
  try {
    await source.next();
  } catch (cause) {
    // The dump itself must be whole. An archive that breaks off is a finding, and its entries are not known.
    if (source.index === 0) throw cause;
    verification.findings.say(
      'unreadable',
      `${source.where}: the archive broke off behind this line: ${messageOf(cause)}`,
    );
    source.end();
  }
}

/**
 * Returns the dump first, up to its entries; then entries of dump and archives by tree and position.
 * @param {Source} dump
 * @param {readonly Source[]} archives
 * @param {Verification} verification
 */
async function feed(dump, archives, verification) {
  await advance(dump, verification);
  while (!dump.isAtEnd && dump.key === '') {
    verification.line(dump.value, dump.where, dump.index);
    if (!dump.step()) await advance(dump, verification);
  }
  for (const source of archives) await advance(source, verification);
  let open = [dump, ...archives].filter((source) => !source.isAtEnd);
  while (open.length > 0) {
    open.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.index - b.index));
    const [source, second] = open;
    if (source === undefined) return;
    // A month is one run in each tree, so mostly the same source continues.
    do {
      verification.line(source.value, source.where, source.index);
      if (!source.step()) await advance(source, verification);
    } while (!source.isAtEnd && (second === undefined || source.key < second.key));
    if (source.isAtEnd) open = open.filter((one) => one !== source);
  }
}

// ======== map.js =========================================================================================================================

// Owns: the map of all trees (docs/reference/ledger-format.md): slots, blinds and the root of one epoch, computed anew
// only where a tree grew.
// Must never: take a node from anywhere except the trees and the secret.

const mapDepth = 32;

/**
 * Blinds a word of the map.
 * @param {string} word
 * @param {Buffer} secret
 * @param {readonly Buffer[]} rest
 */
const blinded = (word, secret, rest) =>
  sha256(Buffer.concat([Buffer.from(`cofferdam ledger ${word}/2`, 'latin1'), secret, ...rest]));

/** @param {string} tree */
const idOf = (tree) => Buffer.from(tree.replaceAll('-', ''), 'hex');

/**
 * @param {Buffer} secret
 * @param {string} tree
 */
const slotOf = (secret, tree) => blinded('slot', secret, [idOf(tree)]).readUInt32BE(0);

/**
 * @param {Buffer} secret
 * @param {string} tree
 */
const blindOf = (secret, tree) => blinded('blind', secret, [idOf(tree)]);

/**
 * @param {string} tree
 * @param {number} size
 * @param {Buffer} root
 * @param {Buffer} blind
 */
const mapLeafOf = (tree, size, root, blind) =>
  leafHash(
    Buffer.concat([Buffer.from(`cofferdam ledger tree/2\n${tree} ${size} ${root.toString('base64')}\n`), blind]),
  );

/**
 * @param {Buffer} secret
 * @param {number} level
 * @param {number} prefix
 */
function emptyOf(secret, level, prefix) {
  const place = Buffer.alloc(5);
  place.writeUInt8(level, 0);
  place.writeUInt32BE(prefix, 1);
  return blinded('empty', secret, [place]);
}

/**
 * @param {Buffer} secret
 * @param {number} position
 * @param {number} number
 */
function commitmentOf(secret, position, number) {
  const place = Buffer.alloc(16);
  place.writeBigUInt64BE(BigInt(position), 0);
  place.writeBigUInt64BE(BigInt(number), 8);
  return blinded('number', secret, [place]);
}

/**
 * Returns the map root to which a tree's leaf leads; siblings from level 32 up to level 1.
 * @param {Buffer} leaf
 * @param {number} slot
 * @param {readonly Buffer[]} path
 */
function mapRootBy(leaf, slot, path) {
  let hashed = leaf;
  let prefix = slot;
  for (const sibling of path) {
    hashed = prefix % 2 === 1 ? nodeHash(sibling, hashed) : nodeHash(hashed, sibling);
    prefix = Math.floor(prefix / 2);
  }
  return hashed;
}

/**
 * A tree alone below its node: its leaf, and the empty nodes beside its path, one after the other from level 32 up.
 * @typedef {{ slot: number, leaf: Buffer, siblings: Buffer, hash: Buffer | undefined }} Single
 * @typedef {{ left: Node | undefined, right: Node | undefined, hash: Buffer | undefined }} Fork
 * @typedef {Single | Fork} Node
 */

/** @param {Node} node @returns {node is Single} */
const isSingle = (node) => 'siblings' in node;

/** The map of one epoch. */
class TreeMap {
  /** @type {Buffer} */
  #secret;
  /** @type {Node | undefined} */
  #top;
  /** @type {Map<string, { readonly slot: number, readonly blind: Buffer }>} */
  #places = new Map();

  /** @param {Buffer} secret */
  constructor(secret) {
    this.#secret = secret;
  }

  /**
   * Returns false when another tree has the same slot: the epoch may not exist.
   * @param {string} tree
   * @param {number} size
   * @param {Buffer} root
   */
  set(tree, size, root) {
    const known = this.#places.get(tree);
    const place = known ?? { slot: slotOf(this.#secret, tree), blind: blindOf(this.#secret, tree) };
    const leaf = mapLeafOf(tree, size, root, place.blind);
    const put = this.#put(this.#top, 0, place.slot, leaf, known === undefined);
    if (put === undefined) return false;
    this.#top = put;
    if (known === undefined) this.#places.set(tree, place);
    return true;
  }

  root() {
    return this.#hash(this.#top, 0, 0);
  }

  /**
   * @param {Node | undefined} node
   * @param {number} level
   * @param {number} slot
   * @param {Buffer} leaf
   * @param {boolean} isNew
   * @returns {Node | undefined}
   */
  #put(node, level, slot, leaf, isNew) {
    if (node === undefined) return { slot, leaf, siblings: this.#beside(slot, level), hash: undefined };
    if (isSingle(node)) {
      if (node.slot === slot) {
        if (isNew) return undefined;
        node.leaf = leaf;
        node.hash = undefined;
        return node;
      }
      // Now there are two: a fork here, each of them one level down or further.
      const other = { ...node, siblings: node.siblings.subarray(0, node.siblings.length - 32), hash: undefined };
      const fork = { left: undefined, right: undefined, hash: undefined };
      return this.#put(this.#hang(fork, level, other.slot, other), level, slot, leaf, isNew);
    }
    const side = sideOf(slot, level);
    const below = this.#put(node[side], level + 1, slot, leaf, isNew);
    if (below === undefined) return undefined;
    node[side] = below;
    node.hash = undefined;
    return node;
  }

  /**
   * @param {Fork} fork
   * @param {number} level
   * @param {number} slot
   * @param {Node} below
   */
  #hang(fork, level, slot, below) {
    fork[sideOf(slot, level)] = below;
    return fork;
  }

  /**
   * Returns the empty nodes beside the path of a slot, from level 32 up to the one below `level`.
   * @param {number} slot
   * @param {number} level
   */
  #beside(slot, level) {
    const siblings = [];
    for (let at = mapDepth, prefix = slot; at > level; at -= 1, prefix = Math.floor(prefix / 2))
      siblings.push(emptyOf(this.#secret, at, prefix % 2 === 1 ? prefix - 1 : prefix + 1));
    return Buffer.concat(siblings);
  }

  /**
   * @param {Node | undefined} node
   * @param {number} level
   * @param {number} prefix
   * @returns {Buffer}
   */
  #hash(node, level, prefix) {
    if (node === undefined) return emptyOf(this.#secret, level, prefix);
    node.hash ??= isSingle(node)
      ? hashUp(node)
      : nodeHash(this.#hash(node.left, level + 1, prefix * 2), this.#hash(node.right, level + 1, prefix * 2 + 1));
    return node.hash;
  }
}

/**
 * @param {number} slot
 * @param {number} level
 * @returns {'left' | 'right'}
 */
const sideOf = (slot, level) => (Math.floor(slot / 2 ** (mapDepth - 1 - level)) % 2 === 1 ? 'right' : 'left');

/** @param {Single} single */
function hashUp({ slot, leaf, siblings }) {
  const path = [];
  for (let at = 0; at < siblings.length; at += 32) path.push(siblings.subarray(at, at + 32));
  return mapRootBy(leaf, slot, path);
}

// ======== head.js ========================================================================================================================

// Owns: a head as the dump has it, its lines of trees, and the text that is its leaf data.
// Must never: accept a head of another version.

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
function parseHead(row) {
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
function parseHeadLines(lines) {
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
const headText = ({ position, at, number, secret }, mapRoot) =>
  `cofferdam ledger head/2\n${position}\n${at}\n${mapRoot.toString('base64')}\n${commitmentOf(secret, position, number).toString('base64')}\n`;

/**
 * Returns the text of a head as a slice shows it, or undefined.
 * @param {unknown} text
 * @returns {{ readonly position: number, readonly at: number, readonly mapRoot: Buffer, readonly commitment: Buffer } | undefined}
 */
function parseHeadText(text) {
  if (typeof text !== 'string') return undefined;
  const [, position, at, root64, commitment64] =
    /^cofferdam ledger head\/2\n(0|[1-9]\d{0,15})\n(0|[1-9]\d{0,15})\n(\S{44})\n(\S{44})\n$/.exec(text) ?? [];
  const [mapRoot, commitment] = [fromBase64(root64, 32), fromBase64(commitment64, 32)];
  if (mapRoot === undefined || commitment === undefined || !isCount(Number(position)) || !isCount(Number(at)))
    return undefined;
  return { position: Number(position), at: Number(at), mapRoot, commitment };
}

// ======== merkle.js ======================================================================================================================

// Owns: Merkle trees of RFC 6962, section 2.1: a tree that grows, a tree from its whole subtrees, audit paths.
// Must never: hash a leaf as a node, or a node as a leaf.

const blockSize = 256;

/** A tree that only grows: the roots of its complete subtrees, largest first. */
class Frontier {
  /** @type {{ readonly leaves: number, readonly hash: Buffer }[]} */
  #subtrees = [];
  #size = 0;
  /** @type {Buffer | undefined} */
  #block;

  get size() {
    return this.#size;
  }

  /** The hash of the 256 leaves that the last append completed. */
  get block() {
    return this.#block;
  }

  /** @param {Buffer} leaf */
  append(leaf) {
    this.#push(leaf, 1);
  }

  /**
   * Adds 256 leaves at once, of which only the hash is known. The size must be a multiple of 256.
   * @param {Buffer} block
   */
  appendBlock(block) {
    if (this.#size % blockSize !== 0) throw new Error('a block begins at a multiple of 256');
    this.#push(block, blockSize);
  }

  root() {
    /** @type {Buffer | undefined} */
    let root;
    for (let i = this.#subtrees.length - 1; i >= 0; i -= 1) {
      const left = this.#subtrees[i]?.hash;
      if (left !== undefined) root = root === undefined ? left : nodeHash(left, root);
    }
    return root ?? sha256(Buffer.alloc(0));
  }

  copy() {
    const copy = new Frontier();
    copy.#subtrees = [...this.#subtrees];
    copy.#size = this.#size;
    return copy;
  }

  /** The roots of the complete subtrees, largest first, one after the other. */
  roots() {
    return Buffer.concat(this.#subtrees.map(({ hash }) => hash));
  }

  /** As it was where the current block begins. */
  wholeBlocks() {
    const whole = new Frontier();
    whole.#subtrees = this.#subtrees.filter(({ leaves }) => leaves >= blockSize);
    whole.#size = this.#size - (this.#size % blockSize);
    return whole;
  }

  /**
   * Returns the tree of this many leaves whose whole subtrees have these roots, the largest first; nothing when their
   * number does not fit the size.
   * @param {number} size
   * @param {readonly Buffer[]} roots
   */
  static from(size, roots) {
    const tree = new Frontier();
    let rest = size;
    for (const root of roots) {
      if (rest < 1) return undefined;
      const leaves = 2 ** Math.floor(Math.log2(rest));
      tree.#subtrees.push({ leaves, hash: root });
      rest -= leaves;
    }
    tree.#size = size;
    return rest === 0 ? tree : undefined;
  }

  /**
   * @param {Buffer} added
   * @param {number} count
   */
  #push(added, count) {
    let subtree = { leaves: count, hash: added };
    this.#block = undefined;
    for (let left = this.#subtrees.at(-1); left?.leaves === subtree.leaves; left = this.#subtrees.at(-1)) {
      this.#subtrees.pop();
      subtree = { leaves: left.leaves * 2, hash: nodeHash(left.hash, subtree.hash) };
      if (subtree.leaves === blockSize) this.#block = subtree.hash;
    }
    this.#subtrees.push(subtree);
    this.#size += count;
  }
}

/**
 * Returns whether `path` leads from the leaf at `index` to the root of a tree of `size` leaves (RFC 9162, section
 * 2.1.3.2, the same trees).
 * @param {Buffer} leaf
 * @param {number} index
 * @param {number} size
 * @param {readonly Buffer[]} path
 * @param {Buffer} root
 */
function verifyAuditPath(leaf, index, size, path, root) {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) return false;
  let node = index;
  let last = size - 1;
  let hashed = leaf;
  for (const sibling of path) {
    if (last === 0 || sibling.length !== 32) return false;
    if (node % 2 === 1 || node === last) {
      hashed = nodeHash(sibling, hashed);
      while (node % 2 === 0 && node !== 0) [node, last] = [node / 2, Math.floor(last / 2)];
    } else hashed = nodeHash(hashed, sibling);
    [node, last] = [Math.floor(node / 2), Math.floor(last / 2)];
  }
  return last === 0 && hashed.equals(root);
}

// ======== known.js =======================================================================================================================

// Owns: what a good verification leaves for the next one, and proving it anew from its signed checkpoint before
// anything is extended from it.
// Must never: believe a size, a root or a number that this checkpoint does not cover.

/**
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
const rootsMax = 16_384;
/** And this many epochs: one begins every 23 hours, and when an operator asks. */
const secretsMax = 65_536;

/**
 * A secret is not kept where it only matters that it is a different one.
 * @param {Buffer} secret
 */
const tagOf = (secret) => sha256(secret).toString('base64', 0, 12);

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
function proveKnown(known, keys) {
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
function whyWhole(witness, { note, roots }) {
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

// ======== entry.js =======================================================================================================================

// Owns: an entry as a line of a dump, an archive or a slice has it, and its leaf hash, computed from its fields.
// Must never: use the leaf hash that the database stores for anything that is computed.

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
function parseEntry(values) {
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
const parseShown = (values) =>
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
function leafOf({ cells, salt }) {
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
const leafOfShown = (shown, salt, sensitive) =>
  leafHash(Buffer.concat([digest(salt, publicArray(shown)), sensitive]));

/**
 * Returns the leaf hash that this entry would have at another place.
 * @param {Entry} entry
 * @param {number} position
 * @param {number} number
 */
const leafAt = (entry, position, number) =>
  leafOf({ cells: [entry.tree, position, number, ...entry.cells.slice(3)], salt: entry.salt });

/**
 * Returns whether an entry is in the tree of its customer.
 * @param {string} tree
 * @param {unknown} customer
 */
const isOwnTree = (tree, customer) =>
  customer === null ? tree === commonTree : tree === customer && tree !== commonTree;

/** @param {Entry} entry */
const fieldsOf = ({ cells }) => ({
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
const placeText = (tree, position, number) =>
  `tree ${tree} position ${position}${number === undefined ? '' : ` (entry number ${number})`}`;

/** @param {Entry} entry */
const atPlace = ({ tree, position, number }) => ({ tree, position, number });

// ======== rows.js ========================================================================================================================

// Owns: what must be kept of a long record, in few bytes: rows of one width, growths of a tree, the numbers that were
// seen.
// Must never: keep an object for each entry. It keeps one bit for each entry, 38 bytes for each block, and about ten
// bytes for each time that a tree grew.

/** Rows of a fixed width in pieces of 256, so that a long table is never copied. */
class Rows {
  #width;
  /** @type {Buffer[]} */
  #pieces = [];
  length = 0;

  /** @param {number} width */
  constructor(width) {
    this.#width = width;
  }

  /** The bytes of a new row, to be filled. Small tables stay small. */
  add() {
    const rows = 256;
    const offset = (this.length % rows) * this.#width;
    if (offset === 0) this.#pieces.push(Buffer.alloc(this.#width * (this.length === 0 ? 4 : rows)));
    const index = this.#pieces.length - 1;
    const piece = this.#pieces[index];
    if (piece !== undefined && piece.length < offset + this.#width) {
      const whole = Buffer.alloc(Math.min(this.#width * rows, piece.length * 4));
      piece.copy(whole);
      this.#pieces[index] = whole;
    }
    this.length += 1;
    return this.at(this.length - 1);
  }

  /** @param {number} index */
  at(index) {
    const piece = this.#pieces[Math.floor(index / 256)];
    if (piece === undefined || index >= this.length) throw new RangeError('no such row');
    const offset = (index % 256) * this.#width;
    return piece.subarray(offset, offset + this.#width);
  }
}

/** @param {Buffer} row @param {number} offset */
const uint = (row, offset) => row.readUIntBE(offset, 6);

/**
 * 48 bits: enough for milliseconds, sizes and numbers of centuries.
 * @param {Buffer} row @param {number} offset @param {number} value
 */
const setUint = (row, offset, value) => {
  row.writeUIntBE(Math.min(value, 2 ** 48 - 1), offset, 6);
};

/** Hashes by a growing index: blocks or leaves of one tree. */
class HashesByIndex {
  #rows = new Rows(38);
  #next = 0;

  get length() {
    return this.#rows.length;
  }

  /** The highest index; -1 when there is none. */
  get last() {
    return this.#rows.length === 0 ? -1 : uint(this.#rows.at(this.#rows.length - 1), 0);
  }

  /** @param {number} index Higher than any before. @param {Buffer} hash */
  add(index, hash) {
    const row = this.#rows.add();
    setUint(row, 0, index);
    row.set(hash, 6);
  }

  /**
   * Returns the hash at an index; indexes are asked for in growing order.
   * @param {number} index @returns {Buffer | undefined}
   */
  get(index) {
    this.#passTo(index);
    return this.#next < this.#rows.length && uint(this.#rows.at(this.#next), 0) === index
      ? this.#rows.at(this.#next).subarray(6)
      : undefined;
  }

  /**
   * Returns the first index that is there, from this one on.
   * @param {number} index @returns {number | undefined}
   */
  from(index) {
    this.#passTo(index);
    return this.#next < this.#rows.length ? uint(this.#rows.at(this.#next), 0) : undefined;
  }

  /** @param {number} index */
  #passTo(index) {
    while (this.#next < this.#rows.length && uint(this.#rows.at(this.#next), 0) < index) this.#next += 1;
  }
}

/** @typedef {{ readonly size: number, readonly head: number, readonly low: number, readonly high: number, readonly isNamed: (root: Buffer) => boolean }} Growth */

/** @typedef {{ readonly size: number, readonly head: number, readonly high: number, readonly root: Buffer | undefined }} Start */

/** @type {Start} */
const nothing = { size: 0, head: 0, high: 0, root: undefined };

const groupSize = 16;

/**
 * What the heads say about one tree, read again in the same order: size, head, the numbers that the head sealed, and
 * three bytes of the root. The roots themselves go into a chain of hashes, which begins anew every sixteen. A false
 * root is found at its very head or, when somebody made those three bytes fit, by the end of its group. Only where the
 * first roots of a group are in an archive that was not given, three bytes have to do for the rest of that group.
 */
class Growths {
  /** @type {Buffer} */
  #bytes = Buffer.alloc(64);
  #end = 0;
  #count = 0;
  #size = 0;
  #head = 0;
  #high = 0;
  /** @type {Buffer | undefined} */
  #root;
  /** @type {Buffer} */
  #chain = Buffer.alloc(32);
  #marks = new Rows(32);
  #start;

  /**
   * `start`: how the tree stood before, when an earlier run read and proved that.
   * @param {Start} [start]
   */
  constructor(start = nothing) {
    this.#start = start;
    [this.#size, this.#head, this.#high, this.#root] = [start.size, start.head, start.high, start.root];
  }

  get size() {
    return this.#size;
  }

  /** The root after the last growth. */
  get root() {
    return this.#root;
  }

  /**
   * @param {number} size
   * @param {Buffer} root
   * @param {number} head
   * @param {number} low
   * @param {number} high
   */
  add(size, root, head, low, high) {
    this.#write(size - this.#size);
    this.#write(head - this.#head);
    this.#write(Math.max(0, high - this.#high));
    this.#write(Math.max(0, high - low + 1));
    this.#room(3);
    this.#end += root.copy(this.#bytes, this.#end, 0, 3);
    [this.#size, this.#head, this.#high, this.#root] = [size, head, Math.max(high, this.#high), root];
    this.#chain = sha256(Buffer.concat([this.#chain, root]));
    this.#count += 1;
    if (this.#count % groupSize !== 0) return;
    this.#marks.add().set(this.#chain);
    this.#chain = Buffer.alloc(32);
  }

  reader() {
    return new GrowthReader(this.#bytes.subarray(0, this.#end), this.#count, this.#marks, this.#chain, this.#start);
  }

  /** @param {number} count */
  #room(count) {
    if (this.#end + count <= this.#bytes.length) return;
    const more = Buffer.alloc(Math.ceil(this.#bytes.length * 1.5) + count);
    this.#bytes.copy(more);
    this.#bytes = more;
  }

  /**
   * Seven bits a byte, the lowest first.
   * @param {number} value
   */
  #write(value) {
    this.#room(8);
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128))
      this.#end = this.#bytes.writeUInt8((rest % 128) + 128, this.#end);
    this.#end = this.#bytes.writeUInt8(rest, this.#end);
  }
}

/** Goes through the growths of a tree once. */
class GrowthReader {
  /** @type {Buffer} */
  #bytes;
  /** @type {number} */
  #count;
  /** @type {Rows} */
  #marks;
  /** @type {Buffer} */
  #last;
  #at = 0;
  #read = 0;
  /** @type {Buffer} */
  #chain = Buffer.alloc(32);
  /** Whether a root of this group was skipped. */
  #isBroken = false;
  #size = 0;
  #head = 0;
  #high = 0;
  /** @type {Growth | undefined} */
  next;

  /**
   * @param {Buffer} bytes
   * @param {number} count
   * @param {Rows} marks
   * @param {Buffer} last
   * @param {Start} start
   */
  constructor(bytes, count, marks, last, start) {
    [this.#size, this.#head, this.#high] = [start.size, start.head, start.high];
    this.#bytes = bytes;
    this.#count = count;
    this.#marks = marks;
    this.#last = last;
    this.step();
  }

  /** Advances without having compared this root. */
  pass() {
    this.#isBroken = true;
    this.step();
  }

  step() {
    if (this.#read % groupSize === 0) [this.#chain, this.#isBroken] = [Buffer.alloc(32), false];
    if (this.#read >= this.#count) {
      this.next = undefined;
      return;
    }
    this.#read += 1;
    this.#size += this.#number();
    this.#head += this.#number();
    this.#high += this.#number();
    const numbers = this.#number();
    const tag = this.#bytes.subarray(this.#at, this.#at + 3);
    this.#at += 3;
    const isNamed = (/** @type {Buffer} */ root) => root.subarray(0, 3).equals(tag) && this.#isInChain(root);
    this.next = { size: this.#size, head: this.#head, low: this.#high - numbers + 1, high: this.#high, isNamed };
  }

  /**
   * Returns whether the roots up to this one are those that the heads named; this is certain only at the end of a
   * group.
   * @param {Buffer} root
   */
  #isInChain(root) {
    if (this.#isBroken) return true;
    const chain = sha256(Buffer.concat([this.#chain, root]));
    if (this.#read % groupSize === 0) return chain.equals(this.#marks.at(this.#read / groupSize - 1));
    if (this.#read === this.#count && !chain.equals(this.#last)) return false;
    this.#chain = chain;
    return true;
  }

  #number() {
    let [value, scale] = [0, 1];
    for (;;) {
      const byte = this.#bytes[this.#at] ?? 0;
      this.#at += 1;
      value += (byte % 128) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
  }
}

const pieceBits = 65_536;

/** Which numbers were seen: one bit each, as much as the hashes of the blocks take. */
class Numbers {
  /** @type {Map<number, Buffer>} */
  #pieces = new Map();

  /**
   * Returns false when the number was seen before.
   * @param {number} number
   */
  see(number) {
    const index = Math.floor(number / pieceBits);
    const piece = this.#pieces.get(index) ?? Buffer.alloc(pieceBits / 8);
    this.#pieces.set(index, piece);
    const [byte, bit] = [Math.floor((number % pieceBits) / 8), 1 << (number % 8)];
    const before = piece[byte] ?? 0;
    piece[byte] = before | bit;
    return (before & bit) === 0;
  }
}

// ======== times.js =======================================================================================================================

// Owns: whether the time of an entry, or the month of a statement that entries are in an archive, is possible for the
// time at which it was sealed, by the times that heads state.
// Must never: take the time of an entry for the time of its seal.

/** @typedef {{ readonly from: number, readonly to: number }} Sealed Between which times a head was sealed, in microseconds since 1970. */

const dayMicros = 86_400_000_000;
const hourMicros = 3_600_000_000;
/** How far before its seal, and after it, an entry's own time may lie. */
const [oldestMicros, aheadMicros] = [27 * dayMicros, 60 * dayMicros];

/**
 * When heads were sealed, kept by the hour: a head's own time is less than an hour away from the one that is kept for
 * it.
 */
class Times {
  /**
   * In the order of the positions of the heads; the times are in microseconds since 1970.
   * @type {[head: number, at: number][]}
   */
  #kept = [];

  /** @param {number} head @param {number} at Microseconds since 1970, as the head states it. */
  add(head, at) {
    const last = this.#kept.at(-1);
    if (last === undefined || Math.abs(at - last[1]) >= hourMicros) this.#kept.push([head, at]);
  }

  /**
   * Returns between which times a head was sealed; undefined when neither it nor a head before it is known.
   * @param {number} head @returns {Sealed | undefined}
   */
  of(head) {
    let [low, high] = [0, this.#kept.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#kept[middle]?.[0] ?? 0) <= head) low = middle + 1;
      else high = middle;
    }
    const at = this.#kept[low - 1]?.[1];
    return at === undefined ? undefined : { from: at - hourMicros, to: at + hourMicros };
  }
}

/**
 * Returns what is wrong with the time of an entry that was sealed then; undefined when nothing is. An entry that was
 * written waits only a moment for its seal, and a sealer refuses entries whose time is far from that of the head.
 * @param {unknown} at Microseconds since 1970, as the entry states it.
 * @param {Sealed | undefined} sealed
 */
function oddTime(at, sealed) {
  if (
    sealed === undefined ||
    typeof at !== 'number' ||
    (at >= sealed.from - oldestMicros && at <= sealed.to + aheadMicros)
  )
    return undefined;
  return `its time is ${instantText(Math.floor(at / 1000))}, but it was sealed at about ${instantText(Math.floor(sealed.to / 1000))}: no entry is sealed so far from its time`;
}

/**
 * Returns whether an entry that was sealed then can be of this month, and so be in its archive: the time of an entry
 * lies near the time of its seal.
 * @param {string} month `2026-11`
 * @param {Sealed | undefined} sealed
 */
function canBeOf(month, sealed) {
  const [year = 0, number = 0] = month.split('-').map(Number);
  const [begin, end] = [Date.UTC(year, number - 1, 1) * 1000, Date.UTC(year, number, 1) * 1000];
  return sealed === undefined || (sealed.to >= begin - aheadMicros && sealed.from <= end + oldestMicros);
}

/**
 * Returns whether a statement that entries of this month are in an archive was sealed too early: a month leaves the
 * database only when it has been over for a month.
 * @param {string} month `2026-11`
 * @param {Sealed | undefined} sealed
 */
function isTooEarly(month, sealed) {
  const [year = 0, number = 0] = month.split('-').map(Number);
  return sealed !== undefined && sealed.to < Date.UTC(year, number + 1, 1) * 1000;
}

// ======== heads.js =======================================================================================================================

// Owns: the heads log: each head's trees, its epoch and its map, and the root of the log compared with every checkpoint
// of its size.
// Must never: believe what a head says about a tree before a checkpoint has proved it.

/**
 */

/** What is known of one tree before its entries come. */
class TreeRecord {
  growths;
  blocks = new HashesByIndex();
  leaves = new HashesByIndex();
  /** Entries that a checkpoint of the witness covers, when the database fits that checkpoint. */
  proven = 0;
  /**
   * The tree of those entries, when each root up to it was right.
   * @type {Frontier | undefined}
   */
  proved;
  /**
   * Of the entries that an earlier run read.
   * @type {Frontier | undefined}
   */
  start;
  /** The last number that such a run read, of any tree. */
  startNumber = 0;

  /** @param {Frontier} [start] @param {Base['head']} [head] With which head, and which was its last number. */
  constructor(start, head) {
    if (start === undefined || head === undefined) {
      this.growths = new Growths();
      return;
    }
    this.growths = new Growths({ size: start.size, head: head.position, high: head.number, root: start.root() });
    this.proven = start.size;
    [this.start, this.proved, this.startNumber] = [start, start, head.number];
  }
}

class HeadsCheck {
  /** @type {Map<string, TreeRecord>} */
  trees = new Map();
  /** Heads so far, including missing ones. */
  count = 0;
  /** Of the last entry that the heads cover. */
  number = 0;
  /** Up to the last checkpoint that fits. */
  good = { size: 0, number: 0 };
  /**
   * The row to which a changed head points, to be named when it comes.
   * @type {{ readonly finding: Finding, readonly better: Better } | undefined}
   */
  suspect;
  #findings;
  #due;
  /** @type {Mark | undefined} */
  #mark;
  /** When heads were sealed. */
  times = new Times();
  #log = new Frontier();
  /** The log without its last head. */
  #before = new Frontier();
  /**
   * What an earlier run proved.
   * @type {Base | undefined}
   */
  #base;
  /** Whether the last head that it read is still there. */
  #isAnchored = false;
  /**
   * At the last checkpoint that fits.
   * @type {Pick<Base, 'before' | 'head'> | undefined}
   */
  #proved;
  /**
   * The checkpoints that fitted last.
   * @type {[size: number, root: string][]}
   */
  #roots = [];
  #firstBlock = 0;
  /** Hashes of 256 heads each. */
  #logBlocks = new Rows(32);
  /** Whether heads are missing, or one was changed: then no later root can fit. */
  #isLogLost = false;
  /** Whether heads are missing: then what they said about trees is not known. */
  #hasGap = false;
  #at = 0;
  /** @type {Buffer | undefined} */
  #secret;
  /**
   * The head with which each epoch began, by what distinguishes its secret from others.
   * @type {Map<string, number>}
   */
  #secrets = new Map();
  /** @type {TreeMap | undefined} */
  #map;
  /** @type {Set<TreeRecord>} */
  #grown = new Set();

  /**
   * @param {Findings} findings
   * @param {Generator<Mark, void>} due
   * @param {Base} [base] What an earlier run proved: only the heads behind it come, and its last one once more.
   */
  constructor(findings, due, base) {
    this.#findings = findings;
    this.#due = due;
    if (base !== undefined) this.#goOn(base);
    this.#advance();
    this.#checkLog();
  }

  /** @param {string} where @param {string} why */
  malformed(where, why) {
    this.#isLogLost = true;
    this.#hasGap = true;
    this.#findings.say('head malformed', `${where}: ${why}`, { head: this.count });
  }

  /** @param {Head} head */
  head(head) {
    const { position, number, at } = head;
    if (position === (this.#base?.head.position ?? -1) && !this.#isAnchored) return this.#anchor(head);
    if (position < this.count) {
      const text = `head ${position} stands where it may not: there is one of that position already`;
      this.#findings.say('head out of order', text, { head: position });
      return;
    }
    if (position > this.count) this.#miss(position);
    const mapRoot = this.#grow(head);
    this.number = Math.max(number, this.number);
    this.#at = at;
    this.times.add(position, at);
    this.count = position + 1;
    if (!this.#isLogLost && mapRoot !== undefined) {
      this.#before = this.#log.copy();
      this.#log.append(leafHash(Buffer.from(headText(head, mapRoot))));
      if (this.#log.block !== undefined) this.#logBlocks.add().set(this.#log.block);
    } else this.#isLogLost = true;
    this.#checkLog();
  }

  /**
   * Returns what the next run can continue from; nothing when something of it was not read.
   * @param {string | undefined} note
   */
  known(note) {
    const proved = this.#proved;
    if (note === undefined || proved === undefined || proved.head.position + 1 !== this.good.size) return undefined;
    /** @type {[tree: string, size: number, roots: string][]} */
    const trees = [];
    for (const tree of [...this.trees.keys()].sort()) {
      const { proven, proved: frontier } = this.trees.get(tree) ?? new TreeRecord();
      if (proven === 0) continue;
      if (frontier?.size !== proven) return undefined;
      trees.push([tree, proven, frontier.roots().toString('base64')]);
    }
    const { position, at, number, secret } = proved.head;
    return {
      note,
      head: { position, at, number, secret: secret.toString('base64') },
      log: proved.before.roots().toString('base64'),
      trees,
      secrets: [...this.#secrets].flatMap(([tag, head]) => (head < this.good.size ? [tag] : [])).slice(-secretsMax),
      roots: this.#roots.slice(-rootsMax),
    };
  }

  /** The trees of the heads in order, after the last head. */
  end() {
    const { head, note } = this.#base ?? {};
    if (head !== undefined && note !== undefined && !this.#isAnchored) this.#sayGone(head.position, note);
    /** @type {Mark | undefined} */
    let last;
    for (; this.#mark !== undefined; this.#advance()) last = this.#mark;
    if (last !== undefined) this.#sayBehind(last);
    this.#map = undefined;
    return [...this.trees.keys()].sort();
  }

  /**
   * Nothing here relies on it, because every head is there; but the gateway itself compares by these.
   * @param {number} index
   * @param {Buffer} block
   */
  block(index, block) {
    const row = index - this.#firstBlock;
    if (this.#isLogLost || (row >= 0 && row < this.#logBlocks.length && this.#logBlocks.at(row).equals(block))) return;
    const [from, to] = [index * blockSize, index * blockSize + blockSize - 1];
    const text = `the heads log: the hash of block ${index} is not that of heads ${from} to ${to}`;
    this.#findings.say('block', text, { tree: headsTree, from, to });
  }

  /** @param {Base} base */
  #goOn(base) {
    const { log, before, head, trees, map, secrets, roots, note } = base;
    this.#base = base;
    this.count = log.size;
    this.number = head.number;
    this.good = { size: log.size, number: head.number };
    this.times.add(head.position, head.at);
    for (const [tree, frontier] of trees) this.trees.set(tree, new TreeRecord(frontier, head));
    [this.#log, this.#before, this.#map, this.#secret, this.#at] = [log.copy(), before, map, head.secret, head.at];
    this.#firstBlock = Math.floor(log.size / blockSize);
    for (const tag of secrets) this.#secrets.set(tag, 0);
    this.#roots = [...roots].filter(([size]) => size < note.size);
    this.#proved = { before, head };
  }

  /**
   * The last head that was read before must be the one that is there now.
   * @param {Head} head
   */
  #anchor({ position, at, number, secret, lines }) {
    this.#isAnchored = true;
    const base = this.#base;
    if (base === undefined) return;
    const trees = parseHeadLines(lines);
    const isSame = (/** @type {HeadTree} */ { tree, size, root }) => {
      const frontier = base.trees.get(tree);
      return frontier?.size === size && frontier.root().equals(root);
    };
    const { head, note } = base;
    if (at === head.at && number === head.number && secret.equals(head.secret) && trees?.every(isSame) === true) return;
    this.#isLogLost = true;
    const text = `head ${position} is not the one that was verified before (checkpoint of size ${note.size}, ${instantText(note.time)}): the database was set back and went on, or the head was changed`;
    this.#findings.say('head changed', text, { head: position, from: position, to: position });
  }

  /** @param {number} position @param {Note} note */
  #sayGone(position, note) {
    const isBehind = this.count === note.size;
    this.#isLogLost = true;
    const said = `head ${position}, which was verified before (checkpoint of size ${note.size}, ${instantText(note.time)})`;
    if (isBehind)
      this.#findings.say('behind', `the database was set back: it does not hold ${said}`, { head: position });
    else
      this.#findings.say('head missing', `the database does not hold ${said}`, {
        head: position,
        from: position,
        to: position,
      });
  }

  /** @param {number} position */
  #miss(position) {
    const [from, to] = [this.count, position - 1];
    const text = `head ${from}${to > from ? ` up to ${to}` : ''} is missing: the first entry that it sealed has number ${this.number + 1}`;
    this.#findings.say('head missing', text, { head: from, from, to, number: this.number + 1 });
    this.#isLogLost = true;
    this.#hasGap = true;
  }

  /**
   * Stores what the head says about its trees. Returns the map root after it, or nothing.
   * @param {Head} head
   */
  #grow(head) {
    const { position, number, lines, at } = head;
    const bad = (/** @type {string} */ text) => {
      this.#findings.say('head malformed', `head ${position}: ${text}`, { head: position });
      return undefined;
    };
    const trees = parseHeadLines(lines);
    const begins = this.#beginsEpoch(head, bad);
    if (at < this.#at)
      bad(
        `it is of ${instantText(Math.floor(at / 1000))}, and the head before it is later: heads never go back in time`,
      );
    if (trees === undefined) return bad('its lines of trees, sizes and roots are malformed or out of order');
    const leaves = trees.reduce(
      (sum, { tree, size }) => sum + Math.max(0, size - (this.trees.get(tree)?.growths.size ?? 0)),
      0,
    );
    const low = number - leaves + 1;
    let isGood = begins !== undefined;
    for (const one of trees) if (!this.#growTree(one, position, low, number, begins === true, bad)) isGood = false;
    if (begins === true) isGood = this.#areAllNamed(trees, bad) && isGood;
    if (trees.length === 0 && begins === false) return bad('it seals nothing and begins no epoch');
    if (!this.#hasGap && number !== this.number + leaves)
      return bad(`its trees grew by ${leaves}, its number from ${this.number} to ${number}`);
    return isGood && !this.#hasGap ? this.#map?.root() : undefined;
  }

  /**
   * Returns whether an epoch begins with this head; undefined when it may not.
   * @param {Head} head
   * @param {(text: string) => undefined} bad
   */
  #beginsEpoch({ secret, position }, bad) {
    if (this.#secret?.equals(secret) === true) return false;
    this.#secret = secret;
    const tag = tagOf(secret);
    const isOld = this.#secrets.has(tag);
    this.#secrets.set(tag, position);
    this.#map = new TreeMap(secret);
    return isOld ? bad('its secret was that of an earlier epoch') : true;
  }

  /**
   * @param {HeadTree} line
   * @param {number} head
   * @param {number} low
   * @param {number} high
   * @param {boolean} begins
   * @param {(text: string) => undefined} bad
   */
  #growTree({ tree, size, root }, head, low, high, begins, bad) {
    const record = this.trees.get(tree) ?? new TreeRecord();
    this.trees.set(tree, record);
    const { growths } = record;
    const before = growths.size;
    if (size < before || (size === before && !begins && !this.#hasGap)) {
      bad(`tree ${tree} had ${before} entries already and is said to have ${size}`);
      return false;
    }
    if (size === before) {
      if (growths.root?.equals(root) !== true) {
        bad(`tree ${tree} did not grow, and its root is another than before`);
        return false;
      }
    } else {
      growths.add(size, root, head, low, high);
      this.#grown.add(record);
    }
    if (this.#isLogLost || this.#map?.set(tree, size, root) !== false) return true;
    bad(`tree ${tree} has the same slot as another: the secret of this epoch may not be used`);
    return false;
  }

  /**
   * No tree vanishes: the first head of an epoch names all of them.
   * @param {readonly HeadTree[]} named
   * @param {(text: string) => undefined} bad
   */
  #areAllNamed(named, bad) {
    if (named.length === this.trees.size) return true;
    const names = new Set(named.map(({ tree }) => tree));
    const left = [...this.trees.keys()].filter((tree) => !names.has(tree));
    bad(`it begins an epoch and leaves out ${left.length} trees, the first of them ${left.sort()[0]}`);
    return false;
  }

  #advance() {
    const next = this.#due.next();
    this.#mark = next.done === true ? undefined : next.value;
  }

  /** Compares the root of the heads log with every checkpoint of its size. */
  #checkLog() {
    const size = this.count;
    for (; this.#mark !== undefined && this.#mark.size <= size; this.#advance()) {
      const mark = this.#mark;
      if (this.#isLogLost || mark.size < size) continue;
      if (!this.#log.root().equals(mark.root)) {
        this.#loseLog(mark);
        continue;
      }
      this.good = { size, number: this.number };
      this.#keep(mark);
      for (const record of this.#grown) record.proven = record.growths.size;
      this.#grown.clear();
    }
  }

  /**
   * For the next run: this checkpoint fits.
   * @param {Mark} mark
   */
  #keep({ size, root }) {
    if (size === 0 || this.#secret === undefined) return;
    if (this.#proved?.head.position !== size - 1)
      this.#proved = {
        before: this.#before,
        head: { position: size - 1, at: this.#at, number: this.number, secret: this.#secret },
      };
    if (this.#roots.at(-1)?.[0] !== size) this.#roots.push([size, root.toString('base64')]);
    if (this.#roots.length > 2 * rootsMax) this.#roots = this.#roots.slice(-rootsMax);
  }

  /** @param {Mark} mark */
  #loseLog(mark) {
    this.#isLogLost = true;
    const from = this.good.size;
    const to = mark.size - 1;
    const [low, high] = [this.good.number + 1, this.number];
    const text = `what was sealed with ${from === to ? `head ${from}` : `heads ${from} to ${to}`} is not what the witness saw (checkpoint of size ${mark.size}, ${instantText(mark.time)}). Entry number ${low} is the first suspect, of ${low} to ${high}; what comes later is proved by nothing`;
    /** @type {Finding} */
    const finding = { what: 'head changed', text, number: low, head: from, from, to };
    this.suspect = { finding, better: this.#findings.add(finding) };
  }

  /** @param {Mark} last */
  #sayBehind(last) {
    const heads = this.count;
    const at = heads === 0 ? '' : `, the last of ${instantText(Math.floor(this.#at / 1000))}`;
    const number = this.number + 1;
    const text = `the database is behind the witness: it holds ${heads} heads${at}; the witness has a checkpoint of ${last.size} heads of ${instantText(last.time)}. The first missing head is ${heads}, the first missing entry has number ${number}. If the dump is older than the witness, copy the witness first, then dump, and verify again`;
    this.#findings.say('behind', text, { number, head: heads, from: heads, to: last.size - 1 });
  }
}

// ======== statements.js ==================================================================================================================

// Owns: what the record itself states about what left the database: sealed `ledger.archived` and
// `ledger.archive-deleted`, and for which absent positions they account.
// Must never: let one stated entry account for two positions, or count a statement that no checkpoint covers.

/**
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

const archivedKind = 'ledger.archived';
const deletedKind = 'ledger.archive-deleted';

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
function statementOf(entry) {
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
function deletedFileOf(entry) {
  const { month, file } = fieldsIn(fieldsOf(entry).sensitiveText);
  return entry.tree === commonTree && isWord(month) && isWord(file) ? file : undefined;
}

/** The month of an archive: from 1970 on, and one that exists. */
const monthShape = /^(?:19[7-9]\d|[2-9]\d{3})-(?:0[1-9]|1[0-2])$/;

/**
 * The statements of one tree that count, in the order of their positions. Whoever owns the database can have as many as
 * he likes sealed, so each takes the same time, however many there are.
 */
class Statements {
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
function account(runs, allowances) {
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

// ======== absent.js ======================================================================================================================

// Owns: the positions of one tree for which the dump has no entry, and what accounts for each of them: an archive that
// was read, a sealed statement, or nothing.
// Must never: count an archive whose hash no sealed statement of this very tree names.

/**
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

class Absences {
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
   * @param {Pick<Surroundings, 'sha256Of' | 'isGiven'>} around
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

// ======== suspects.js ====================================================================================================================

// Owns: rows that are not what their stored leaf says, and what that leaf tells about where they come from: moved,
// swapped, or simply changed.
// Must never: decide whether a record is good. It only finds better words for what is already wrong.

/**
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
class Suspects {
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

// ======== tree.js ========================================================================================================================

// Owns: one tree compared with its heads: every entry at its place, every root that a head named, and which positions
// nothing accounts for.
// Must never: take a block or a leaf for the entries for which it stands: they allow the roots to be computed, and
// excuse nothing.


/**
 *
 * What a tree's check needs of the record around it.
 * @typedef {object} Surroundings
 * @property {(number: number) => boolean} isNewNumber
 * @property {(source: number) => string | undefined} sha256Of
 * @property {(sha256: string) => boolean} isGiven Whether the file of this hash is among the archives.
 * @property {(head: number | undefined) => Sealed | undefined} sealedAt
 */

/** @typedef {{ readonly from: number, readonly to: number, readonly sealed: Sealed | undefined }} Span Positions that were sealed within one hour. */

/** One tree: feed its entries in order, then close. */
class TreeCheck {
  entries = 0;
  /**
   * Positions that are stated and were not read, by file.
   * @type {Map<string, number>}
   */
  stated = new Map();
  findings = new Findings();
  #tree;
  #record;
  #around;
  #size;
  #growths;
  #suspects = new Suspects(this.findings);
  #absences;
  /** Fed with what was computed. */
  #frontier = new Frontier();
  /**
   * From the first suspect row on: fed with stored leaves where they differ, so that what follows can still be judged.
   * @type {Frontier | undefined}
   */
  #repaired;
  /** As it was where the current block begins. */
  #blockStart = new Frontier();
  /** The last block of which only the hash was known. */
  #covered = -1;
  /**
   * Entries of a block that are in the database alone, and those that an archive has as well.
   * @type {{ block: number, count: number, shared: Map<number, number> }}
   */
  #owned = { block: -1, count: 0, shared: new Map() };
  #next = 0;
  /** Neither frontier is right any more: roots prove nothing. */
  #isLost = false;
  /** The size at the last root that was right, and the number of the first entry after it. */
  #goodSize = 0;
  /** @type {number | undefined} */
  #goodNumber;
  /** @type {{ readonly from: number, readonly to: number, readonly better: Better } | undefined} */
  #lostRoot;
  #blamed = -1;
  /**
   * The first row since then whose number another head sealed.
   * @type {{ readonly entry: Entry, readonly isLater: boolean, readonly low: number, readonly high: number } | undefined}
   */
  #foreign;
  /** @type {{ readonly entry: Entry, readonly better: Better, count: number } | undefined} */
  #beyond;
  /** @type {{ readonly number: number, readonly beforeIt: number, readonly leaf: Buffer, readonly source: number } | undefined} */
  #before;
  /** @type {readonly Span[] | undefined} */
  #spans;
  /**
   * @param {string} tree
   * @param {TreeRecord} record
   * @param {Surroundings} around
   */
  constructor(tree, record, around) {
    this.#tree = tree;
    this.#record = record;
    this.#around = around;
    this.#size = record.growths.size;
    this.#growths = record.growths.reader();
    this.#absences = new Absences(tree, this.findings, around);
    const { start, startNumber: number } = record;
    if (start === undefined) return;
    // This run begins where an earlier run ended.
    [this.#frontier, this.#blockStart] = [start.copy(), start.wholeBlocks()];
    [this.#next, this.#goodSize] = [start.size, start.size];
    this.#before = { number, beforeIt: number, leaf: Buffer.alloc(0), source: 0 };
  }

  /**
   * The statements that count.
   * @returns {readonly Statement[]}
   */
  get statements() {
    return this.#absences.statements;
  }

  /** @param {Entry} entry @param {number} source */
  entry(entry, source) {
    const leaf = leafOf(entry);
    if (source > 0) this.#absences.partOf(entry.position, source);
    if (entry.position < this.#next) return this.#again(entry, leaf, source);
    this.entries += 1;
    if (entry.position >= this.#size) return this.#unsealed(entry);
    if (entry.position > this.#next) this.#skip(entry.position);
    if (source > 0)
      this.#absences.keep({
        from: entry.position,
        to: entry.position,
        sources: [source],
        isHashed: true,
        sealed: undefined,
      });
    else this.#own(entry.position);
    this.#goodNumber ??= entry.position === this.#goodSize ? entry.number : undefined;
    if (!leaf.equals(entry.leaf)) {
      this.#blamed = entry.position;
      this.#repaired ??= this.#frontier.copy();
      this.#suspects.accuse(entry, this.#before?.number, (finding) => this.#sayBetter(finding));
    } else {
      this.#checkFields(entry);
      this.#checkNumber(entry);
    }
    this.#before = { number: entry.number, beforeIt: this.#before?.number ?? 0, leaf, source };
    this.#grow(leaf, entry.leaf);
  }

  /**
   * An entry that cannot be read still occupies its place.
   * @param {number} position
   */
  unreadable(position) {
    if (position < this.#next || position >= this.#size) return;
    if (position > this.#next) this.#skip(position);
    this.#isLost = true;
    this.#blamed = position;
    this.#next = position + 1;
    this.#passSizes();
  }

  close() {
    if (this.#beyond !== undefined && this.#suspects.shift === 0) this.#sayBeyond(this.#beyond);
    // Rows that moved up leave a place at the end: that was reported where they begin to move.
    const isMoved = this.#suspects.shift !== 0 && this.#size - this.#next <= Math.abs(this.#suspects.shift);
    if (this.#next < this.#size && !isMoved) this.#skip(this.#size);
    this.#settle();
    this.stated = this.#absences.close((month) => this.#within(month));
    const last = this.#record.blocks.last;
    if ((last + 1) * blockSize > this.#size && last >= 0) {
      const text = `tree ${this.#tree}: there is a block ${last}, but only ${this.#size} entries were sealed`;
      this.findings.say('block', text, {
        tree: this.#tree,
        from: last * blockSize,
        to: last * blockSize + blockSize - 1,
      });
    }
  }

  /** Between which positions those lie that can be of this month, by the heads that sealed them; nothing: there are none. @param {string} month */
  #within(month) {
    this.#spans ??= this.#spansOf();
    const fitting = this.#spans.filter(({ sealed }) => canBeOf(month, sealed));
    const [first, last] = [fitting[0], fitting.at(-1)];
    return first === undefined || last === undefined ? undefined : { from: first.from, to: last.to };
  }

  /** @returns {readonly Span[]} */
  #spansOf() {
    /** @type {(Span & { to: number })[]} */
    const spans = [];
    const growths = this.#record.growths.reader();
    for (let growth = growths.next; growth !== undefined; growth = growths.next) {
      const sealed = this.#around.sealedAt(growth.head);
      const last = spans.at(-1);
      if (last !== undefined && last.sealed?.to === sealed?.to) last.to = growth.size - 1;
      else
        spans.push({
          from: last === undefined ? (this.#record.start?.size ?? 0) : last.to + 1,
          to: growth.size - 1,
          sealed,
        });
      growths.step();
    }
    return spans;
  }

  // ---- What an entry says

  /** @param {Entry} entry */
  #checkFields(entry) {
    const { customer, kind } = fieldsOf(entry);
    const bad = (/** @type {What} */ what, /** @type {string} */ text) =>
      this.findings.say(what, `${placeText(entry.tree, entry.position, entry.number)}: ${text}`, atPlace(entry));
    if (!isOwnTree(entry.tree, customer))
      bad(
        'misplaced',
        `it is of ${customer === null ? 'no customer' : `customer ${customer}`} and stands in another tree`,
      );
    // Inside one tree it is out of order, and was reported.
    const isNew = this.#around.isNewNumber(entry.number);
    if (!isNew && entry.number > (this.#before?.number ?? 0)) bad('number', 'another entry has the same number');
    const sealed = this.#around.sealedAt(this.#growths.next?.head);
    const odd = oddTime(entry.cells[3], sealed);
    if (odd !== undefined) bad('time', odd);
    if (kind !== archivedKind) return;
    const statement = statementOf(entry);
    if (statement === undefined)
      bad('statement', 'it states that entries are in an archive, and not which, or not rightly');
    else if (isTooEarly(statement.month, sealed))
      bad(
        'statement',
        `it states that entries of ${statement.month} are in an archive, and was sealed before that month may leave`,
      );
    else if (entry.position >= this.#record.proven) this.#absences.passOver();
    else this.#absences.state(statement, Math.floor(entry.position / blockSize));
  }

  /**
   * Inside a tree numbers grow, and each lies among those of the head that sealed it.
   * @param {Entry} entry
   */
  #checkNumber(entry) {
    const { low, high } = this.#growths.next ?? { low: 1, high: 0 };
    const { number, beforeIt } = this.#before ?? { number: 0, beforeIt: 0 };
    const { tree, position } = entry;
    if (entry.number > number) {
      // The root decides whether a row is missing here or a number was changed.
      if (entry.number < low || entry.number > high)
        this.#foreign ??= { entry, isLater: entry.number > high, low, high };
      return;
    }
    const isAfterOdd = this.#blamed === position - 1;
    this.#blamed = position;
    if (isAfterOdd) return;
    // When it fits after the one before the last, the last one is wrong.
    const isLastForeign = this.#foreign?.isLater === true && this.#foreign.entry.position === position - 1;
    const isLastWrong = entry.number > beforeIt && (entry.number >= low || isLastForeign);
    const [at, odd] = isLastWrong ? [position - 1, number] : [position, entry.number];
    const text = `the row is not where it was sealed: number ${entry.number} comes behind number ${number}`;
    this.#sayBetter({
      what: 'out of order',
      text: `${placeText(tree, at, odd)}: ${text}`,
      tree,
      position: at,
      number: odd,
    });
  }

  // ---- Roots

  /** @param {Buffer} computed @param {Buffer} stored */
  #grow(computed, stored) {
    this.#next += 1;
    if (this.#isLost) return this.#passSizes();
    if (this.#next > this.#frontier.size) {
      this.#frontier.append(computed);
      this.#repaired?.append(stored);
    }
    if (this.#frontier.block !== undefined && this.#frontier.size === this.#next)
      this.#checkBlock(this.#frontier.block);
    this.#checkRoot();
  }

  /** Sizes that lie inside a block, or after which nothing can be said. */
  #passSizes() {
    while (this.#growths.next !== undefined && this.#growths.next.size <= this.#next) this.#growths.step();
  }

  #checkRoot() {
    // A root inside a block of which only the hash is known cannot be computed, and those after it cannot be compared
    // one by one.
    const isInside = this.#frontier.size > this.#next;
    for (let passed = this.#growths.next; passed !== undefined; passed = this.#growths.next) {
      if (passed.size > this.#next || (passed.size === this.#next && !isInside)) break;
      this.#growths.pass();
    }
    if (isInside) return;
    if (this.#next % blockSize === 0) this.#blockStart = this.#frontier.copy();
    const growth = this.#growths.next;
    if (growth?.size !== this.#next) return;
    if (growth.isNamed(this.#frontier.root())) this.#suspects.onlyLeaves(this.#goodSize);
    else if (this.#repaired !== undefined && growth.isNamed(this.#repaired.root())) this.#frontier = this.#repaired;
    else {
      this.#loseRoot(growth.head);
      this.#growths.step();
      return;
    }
    this.#growths.step();
    if (this.#foreign !== undefined) this.#sayForeign(this.#foreign);
    this.#foreign = undefined;
    this.#repaired = undefined;
    if (this.#next === this.#record.proven) this.#record.proved = this.#frontier.copy();
    this.#goodSize = this.#next;
    this.#goodNumber = undefined;
  }

  /** @param {number} head */
  #loseRoot(head) {
    this.#isLost = true;
    // A row was named already since the last right root: that is the reason.
    if (this.#blamed >= this.#goodSize) return;
    const from = this.#goodSize;
    const to = this.#next - 1;
    const { tree, what, why } = { tree: this.#tree, ...this.#reason(from, to) };
    const text = `${placeText(tree, from, this.#goodNumber)}: ${why}: the root that head ${head} sealed is another. What follows in this tree could be compared with its stored leaves only`;
    const better = this.findings.say(what, text, { tree, position: from, number: this.#goodNumber, head, from, to });
    this.#lostRoot = { from, to, better };
  }

  /** @param {number} from @param {number} to @returns {{ readonly what: What, readonly why: string }} */
  #reason(from, to) {
    const first =
      from === to ? 'the entry' : `one of the entries at positions ${from} to ${to} (this is the first of them)`;
    const foreign = this.#foreign;
    if (foreign?.isLater !== true)
      return { what: 'changed', why: `${first} was changed after it was sealed, together with its leaf hash` };
    const { position, number } = foreign.entry;
    return {
      what: 'missing',
      why: `${first} is missing: at position ${position} stands number ${number}, which was sealed later`,
    };
  }

  /**
   * The root is right all the same: whoever sealed gave a number that its head does not cover.
   * @param {{ readonly entry: Entry, readonly low: number, readonly high: number }} foreign
   */
  #sayForeign({ entry, low, high }) {
    const text = `its head sealed the numbers ${low} to ${high} only`;
    this.findings.say(
      'out of order',
      `${placeText(entry.tree, entry.position, entry.number)}: ${text}`,
      atPlace(entry),
    );
  }

  /** @param {Buffer} block */
  #checkBlock(block) {
    const index = this.#next / blockSize - 1;
    const stored = this.#record.blocks.get(index);
    const from = index * blockSize;
    if (stored === undefined || stored.equals(block) || this.#blamed >= from || this.#repaired !== undefined) return;
    const text = `tree ${this.#tree}: the hash of block ${index} is not that of its entries (positions ${from} to ${this.#next - 1})`;
    this.findings.say('block', text, { tree: this.#tree, from, to: this.#next - 1 });
  }

  // ---- What is not there

  /**
   * Positions that are not there: blocks and leaves still allow the roots to be computed.
   * @param {number} to
   */
  #skip(to) {
    const { blocks, leaves } = this.#record;
    while (this.#next < to) {
      const from = this.#next;
      const sealed = this.#growths.next;
      const index = Math.floor(from / blockSize);
      const end = (index + 1) * blockSize;
      const isWhole = from % blockSize === 0 && end <= to;
      const leaf = isWhole && blocks.get(index) !== undefined ? undefined : leaves.get(from);
      const block = leaf === undefined && end <= this.#size ? blocks.get(index) : undefined;
      if (leaf !== undefined) this.#next += 1;
      else if (block !== undefined) this.#next = Math.min(end, to);
      else {
        const known = blocks.from(index + 1);
        this.#next = known !== undefined && (known + 1) * blockSize <= to ? known * blockSize : to;
        this.#blamed = this.#next - 1;
        this.#isLost = true;
      }
      if (this.#isLost) this.#passSizes();
      else if (block !== undefined) this.#cover(index, block);
      else if (leaf !== undefined) this.#growBy(leaf);
      this.#absences.keep({
        from,
        to: this.#next - 1,
        sources: [],
        isHashed: leaf !== undefined || block !== undefined,
        sealed,
      });
    }
  }

  /** @param {Buffer} leaf */
  #growBy(leaf) {
    if (this.#next > this.#frontier.size) {
      this.#frontier.append(leaf);
      this.#repaired?.append(leaf);
      if (this.#frontier.block !== undefined) this.#checkBlock(this.#frontier.block);
    }
    this.#checkRoot();
  }

  /**
   * A block stands for all its 256 entries, including those that are there.
   * @param {number} index
   * @param {Buffer} block
   */
  #cover(index, block) {
    if (this.#owned.block !== index) this.#settle();
    if (this.#covered !== index) {
      this.#covered = index;
      this.#absences.cover(index);
      // A row that is not what its stored leaf says was named, and the block was not computed from it.
      this.#repaired = undefined;
      this.#frontier = this.#blockStart.copy();
      this.#frontier.appendBlock(block);
    }
    this.#checkRoot();
  }

  /**
   * Counts the entries of a block that only the database has.
   * @param {number} position
   */
  #own(position) {
    const block = Math.floor(position / blockSize);
    if (block !== this.#owned.block) {
      this.#settle();
      this.#owned = { block, count: 0, shared: new Map() };
    }
    this.#owned.count += 1;
  }

  /**
   * The last of those is in an archive as well.
   * @param {number} source
   */
  #share(source) {
    const { shared } = this.#owned;
    this.#owned.count -= 1;
    shared.set(source, (shared.get(source) ?? 0) + 1);
  }

  /** Entries beside absent ones of which no leaf is known: nothing proves that they are what was sealed. */
  #settle() {
    const { block, count, shared } = this.#owned;
    this.#owned = { block, count: 0, shared: new Map() };
    if (block !== this.#covered) return;
    if (count > 0) this.#absences.lean(0, block, count);
    for (const [source, some] of shared) this.#absences.lean(source, block, some);
  }

  // ---- Rows that are too many

  /**
   * A row for a place that is occupied, or that has been passed.
   * @param {Entry} entry @param {Buffer} leaf @param {number} source
   */
  #again(entry, leaf, source) {
    const isLast = entry.position === this.#next - 1;
    // An entry may be in an archive and still in the database: the very same one.
    const before = isLast ? this.#before : undefined;
    if (before !== undefined && before.source !== source && leaf.equals(before.leaf) && leaf.equals(entry.leaf)) {
      if (before.source === 0) this.#share(source);
      else this.#absences.alsoIn(entry.position, source);
      this.#before = { ...before, source };
      return;
    }
    this.entries += 1;
    if (this.#absences.isLate(entry)) return;
    const text = isLast
      ? 'a second row claims this position: one of the two was inserted'
      : `the row stands behind position ${this.#next - 1}`;
    const what = isLast ? 'inserted' : 'out of order';
    this.findings.add({
      what,
      text: `${placeText(entry.tree, entry.position, entry.number)}: ${text}`,
      ...atPlace(entry),
    });
  }

  /** @param {Entry} entry */
  #unsealed(entry) {
    if (this.#beyond !== undefined) this.#beyond.count += 1;
    else if (this.#suspects.shift === 0) {
      this.#beyond = { entry, count: 1, better: this.findings.say('inserted', '', { ...atPlace(entry) }) };
      this.#sayBeyond(this.#beyond);
    }
  }

  /** @param {{ readonly entry: Entry, readonly count: number, readonly better: Better }} beyond */
  #sayBeyond({ entry, count, better }) {
    const sealed = this.#size === 0 ? 'no head names this tree' : `the heads know ${this.#size} entries of this tree`;
    const text = `${placeText(entry.tree, entry.position, entry.number)}: inserted: ${sealed}${count > 1 ? `; ${count - 1} more rows follow it` : ''}`;
    better({ what: 'inserted', text, ...atPlace(entry), from: entry.position, to: entry.position + count - 1 });
  }

  /**
   * Replaces a finding that named a whole range, when this row lies in it.
   * @param {Finding & { readonly position: number }} finding
   */
  #sayBetter(finding) {
    const range = this.#lostRoot;
    if (range === undefined || finding.position < range.from || finding.position > range.to) this.findings.add(finding);
    else range.better(finding);
  }
}

// ======== record.js ======================================================================================================================

// Owns: the whole record, line by line: heads first, then blocks and leaves, then entries by tree and position; at the
// end the verdict.
// Must never: call a record good of which something was not read.


/**
 *
 * @typedef {'good' | 'bad' | 'incomplete'} Verdict
 *
 * An archive of which lines will come. Its number as a source is its place in the list, the first is 1.
 * @typedef {{ readonly file: string, readonly sha256: string }} Archive
 *
 * @typedef {object} Report
 * @property {Verdict} verdict
 * @property {boolean} ok Whether the verdict is good.
 * @property {number} entries That were read.
 * @property {number} archived Positions that the record states to be in archives which were not read.
 * @property {number} heads
 * @property {number} trees
 * @property {number} checkpoints
 * @property {{ readonly size: number, readonly time: string, readonly era: number } | null} newest
 * @property {number} abandoned Different sizes of abandoned checkpoints, per era, added up.
 * @property {{ readonly heads: number, readonly entries: number }} unwitnessed Beyond the newest checkpoint: nobody has witnessed them yet.
 * @property {readonly Loss[]} lost
 * @property {number} found All that was found; `findings` holds the first twenty, and the first of each tree.
 * @property {Finding | null} firstRow
 * @property {readonly Finding[]} findings
 * @property {readonly string[]} read What was read, in sentences.
 * @property {readonly string[]} notRead What was not, in sentences.
 *
 * @typedef {object} VerificationOptions
 * @property {Witness} witness Closed.
 * @property {number} now Milliseconds since 1970: the clock of the machine that verifies.
 * @property {number} maxAgeSeconds 0: a checkpoint of any age will do.
 * @property {readonly Archive[]} [archives]
 * @property {Base | undefined} [base] What an earlier run proved, when only what was sealed since is read.
 */

const parts = ['head', 'block', 'leaf', 'entry'];

/** Feed the lines of a dump (and of archives, merged by tree and position), then finish. */
class Verification {
  findings;
  #witness;
  #heads;
  #archives;
  /** Hashes of the archives. */
  #given;
  /** Lines of each archive. @type {number[]} */
  #lines;
  #part = 0;
  #numbers = new Numbers();
  /** The last number that an earlier run read. */
  #before;
  /**
   * In order; undefined while heads may still come.
   * @type {readonly string[] | undefined}
   */
  #names;
  #nextName = 0;
  /** @type {string | undefined} */
  #tree;
  /** @type {TreeCheck | undefined} */
  #check;
  #entries = 0;
  /**
   * Positions and trees that are stated and were not read, by file.
   * @type {Map<string, { positions: number, trees: number }>}
   */
  #unread = new Map();
  /**
   * Files that the record names, by hash.
   * @type {Map<string, { readonly file: string, readonly totals: Set<number> }>}
   */
  #stated = new Map();
  /** @type {Set<string>} */
  #deleted = new Set();

  /** @param {VerificationOptions} options */
  constructor({ witness, now, maxAgeSeconds, archives = [], base }) {
    this.findings = witness.findings;
    this.#witness = witness;
    this.#archives = archives;
    this.#given = new Set(archives.map(({ sha256 }) => sha256));
    this.#lines = archives.map(() => 0);
    this.#checkAge(now, maxAgeSeconds);
    this.#before = base?.head.number ?? 0;
    this.#heads = new HeadsCheck(this.findings, witness.accepted(), base);
  }

  /**
   * Processes one line, parsed. `where` names file and line; `source` is 0 for the dump.
   * @param {unknown} value
   * @param {string} where
   * @param {number} [source]
   */
  line(value, where, source = 0) {
    const [kind, row] = onlyProperty(value);
    const part = parts.indexOf(kind ?? '');
    if (part === -1 || !Array.isArray(row) || (source > 0 && kind !== 'entry'))
      this.findings.say('malformed', `${where}: this line is neither head nor block nor leaf nor entry`);
    else if (part < this.#part) this.#sayLate(String(kind), row, where);
    else {
      this.#part = part;
      if (kind === 'head') this.#headRow(row, where);
      else if (kind === 'block') this.#hashRow(row, where, 'block');
      else if (kind === 'leaf') this.#hashRow(row, where, 'leaf');
      else this.#entryRow(row, where, source);
    }
  }

  /** @returns {Report} */
  finish() {
    const names = this.#endHeads();
    this.#closeUpTo(undefined);
    this.#checkArchives();
    const { findings } = this;
    const witness = this.#witness;
    const { newest } = witness;
    const heads = this.#heads;
    const notRead = this.#notRead();
    const verdict = findings.count > 0 ? 'bad' : notRead.length > 0 ? 'incomplete' : 'good';
    return {
      verdict,
      ok: verdict === 'good',
      entries: this.#entries,
      archived: [...this.#unread.values()].reduce((sum, { positions }) => sum + positions, 0),
      heads: heads.count,
      trees: names.length,
      checkpoints: witness.checkpoints,
      newest: newest === undefined ? null : { size: newest.size, time: instantText(newest.time), era: newest.era },
      abandoned: witness.abandoned,
      unwitnessed: { heads: heads.count - heads.good.size, entries: Math.max(0, heads.number - heads.good.number) },
      lost: witness.losses.toReversed(),
      found: findings.count,
      firstRow: findings.firstRow ?? null,
      findings: findings.list,
      read: [...witness.read, ...this.#readArchives()],
      notRead,
    };
  }

  /**
   * Returns what the next run can continue from, after a good end of this one.
   * @returns {Known | undefined}
   */
  known() {
    const { newest, newestNote, places } = this.#witness;
    if (newest === undefined || newest.size !== this.#heads.good.size) return undefined;
    const known = this.#heads.known(newestNote);
    return known === undefined ? undefined : { ...known, witnesses: places };
  }

  // ---- Lines

  /** @param {string} kind @param {readonly unknown[]} row @param {string} where */
  #sayLate(kind, row, where) {
    const behind = parts[this.#part] ?? '';
    if (kind === 'head')
      this.findings.say(
        'head out of order',
        `${where}: a head stands behind ${behind} lines`,
        isCount(row[0]) ? { head: row[0] } : {},
      );
    else
      this.findings.say(kind === 'block' ? 'block' : 'malformed', `${where}: a ${kind} stands behind ${behind} lines`);
  }

  /** @param {readonly unknown[]} row @param {string} where */
  #headRow(row, where) {
    const head = parseHead(row);
    if (typeof head === 'string') this.#heads.malformed(where, head);
    else this.#heads.head(head);
  }

  /** @param {readonly unknown[]} row @param {string} where @param {'block' | 'leaf'} kind */
  #hashRow(row, where, kind) {
    const [tree, index, text] = row;
    const hash = fromHex(text, 32);
    this.#endHeads();
    const what = kind === 'block' ? 'block' : 'malformed';
    if (row.length !== 3 || typeof tree !== 'string' || !isCount(index) || hash === undefined) {
      this.findings.say(what, `${where}: this is not a ${kind}`);
      return;
    }
    if (kind === 'block' && tree === headsTree) {
      this.#heads.block(index, hash);
      return;
    }
    const record = this.#heads.trees.get(tree);
    const hashes = kind === 'block' ? record?.blocks : record?.leaves;
    if (hashes !== undefined && index > hashes.last) hashes.add(index, hash);
    else {
      const why = hashes === undefined ? 'belongs to no tree of the heads' : 'is there twice, or out of order';
      this.findings.say(what, `${where}: ${kind} ${index} of tree ${tree} ${why}`, isUuid(tree) ? { tree } : {});
    }
  }

  /** @param {readonly unknown[]} row @param {string} where @param {number} source */
  #entryRow(row, where, source) {
    if (source > 0) this.#lines[source - 1] = (this.#lines[source - 1] ?? 0) + 1;
    const entry = parseEntry(row);
    if (entry !== undefined) return this.#entry(entry, source);
    const [tree, position, number] = row;
    if (!isUuid(tree) || !isCount(position)) {
      this.findings.say('malformed', `${where}: this is not an entry`);
      return;
    }
    const known = isCount(number) ? number : undefined;
    const text = `${placeText(tree, position, known)}: a field is not of its kind, or there are too many or too few (${where})`;
    if (!this.#enter(tree, position, known)) return;
    this.#check?.findings.add({ what: 'malformed', text, tree, position, number: known });
    this.#check?.unreadable(position);
  }

  /** @param {Entry} entry @param {number} source */
  #entry(entry, source) {
    if (!this.#enter(entry.tree, entry.position, entry.number)) return;
    const { kind } = fieldsOf(entry);
    this.#check?.entry(entry, source);
    if (kind === deletedKind && entry.position < (this.#heads.trees.get(entry.tree)?.proven ?? 0)) {
      const file = deletedFileOf(entry);
      if (file !== undefined) this.#deleted.add(file);
    }
    const { suspect } = this.#heads;
    if (suspect?.finding.number !== entry.number) return;
    this.#heads.suspect = undefined;
    const text = `${placeText(entry.tree, entry.position, entry.number)}: ${suspect.finding.text}`;
    suspect.better({ ...suspect.finding, text, ...atPlace(entry) });
  }

  // ---- Trees

  #endHeads() {
    this.#names ??= this.#heads.end();
    return this.#names;
  }

  /**
   * Makes `tree` the one that is checked. Returns false for a row of a tree that has been passed.
   * @param {string} tree
   * @param {number} position
   * @param {number | undefined} number
   */
  #enter(tree, position, number) {
    this.#endHeads();
    if (tree === this.#tree) return true;
    if (this.#tree !== undefined && tree < this.#tree) {
      this.#entries += 1;
      const text = `${placeText(tree, position, number)}: the row stands behind rows of tree ${this.#tree}`;
      this.findings.say('out of order', text, { tree, position, number });
      return false;
    }
    this.#closeUpTo(tree);
    this.#tree = tree;
    this.#check = this.#open(tree);
    return true;
  }

  /** @param {string} tree */
  #open(tree) {
    return new TreeCheck(tree, this.#heads.trees.get(tree) ?? new TreeRecord(), {
      isNewNumber: (number) => number > this.#before && (number > this.#heads.number || this.#numbers.see(number)),
      sealedAt: (head) => (head === undefined ? undefined : this.#heads.times.of(head)),
      sha256Of: (source) => this.#archives[source - 1]?.sha256,
      isGiven: (sha256) => this.#given.has(sha256),
    });
  }

  /** @param {Statement} statement */
  #state({ file, sha256, total }) {
    const known = this.#stated.get(sha256);
    if (known === undefined) this.#stated.set(sha256, { file, totals: new Set([total]) });
    else known.totals.add(total);
  }

  /**
   * Closes the current tree, and every one before `tree` of which no row came.
   * @param {string | undefined} tree
   */
  #closeUpTo(tree) {
    if (this.#check !== undefined) this.#close(this.#check);
    this.#check = undefined;
    const names = this.#names ?? [];
    for (
      let name = names[this.#nextName];
      name !== undefined && (tree === undefined || name <= tree);
      name = names[this.#nextName]
    ) {
      this.#nextName += 1;
      if (name !== tree && name !== this.#tree) this.#close(this.#open(name));
    }
  }

  /** @param {TreeCheck} check */
  #close(check) {
    check.close();
    this.#entries += check.entries;
    this.findings.take(check.findings);
    for (const statement of check.statements) this.#state(statement);
    for (const [file, positions] of check.stated) {
      const before = this.#unread.get(file) ?? { positions: 0, trees: 0 };
      this.#unread.set(file, { positions: before.positions + positions, trees: before.trees + 1 });
    }
  }

  // ---- What was read, and what was not

  #checkArchives() {
    for (const [i, { file, sha256 }] of this.#archives.entries()) {
      const stated = this.#stated.get(sha256);
      const lines = this.#lines[i] ?? 0;
      if (stated !== undefined && [...stated.totals].some((total) => total !== lines))
        this.findings.say(
          'archive',
          `${file} holds ${lines} entries; the record states ${[...stated.totals].slice(0, 3).join(' and ')}`,
        );
      if (stated === undefined && [...this.#stated.values()].some((one) => one.file === file))
        this.findings.say('archive', `${file} is not the file that the record states: its SHA-256 is ${sha256}`);
    }
  }

  #readArchives() {
    return this.#archives.map(({ file, sha256 }, i) => {
      const why = this.#stated.has(sha256)
        ? 'as the record states it'
        : 'no sealed statement names it by its hash, so it counts for nothing';
      return `archive ${file}: ${this.#lines[i] ?? 0} entries, ${why}`;
    });
  }

  #notRead() {
    const { newest } = this.#witness;
    const sentences = [...this.#unread].map(([file, { positions, trees }]) => {
      const why = this.#deleted.has(file) ? 'its retention has ended, as the record states' : 'it was not given';
      return `archive ${file}: ${positions} entries of ${trees} trees are in it by the record's own statement, and ${why}`;
    });
    if (newest === undefined)
      sentences.push('the witness holds no checkpoint that is to be believed: nothing proves this record');
    else if (newest.size === 0)
      sentences.push('the newest checkpoint of the witness is of a record that holds nothing yet: it proves no entry');
    return sentences;
  }

  /** @param {number} now @param {number} maxAgeSeconds */
  #checkAge(now, maxAgeSeconds) {
    const { newest } = this.#witness;
    if (newest === undefined || maxAgeSeconds === 0) return;
    const age = Math.floor((now - newest.time) / 1000);
    const time = instantText(newest.time);
    if (age > maxAgeSeconds)
      this.findings.say(
        'old',
        `the newest checkpoint of the witness is ${spanText(age)} old (${time}; ${spanText(maxAgeSeconds)} are allowed): bring the newest witness, or find out why nothing was sealed since`,
      );
    else if (-age > maxAgeSeconds)
      this.findings.say(
        'from the future',
        `the newest checkpoint of the witness is of ${time}, ${spanText(-age)} ahead of this machine's clock: set the clock right`,
      );
  }
}

// ======== slice.js =======================================================================================================================

// Owns: one customer's slice: two heads of the record, the path from a checkpoint by each to the customer's tree, and
// every entry sealed between them, with none left out.
// Must never: say that something is proved which the slice only states; mention a checkpoint's time, which proves
// nothing about when a head was sealed; or skip a field that it does not know.

/**
 *
 * The head `head`, which was sealed at `at` by its own signed word, and the tree that it commits to.
 * @typedef {{ readonly note: Note, readonly head: number, readonly at: number, readonly size: number, readonly root: Buffer }} Anchor
 *
 * A head as a report shows it: its position, when it was sealed, and the era of the checkpoint that proves it.
 * @typedef {{ readonly position: number, readonly at: string, readonly era: number }} ShownHead
 *
 * What an abandoned era lost, and whether entries of the window of the slice may be among it.
 * @typedef {Loss & { readonly isInWindow: boolean }} SliceLoss
 *
 * A window that somebody demands, in microseconds since 1970; what is undefined is not demanded.
 * @typedef {{ readonly since?: number | undefined, readonly until?: number | undefined }} Demand
 *
 * @typedef {object} SliceReport
 * @property {Verdict} verdict
 * @property {boolean} ok
 * @property {string | null} tree The customer.
 * @property {'affected' | 'not-affected' | null} says Nobody vouches for it.
 * @property {string | null} subject Nobody vouches for it. It is escaped and bounded (`shownText`).
 * @property {string | null} begin When the window begins for which the slice was made; null: with the first entry ever.
 * @property {string | null} end When that window ends.
 * @property {number} entries That were read.
 * @property {number} selected
 * @property {{ readonly from: number, readonly to: number } | null} positions What the slice covers: from the first to the one before `to`.
 * @property {number} checkpoints Of the witness.
 * @property {ShownHead | null} from The head behind which the slice begins; null: it begins with the first entry ever.
 * @property {ShownHead | null} to The head with which it ends.
 * @property {boolean} isWitnessed Whether its checkpoints were looked for in a witness.
 * @property {readonly SliceLoss[]} lost What earlier eras lost, as the witness shows it. A slice that lost something of its window is not complete.
 * @property {number} found
 * @property {Finding | null} firstRow
 * @property {readonly Finding[]} findings
 */

const headerFields = /** @type {const} */ ([
  'version',
  'customer',
  'begin',
  'end',
  'says',
  'subject',
  'from',
  'frontier',
  'to',
  'entries',
  'selected',
]);
const hashesMax = 64;
const version = 3;

/**
 * @param {unknown} value
 * @param {number} [count]
 * @returns {readonly Buffer[] | undefined}
 */
function hashes(value, count) {
  if (!Array.isArray(value) || value.length > hashesMax || (count !== undefined && value.length !== count))
    return undefined;
  const list = value.map((one) => fromBase64(one, 32)).filter((one) => one !== undefined);
  return list.length === value.length ? list : undefined;
}

/** Feed the lines of a slice, the first one first, then finish. */
class SliceVerification {
  findings;
  #keys;
  #witness;
  #hasBegun = false;
  #demand;
  /** @type {{ readonly customer: string, readonly begin: number | null, readonly end: number, readonly says: 'affected' | 'not-affected', readonly subject: string, readonly entries: number, readonly selected: number, readonly from: Anchor | null, readonly to: Anchor } | undefined} */
  #slice;
  /** @type {Frontier | undefined} */
  #frontier;
  #entries = 0;
  #selected = 0;

  /** @param {readonly VerifierKey[]} keys @param {Witness | undefined} witness @param {Demand} [demand] */
  constructor(keys, witness, demand = {}) {
    this.findings = witness?.findings ?? new Findings();
    this.#keys = keys;
    this.#witness = witness;
    this.#demand = demand;
  }

  /** @param {unknown} value @param {string} where */
  line(value, where) {
    if (this.#hasBegun) this.#shown(value, where);
    else this.#begin(value, where);
    this.#hasBegun = true;
  }

  /** @returns {SliceReport} */
  finish() {
    if (!this.#hasBegun) this.#malformed('the slice is empty');
    this.#checkEnd();
    const { findings } = this;
    const slice = this.#slice;
    const lost = this.#lost();
    const isBad = findings.count > 0 || slice === undefined;
    const verdict = isBad ? 'bad' : lost.some(({ isInWindow }) => isInWindow) ? 'incomplete' : 'good';
    const shown = (/** @type {Anchor | null | undefined} */ anchor) =>
      anchor == null ? null : { position: anchor.head, at: microsText(anchor.at), era: anchor.note.era };
    return {
      verdict,
      ok: verdict === 'good',
      tree: slice?.customer ?? null,
      says: slice?.says ?? null,
      subject: slice === undefined ? null : shownText(slice.subject),
      begin: slice?.begin == null ? null : microsText(slice.begin),
      end: slice === undefined ? null : microsText(slice.end),
      entries: this.#entries,
      selected: this.#selected,
      positions: slice === undefined ? null : { from: slice.from?.size ?? 0, to: slice.to.size },
      checkpoints: this.#witness?.checkpoints ?? 0,
      from: shown(slice?.from),
      to: shown(slice?.to),
      isWitnessed: this.#witness !== undefined,
      lost,
      found: findings.count,
      firstRow: findings.firstRow ?? null,
      findings: findings.list,
    };
  }

  /** @returns {readonly SliceLoss[]} */
  #lost() {
    const slice = this.#slice;
    if (slice === undefined) return [];
    const { begin, end, to } = slice;
    return (this.#witness?.losses ?? [])
      .toReversed()
      .map((loss) => ({ ...loss, isInWindow: isLostIn(loss, { position: to.head, begin, end }) }));
  }

  /** @param {string} text @returns {undefined} */
  #malformed(text) {
    this.findings.add({ what: 'slice malformed', text });
  }

  // ---- The first line

  /** @param {unknown} value @param {string} where */
  #begin(value, where) {
    const inner = exactly(value, ['slice'])?.slice;
    const header = exactly(inner, headerFields);
    if (header === undefined || header.version !== version) {
      const old = typeof inner === 'object' && inner !== null && 'version' in inner ? inner.version : undefined;
      const why =
        old === 1 || old === 2
          ? `this slice is of version ${old}, which does not prove which time it covers: ask for one of version ${version}`
          : `the first line is not that of a slice of version ${version}`;
      return this.#malformed(`${where}: ${why}`);
    }
    const { customer, begin, end, says, subject, entries, selected } = header;
    const isSaid = says === 'affected' || says === 'not-affected';
    const isWindow = (begin === null || isCount(begin)) && isCount(end);
    if (
      !isUuid(customer) ||
      !isWindow ||
      !isSaid ||
      typeof subject !== 'string' ||
      !isCount(entries) ||
      !isCount(selected)
    )
      return this.#malformed(`${where}: a field of the first line is not of its kind`);
    const from = header.from === null ? null : this.#anchor(header.from, customer, `${where}, from`);
    const to = this.#anchor(header.to, customer, `${where}, to`);
    const roots = hashes(header.frontier);
    if (roots === undefined) return this.#malformed(`${where}: the frontier is not a list of hashes`);
    if (from === undefined || to === undefined) return undefined;
    this.#checkSpan(from, to, where);
    this.#checkWindow(begin, end, from, to, where);
    this.#slice = { customer, begin, end, says, subject, entries, selected, from, to };
    this.#frontier = Frontier.from(from?.size ?? 0, roots);
    if (this.#frontier === undefined || (from !== null && !this.#frontier.root().equals(from.root)))
      this.findings.say('slice incomplete', `${where}: the frontier is not that of the tree at the first head`);
    return undefined;
  }

  /**
   * Returns a checkpoint and the path to the customer's tree; undefined when it cannot be read.
   * @param {unknown} value
   * @param {string} customer
   * @param {string} where
   * @returns {Anchor | undefined}
   */
  #anchor(value, customer, where) {
    const anchor = exactly(value, ['checkpoint', 'head', 'tree']);
    const head = exactly(anchor?.head, ['position', 'text', 'proof']);
    const tree = exactly(anchor?.tree, ['size', 'root', 'blind', 'slot', 'path']);
    const text = parseHeadText(head?.text);
    const [proof, path] = [hashes(head?.proof), hashes(tree?.path, mapDepth)];
    const [root, blind] = [fromBase64(tree?.root, 32), fromBase64(tree?.blind, 32)];
    const { size, slot } = tree ?? {};
    if (head === undefined || text === undefined || proof === undefined || head.position !== text.position)
      return this.#malformed(`${where}: this is not the way from a checkpoint to a head`);
    if (
      path === undefined ||
      root === undefined ||
      blind === undefined ||
      !isCount(size) ||
      size === 0 ||
      !isCount(slot) ||
      slot >= 2 ** mapDepth
    )
      return this.#malformed(`${where}: this is not the way from a head to a tree`);
    const note = this.#believe(anchor?.checkpoint, where);
    if (note === undefined) return undefined;
    if (!verifyAuditPath(leafHash(Buffer.from(String(head.text))), text.position, note.size, proof, note.root))
      this.findings.say(
        'head changed',
        `${where}: head ${text.position} does not lead to the root of the checkpoint of size ${note.size}`,
        {
          head: text.position,
        },
      );
    if (!mapRootBy(mapLeafOf(customer, size, root, blind), slot, path).equals(text.mapRoot))
      this.findings.say(
        'head changed',
        `${where}: head ${text.position} does not say that tree ${customer} had ${size} entries and this root`,
        {
          head: text.position,
        },
      );
    return { note, head: text.position, at: text.at, size, root };
  }

  /** @param {unknown} text @param {string} where */
  #believe(text, where) {
    /** @type {Note} */
    let note;
    try {
      if (typeof text !== 'string') throw new Error('the checkpoint is no text');
      note = parseNote(text);
    } catch (cause) {
      this.findings.say('note malformed', `${where}: ${messageOf(cause)}`);
      return undefined;
    }
    const why = verifyNote(note, this.#keys);
    if (why !== undefined)
      this.findings.say('note forged', `${where}: the checkpoint of size ${note.size} is not to be believed: ${why}`);
    const witness = this.#witness;
    const standing = witness?.has(note) ?? 'yes';
    const said = `${where}: the checkpoint of size ${note.size}, era ${note.era}, ${instantText(note.time)},`;
    const isNewer = witness?.newest === undefined || isLater(note, witness.newest);
    if (standing === 'no')
      this.findings.say(
        'not in this witness',
        `${said} is not in this witness${isNewer ? ': it is newer than all there; bring a newer copy' : ''}`,
      );
    if (standing === 'abandoned')
      this.findings.say('not in this witness', `${said} was abandoned: the record went on from before it`);
    return note;
  }

  /** @param {Anchor | null} from @param {Anchor} to @param {string} where */
  #checkSpan(from, to, where) {
    if (from === null) return;
    if (isLater(from.note, to.note) || from.head > to.head || from.at > to.at || from.size > to.size)
      this.findings.say('slice malformed', `${where}: the slice begins behind its end`);
    if (from.note.era === to.note.era && from.note.size === to.note.size && !from.note.root.equals(to.note.root))
      this.findings.say('two truths', `${where}: its two checkpoints are of one era and size, and differ`, {
        from: to.note.size,
        to: to.note.size,
      });
  }

  /**
   * The two heads must enclose the window for which the slice was made, and that window must enclose whatever was
   * demanded.
   * @param {number | null} begin
   * @param {number} end
   * @param {Anchor | null} from
   * @param {Anchor} to
   * @param {string} where
   */
  #checkWindow(begin, end, from, to, where) {
    const say = (/** @type {string} */ text) => this.findings.say('slice incomplete', `${where}: ${text}`);
    const window = `its window is ${begin === null ? 'everything' : `from ${microsText(begin)}`} up to ${microsText(end)}`;
    if (begin !== null && begin > end) say(`${window}, which ends before it begins`);
    if (from !== null && (begin === null || from.at > begin))
      say(
        `${window}, and it begins with what was sealed behind head ${from.head} of ${microsText(from.at)}: what came before is not in it`,
      );
    if (to.at < end)
      say(`${window}, and it ends with head ${to.head} of ${microsText(to.at)}: what came behind it is not in it`);
    const { since, until } = this.#demand;
    if (since !== undefined && begin !== null && begin > since)
      say(`${window}, and it has to begin at ${microsText(since)} or before`);
    if (until !== undefined && end < until) say(`${window}, and it has to reach to ${microsText(until)}`);
  }

  // ---- Entries

  /** @param {unknown} value @param {string} where */
  #shown(value, where) {
    this.#entries += 1;
    const slice = this.#slice;
    if (slice === undefined) return;
    const line = exactly(value, ['shown', 'salt', 'sensitive', 'selected']);
    const row = parseShown(line?.shown);
    const [salt, sensitive] = [fromHex(line?.salt, 16), fromHex(line?.sensitive, 32)];
    if (row === undefined || salt === undefined || sensitive === undefined || typeof line?.selected !== 'boolean')
      return this.#bad('malformed', line?.shown, where, 'this is not an entry of a slice');
    if (line.selected) this.#selected += 1;
    // What is marked as belonging to the window cannot have happened outside it.
    if (line.selected && (Number(row[2]) < (slice.begin ?? 0) || Number(row[2]) >= slice.end))
      return this.#bad(
        'slice malformed',
        row,
        where,
        'it is marked as selected, and its time is not in the window of the slice',
      );
    const expected = this.#frontier?.size ?? 0;
    const position = Number(row[1]);
    if (row[0] !== slice.customer || !isOwnTree(slice.customer, row[5]))
      return this.#bad('inserted', row, where, `it is not of customer ${slice.customer}`);
    if (position >= slice.to.size)
      return this.#bad('inserted', row, where, `the slice ends before position ${slice.to.size}`);
    if (position !== expected) {
      const what = position > expected ? 'missing' : 'out of order';
      return this.#bad(
        what,
        row,
        where,
        position > expected
          ? `position ${expected} should be here: it was left out`
          : `it stands behind position ${expected - 1}`,
      );
    }
    this.#frontier?.append(leafOfShown(row, salt, sensitive));
    return undefined;
  }

  #checkEnd() {
    const [slice, frontier] = [this.#slice, this.#frontier];
    if (slice === undefined) return;
    const { customer, from, to, entries, selected, says } = slice;
    const count = to.size - (from?.size ?? 0);
    if (entries !== count || this.#entries !== count)
      this.findings.say(
        'slice incomplete',
        `the slice has to hold ${count} entries; it says ${entries} and holds ${this.#entries}`,
      );
    if (selected !== this.#selected)
      this.findings.say(
        'slice malformed',
        `the slice says that ${selected} entries are selected, and ${this.#selected} are marked so`,
      );
    if ((says === 'affected') !== this.#selected > 0)
      this.findings.say(
        'slice malformed',
        `the slice says ${says}, and ${this.#selected} of its entries are marked as selected`,
      );
    // With a gap or a foreign row nothing is left to be compared; that was reported already.
    if (frontier === undefined || frontier.size !== to.size || frontier.root().equals(to.root)) return;
    const text = `tree ${customer}: what is shown of positions ${from?.size ?? 0} to ${to.size - 1} is not what was sealed: an entry was changed, or exchanged`;
    this.findings.say('changed', text, { tree: customer, from: from?.size ?? 0, to: to.size - 1 });
  }

  /** @param {What} what @param {unknown} row @param {string} where @param {string} why @returns {undefined} */
  #bad(what, row, where, why) {
    const [tree, position] = Array.isArray(row) ? row : [];
    if (isUuid(tree) && isCount(position))
      this.findings.add({ what, text: `${placeText(tree, position)}: ${why} (${where})`, tree, position });
    else this.findings.add({ what, text: `${where}: ${why}` });
  }
}

// ======== passage.js =====================================================================================================================

// Owns: how far a file of a witness was read: whole lines, their bytes and the hash of these; and whether what was read
// before is still there.
// Must never: continue after bytes that differ from those that were read before without saying so.

/** @typedef {{ readonly bytes: number, readonly sha256: string }} Mileage Unpacked, up to and with the last newline. */

const newline = 10;

class Passage {
  /** Whether what was read before is gone, or differs. */
  isOther = false;
  #known;
  #isSince;
  #hash = createHash('sha256');
  #bytes = 0;
  /**
   * Of a line that has not ended.
   * @type {Buffer[]}
   */
  #rest = [];

  /**
   * @param {Mileage | undefined} known Where an earlier run ended.
   * @param {boolean} isSince Whether what that run read is passed over.
   */
  constructor(known, isSince) {
    this.#known = known;
    this.#isSince = isSince;
  }

  /** How many bytes of the file are skipped. */
  get offset() {
    return this.#isSince ? (this.#known?.bytes ?? 0) : 0;
  }

  /** @returns {Mileage} */
  get mileage() {
    return { bytes: this.#bytes, sha256: this.#hash.copy().digest('hex') };
  }

  /**
   * What is to be read of a file, as it comes.
   * @param {AsyncIterable<Buffer>} stream
   * @returns {AsyncGenerator<Buffer, void>}
   */
  async *through(stream) {
    const { bytes: end, sha256 } = this.#known ?? { bytes: 0, sha256: '' };
    for await (const chunk of stream) {
      /** @type {Buffer} */
      let bytes = chunk;
      if (this.#bytes < end) {
        const before = bytes.subarray(0, end - this.#bytes);
        bytes = bytes.subarray(before.length);
        this.#hash.update(before);
        this.#bytes += before.length;
        if (this.#bytes === end && this.mileage.sha256 !== sha256) this.isOther = true;
        if (!this.#isSince) yield before;
      }
      this.#count(bytes);
      if (bytes.length > 0) yield bytes;
    }
    if (this.#bytes < end) this.isOther = true;
  }

  /** @param {Buffer} bytes */
  #count(bytes) {
    const end = bytes.lastIndexOf(newline) + 1;
    if (end > 0) {
      for (const part of [...this.#rest, bytes.subarray(0, end)]) {
        this.#hash.update(part);
        this.#bytes += part.length;
      }
      this.#rest = [];
    }
    if (end < bytes.length) this.#rest.push(bytes.subarray(end));
  }
}

// ======== lately.js ======================================================================================================================

// Owns: which texts were seen lately, by their hash, so that what was verified need not be verified again.
// Must never: grow with the number of texts, or say of a text that was not seen that it was.

const textsMax = 32_768;

/** Remembers at least this many texts that were seen last, and at most twice as many. */
class Lately {
  /** @type {Set<string>} */
  #new = new Set();
  /** @type {Set<string>} */
  #old = new Set();

  /**
   * Returns whether this text was seen. A text that is not seen again is forgotten.
   * @param {string} text
   */
  has(text) {
    const key = keyOf(text);
    if (this.#new.has(key)) return true;
    if (!this.#old.has(key)) return false;
    this.#add(key);
    return true;
  }

  /** @param {string} text */
  add(text) {
    this.#add(keyOf(text));
  }

  /** @param {string} key */
  #add(key) {
    if (this.#new.size >= textsMax) [this.#old, this.#new] = [this.#new, new Set()];
    this.#new.add(key);
  }
}

/** @param {string} text */
const keyOf = (text) => createHash('sha256').update(text).digest('base64');

// ======== witness.js =====================================================================================================================

// Owns: the checkpoints of one or several witnesses: which is the newest, which were abandoned with their era, and
// where a witness contradicts itself.
// Must never: choose by the name of a file, or by the order of lines alone.

/**
 * @typedef {{ readonly size: number, readonly root: Buffer, readonly era: number, readonly time: number }} Mark
 * @typedef {Omit<Mark, 'root'>} Step What the next line of a file is compared with.
 *
 * What an era held beyond the size at which the next one went on.
 * @typedef {object} Loss
 * @property {number} era
 * @property {number} nextEra
 * @property {number} fromSize
 * @property {number} toSize
 * @property {number} kept When a checkpoint of this era that was kept was signed last; the same as `since` when none was.
 * @property {number} since
 * @property {number} until
 */

/** Bytes of a row: size (6), time in milliseconds (6), root (32). */
const markWidth = 44;

/**
 * The checkpoints of one or several witnesses. Add them in the order of each file, then close. It keeps 44 bytes for
 * each checkpoint read, consecutive repeats excepted, and 4 for its order.
 */
class Witness {
  findings = new Findings();
  /** @type {Loss[]} */
  losses = [];
  /** Believed notes, including repeated ones. */
  checkpoints = 0;
  /** Different sizes of abandoned checkpoints, per era, added up. */
  abandoned = 0;
  /**
   * What was read, for the report.
   * @type {string[]}
   */
  read = [];
  /**
   * How far each directory was read.
   * @type {Place[]}
   */
  places = [];
  /**
   * Why a run that reads only new lines is not enough; undefined when the files of the witnesses show no reason.
   * @type {string | undefined}
   */
  whyFullRun;
  /** @type {{ readonly note: Note, readonly text: string } | undefined} */
  #last;
  /** @type {Mark | undefined} */
  #newest;
  #keys;
  /** What was believed lately: somebody may repeat one text without end. */
  #lately = new Lately();
  /** @type {Map<number, Rows>} */
  #eras = new Map();
  /** @type {Map<number, Uint32Array>} */
  #orders = new Map();
  /**
   * By era: the size above which its checkpoints were abandoned.
   * @type {Map<number, number>}
   */
  #limits = new Map();

  /** @param {readonly VerifierKey[]} keys */
  constructor(keys) {
    this.#keys = keys;
  }

  /** The largest checkpoint of the last era, with the time at which it was signed last. Undefined before `close`. */
  get newest() {
    return this.#newest;
  }

  /**
   * Adds a note of a witness. `before` is what stood before it in the same file; the answer is what to pass with the
   * next one.
   * @param {unknown} text
   * @param {string} where
   * @param {Step | undefined} before
   * @param {(text: string, note: Note) => void} [onBelieved]
   * @returns {Step | undefined}
   */
  add(text, where, before, onBelieved) {
    if (typeof text !== 'string') {
      this.findings.say('note malformed', `${where}: this is not a JSON string`);
      return before;
    }
    /** @type {Note} */
    let note;
    try {
      note = parseNote(text);
    } catch (cause) {
      this.findings.say('note malformed', `${where}: ${messageOf(cause)}`);
      return before;
    }
    const wasSeen = this.#lately.has(text);
    const why = wasSeen ? undefined : verifyNote(note, this.#keys);
    if (why !== undefined) {
      this.findings.say('note forged', `${where}: the checkpoint of size ${note.size} is not to be believed: ${why}`);
      return before;
    }
    this.checkpoints += 1;
    onBelieved?.(text, note);
    if (!wasSeen) {
      this.#lately.add(text);
      this.#keep(note);
      this.#keepIfLatest(note, text);
    }
    if (before === undefined || !isLater(before, note)) return note;
    // Two wardens may hand over at the same moment: one that was signed earlier comes late, which is no step back.
    if (note.time < before.time) return before;
    if (note.era < before.era)
      this.findings.say('era', `${where}: era ${note.era} comes after era ${before.era}`, {
        from: before.era,
        to: note.era,
      });
    else
      this.findings.say(
        'shrunk',
        `${where}: inside era ${note.era} the size went from ${before.size} back to ${note.size}`,
        {
          from: before.size,
          to: note.size,
        },
      );
    return note;
  }

  /**
   * Adds a checkpoint that an earlier run believed: the notes that are added are compared with it.
   * @param {Note} note @param {string} text
   */
  remember(note, text) {
    this.#keep(note);
    this.#keepIfLatest(note, text);
  }

  /** The text of the latest note that was added, by era and size. */
  get newestNote() {
    return this.#last?.text;
  }

  /** Returns the eras of which there is a checkpoint. */
  eras() {
    return [...this.#eras.keys()];
  }

  /** @param {Note} note @param {string} text */
  #keepIfLatest(note, text) {
    if (this.#last === undefined || !isLater(this.#last.note, note)) this.#last = { note, text };
  }

  /** @param {Note} note */
  #keep(note) {
    const rows = this.#eras.get(note.era) ?? new Rows(markWidth);
    this.#eras.set(note.era, rows);
    const last = rows.length === 0 ? undefined : rows.at(rows.length - 1);
    if (last !== undefined && uint(last, 0) === note.size && last.subarray(12).equals(note.root)) {
      // The same checkpoint, signed again: only its time is new.
      setUint(last, 6, Math.max(uint(last, 6), note.time));
      return;
    }
    const row = rows.add();
    setUint(row, 0, note.size);
    setUint(row, 6, note.time);
    row.set(note.root, 12);
  }

  /**
   * Ends the adding: sorts the checkpoints of each era, finds those that were abandoned and those that contradict each
   * other, and finds the newest. `newest`, `losses`, `abandoned`, `accepted` and `has` are empty before.
   */
  close() {
    const eras = [...this.#eras.keys()].sort((a, b) => b - a);
    let limit = Number.POSITIVE_INFINITY;
    let next = 0;
    for (const era of eras) {
      const order = this.#sort(era);
      this.#limits.set(era, limit);
      this.#compare(era);
      this.#loss(era, next, limit);
      const first = order[0] === undefined ? undefined : this.#mark(era, order[0]);
      if (first !== undefined && first.size <= limit) [limit, next] = [first.size, era];
    }
    const [era] = eras;
    if (era === undefined) return;
    for (const index of this.#orders.get(era) ?? []) {
      const mark = this.#mark(era, index);
      const newest = this.#newest;
      const isNewer =
        newest === undefined || mark.size > newest.size || (mark.size === newest.size && mark.time > newest.time);
      if (isNewer) this.#newest = mark;
    }
  }

  /**
   * Goes through the checkpoints that the database must have, by era and size, without abandoned ones. Call `close`
   * first.
   * @returns {Generator<Mark, void>}
   */
  *accepted() {
    for (const era of [...this.#eras.keys()].sort((a, b) => a - b))
      for (const index of this.#orders.get(era) ?? []) {
        const mark = this.#mark(era, index);
        if (mark.size <= (this.#limits.get(era) ?? 0)) yield mark;
      }
  }

  /**
   * Returns whether this very checkpoint was witnessed, and whether it was abandoned. Call `close` first.
   * @param {Note} note
   * @returns {'yes' | 'no' | 'abandoned'}
   */
  has(note) {
    for (const index of this.#orders.get(note.era) ?? []) {
      const mark = this.#mark(note.era, index);
      if (mark.size === note.size && mark.root.equals(note.root))
        return note.size <= (this.#limits.get(note.era) ?? 0) ? 'yes' : 'abandoned';
    }
    return 'no';
  }

  /**
   * @param {number} era
   * @param {number} index
   * @returns {Mark}
   */
  #mark(era, index) {
    const row = this.#eras.get(era)?.at(index);
    if (row === undefined) throw new RangeError('no such era');
    return { size: uint(row, 0), time: uint(row, 6), root: row.subarray(12), era };
  }

  /**
   * Sorts the checkpoints of an era by size: several witnesses have the same ones, each in its own order.
   * @param {number} era
   */
  #sort(era) {
    const order = Uint32Array.from({ length: this.#eras.get(era)?.length ?? 0 }, (_, index) => index);
    let isSorted = true;
    for (let i = 1; i < order.length && isSorted; i += 1)
      isSorted = this.#mark(era, i - 1).size <= this.#mark(era, i).size;
    if (!isSorted) order.sort((a, b) => this.#mark(era, a).size - this.#mark(era, b).size || a - b);
    this.#orders.set(era, order);
    return order;
  }

  /**
   * Finds the sizes of an era that have two different roots.
   * @param {number} era
   */
  #compare(era) {
    /** @type {Mark | undefined} */
    let before;
    for (const index of this.#orders.get(era) ?? []) {
      const mark = this.#mark(era, index);
      if (before?.size === mark.size && !before.root.equals(mark.root))
        this.findings.say(
          'two truths',
          `era ${era} has two different checkpoints of size ${mark.size}, both rightly signed: ${instantText(before.time)} and ${instantText(mark.time)}`,
          { from: mark.size, to: mark.size },
        );
      before = mark;
    }
  }

  /**
   * @param {number} era
   * @param {number} nextEra
   * @param {number} limit
   */
  #loss(era, nextEra, limit) {
    let [toSize, since, until] = [0, Number.POSITIVE_INFINITY, 0];
    /** @type {Mark | undefined} */
    let kept;
    const sizes = new Set();
    const order = this.#orders.get(era) ?? new Uint32Array();
    for (let i = order.length - 1; i >= 0; i -= 1) {
      const mark = this.#mark(era, order[i] ?? 0);
      if (mark.size <= limit) {
        if (kept !== undefined && kept.size > mark.size) break;
        if (kept === undefined || mark.time > kept.time) kept = mark;
        continue;
      }
      sizes.add(mark.size);
      [toSize, since, until] = [Math.max(toSize, mark.size), Math.min(since, mark.time), Math.max(until, mark.time)];
    }
    if (sizes.size === 0) return;
    this.abandoned += sizes.size;
    this.losses.push({ era, nextEra, fromSize: limit, toSize, kept: kept?.time ?? since, since, until });
  }
}

// ======== witness-files.js ===============================================================================================================

// Owns: reading the directories of witnesses: one file a day, perhaps compressed, perhaps there twice; and how far each
// was read.
// Must never: skip a file of checkpoints that cannot be read, or believe without looking that what was read before is
// still there.

/**
 *
 * @typedef {Mileage & { readonly day: string, readonly last: Step | null }} ReadFile `last`: the checkpoint with which the next line is compared.
 * @typedef {{ readonly directory: string, readonly days: readonly string[], readonly files: readonly ReadFile[] }} Place
 *
 * @typedef {object} Reading
 * @property {Base | undefined} [base] What an earlier run left.
 * @property {boolean} [isSince] Whether what it read is passed over, once it was seen to be there still.
 * @property {number} [now] Milliseconds since 1970. Without it, no day is too late.
 * @property {number} [bytesMax] How much of one file is read, unpacked.
 * @property {(text: string, note: Note) => void} [onBelieved] Gets every note that is believed.
 */

const witnessFile = /^checkpoints-(\d{4}-\d\d-\d\d)\.jsonl(?:\.gz)?$/;
const dayMs = 86_400_000;
/** Unpacked. Four checkpoints a second, which is the most by default, make about 140 MB in a day. */
const fileBytesMax = 512 * 2 ** 20;
/** Lines of one file that are no checkpoints to be believed. What comes behind so many is not read. */
const junkLinesMax = 100;
/**
 * Files of the last days that have come may still get lines; they are compared, byte by byte, with what was read of
 * them.
 */
const openDays = 2;

/**
 * Reads every checkpoint of one or several witnesses, or those that came since. Throws when a directory cannot be read.
 * @param {readonly string[]} directories
 * @param {readonly VerifierKey[]} keys
 * @param {Reading} [reading]
 */
async function readWitness(directories, keys, reading = {}) {
  const { base } = reading;
  const witness = new Witness(keys);
  if (base !== undefined) witness.remember(base.note, base.text);
  for (const directory of directories) {
    const known = base?.witnesses.find((place) => place.directory === directory);
    witness.places.push(await readPlace(witness, directory, known, reading));
  }
  witness.close();
  return witness;
}

/**
 * Returns its files by day. A day may be there twice, compressed and not yet removed: the one that is not compressed
 * comes first.
 * @param {string} directory
 */
function daysOf(directory) {
  /** @type {Map<string, string[]>} */
  const days = new Map();
  for (const name of readdirSync(directory).sort()) {
    const [, day] = witnessFile.exec(name) ?? [];
    if (day !== undefined) days.set(day, [...(days.get(day) ?? []), name]);
  }
  return days;
}

/**
 * @param {Witness} witness
 * @param {string} directory
 * @param {Place | undefined} known
 * @param {Reading} reading
 * @returns {Promise<Place>}
 */
async function readPlace(witness, directory, known, reading) {
  const { isSince = false, now } = reading;
  /** @type {Note | undefined} */
  let newest;
  const onBelieved = (/** @type {string} */ text, /** @type {Note} */ note) => {
    if (newest === undefined || !isLater(newest, note)) newest = note;
    reading.onBelieved?.(text, note);
  };
  const days = daysOf(directory);
  const hasCome = hasComeBy(now);
  for (const day of days.keys())
    if (!hasCome(day))
      witness.findings.say(
        'from the future',
        `witness ${directory}: it has a file of ${day}, more than a day ahead of this machine's clock: somebody put it there, or the clock is wrong`,
      );
  const lastKnown = known?.days.filter(hasCome).at(-1) ?? '';
  for (const day of known?.days ?? []) if (!days.has(day)) sayGone(witness, `${directory}: its file of ${day} is gone`);
  /** @type {ReadFile[]} */
  const files = [];
  let [count, passed] = [0, 0];
  /** @type {Step | undefined} */
  let before;
  for (const [day, names] of days) {
    const file = known?.files.find((one) => one.day === day);
    if (isSince && file === undefined && day <= lastKnown) {
      passed += 1;
      if (known?.days.includes(day) !== true)
        witness.whyFullRun ??= `${directory} has a file of ${day} that the last good run did not see`;
      continue;
    }
    /** @type {Step | undefined} */
    let last;
    // Both files of a day continue from the day before.
    for (const name of isSince ? names.slice(0, 1) : names) {
      count += 1;
      const passage = new Passage(name === names[0] ? file : undefined, isSince);
      const start = isSince && file !== undefined ? (file.last ?? undefined) : before;
      const done = await readNotes(join(directory, name), witness, start, passage, {
        ...reading,
        onBelieved,
        isSecond: name !== names[0],
      });
      // What was read of a compressed file that is not whole stands in the other one, too.
      if (name === names[0] || done.why === undefined) last = done.last;
      else
        witness.read.push(`witness ${directory}: ${name} is not whole yet (${done.why}); the file beside it was read`);
      if (name === names[0]) files.push({ ...passage.mileage, day, last: stepOf(last) });
    }
    before = last;
  }
  const all = [...days.keys()];
  const what = isSince
    ? `witness ${directory}: what came since in ${count} files; ${passed} of earlier days are there`
    : said(directory, count, all);
  witness.read.push(`${what}; newest checkpoint: ${newestText(newest)}`);
  return { directory, days: all, files: files.filter(({ day }) => hasCome(day)).slice(-openDays) };
}

/**
 * Returns whether a day has come, by this machine's clock, or comes within a day: clocks differ.
 * @param {number | undefined} now
 * @returns {(day: string) => boolean}
 */
function hasComeBy(now) {
  if (now === undefined) return () => true;
  const last = new Date(now + dayMs).toISOString().slice(0, 10);
  return (day) => day <= last;
}

/** @param {Note | undefined} note */
const newestText = (note) =>
  note === undefined ? 'none' : `size ${note.size}, era ${note.era}, ${instantText(note.time)}`;

/** @param {Step | undefined} step @returns {Step | null} */
const stepOf = (step) => (step === undefined ? null : { size: step.size, era: step.era, time: step.time });

/** @param {Witness} witness @param {string} what */
const sayGone = (witness, what) =>
  witness.findings.say(
    'shrunk',
    `witness ${what}: it was there when this verifier read it last, and what a witness has seen it keeps`,
  );

/**
 * @param {string} directory
 * @param {number} files
 * @param {readonly string[]} days
 */
function said(directory, files, days) {
  const [first, last] = [days[0], days.at(-1)];
  if (first === undefined || last === undefined) return `witness ${directory}: no file of checkpoints`;
  const between = Math.round((Date.parse(last) - Date.parse(first)) / 86_400_000) + 1;
  const gaps =
    Number.isNaN(between) || between === days.length ? '' : `; ${between - days.length} days between have no file`;
  return `witness ${directory}: ${files} files of ${days.length} days, ${first} to ${last}${gaps}`;
}

/**
 * Throws when more comes than a day of checkpoints can be.
 * @param {number} bytesMax
 * @param {Readable} stream
 * @returns {AsyncGenerator<Buffer, void>}
 */
async function* within(bytesMax, stream) {
  let bytes = 0;
  for await (const chunk of stream) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new Error(`it is longer than a day of checkpoints (${bytesMax} bytes, unpacked)`);
    yield chunk;
  }
}

/**
 * @param {string} path
 * @param {Witness} witness
 * @param {Step | undefined} before
 * @param {Passage} passage
 * @param {Reading & { readonly isSecond: boolean }} how `isSecond`: whether the day stands there in another file, too, which was read.
 * @returns {Promise<{ readonly last: Step | undefined, readonly why: string | undefined }>} `why`: it broke off.
 */
async function readNotes(path, witness, before, passage, { isSecond, onBelieved, bytesMax = fileBytesMax }) {
  let last = before;
  let [line, junk] = [0, 0];
  const where = passage.offset === 0 ? path : `${path} behind byte ${passage.offset}`;
  try {
    const bytes = within(bytesMax, openFile(path, undefined, true));
    for await (const batch of readLines(Readable.from(passage.through(bytes)), false))
      for (const text of batch) {
        line += 1;
        const { checkpoints } = witness;
        last = witness.add(parseStrictly(text), `${where} line ${line}`, last, onBelieved);
        if (witness.checkpoints > checkpoints) continue;
        junk += 1;
        if (junk >= junkLinesMax)
          throw new Error(`${junk} lines of it are no checkpoints to be believed, and the rest was not read`);
      }
  } catch (cause) {
    if (isSecond) return { last, why: messageOf(cause) };
    witness.findings.say('unreadable', `${where}: broke off after line ${line}: ${messageOf(cause)}`);
  }
  if (passage.isOther) sayGone(witness, `${path}: it is shorter, or its earlier content changed`);
  return { last, why: undefined };
}

// ======== verify.js ======================================================================================================================

// Owns: the two things that can be verified from files: a whole record, and one customer's slice.
// Must never: answer when a file could not be opened: that throws.

/**
 *
 * @typedef {object} RecordOptions
 * @property {readonly VerifierKey[]} keys
 * @property {readonly string[]} witnesses Directories.
 * @property {string | undefined} [archive] Directory.
 * @property {number} maxAgeSeconds
 * @property {string | Readable} dump
 * @property {number} now Milliseconds since 1970.
 *
 * @typedef {RecordOptions & { readonly base?: Base | undefined }} WholeOptions `base`: what an earlier run proved. Everything is read all the same, and compared with it.
 * @typedef {Omit<RecordOptions, 'dump' | 'archive'> & { readonly base: Base, readonly dump: () => Readable }} SinceOptions
 * @typedef {{ readonly report: Report, readonly known: Known | undefined }} Done `known`: what the next run can go on from.
 *
 * @typedef {object} SliceOptions
 * @property {readonly VerifierKey[]} keys
 * @property {readonly string[]} witnesses Directories; none: nothing is compared with a witness.
 * @property {string | Readable} slice
 * @property {number | undefined} [since] The window of the slice has to begin at this time or before, in microseconds since 1970.
 * @property {number | undefined} [until] It has to reach to this time.
 */

/**
 * Verifies a whole record. Throws when dump, archive or witness cannot be opened.
 * @param {RecordOptions} options
 */
const verifyRecord = async (options) => (await verifyWhole(options)).report;

/**
 * The same, compared with what an earlier run saw: a checkpoint that it believed counts as one of a witness, and no
 * witness may have lost what it had.
 * @param {WholeOptions} options
 * @returns {Promise<Done>}
 */
async function verifyWhole({ keys, witnesses, archive, maxAgeSeconds, dump, now, base }) {
  const witness = await readWitness(witnesses, keys, { base, now });
  const archives = [];
  if (archive !== undefined)
    for (const file of archivesIn(archive)) archives.push({ file, sha256: await sha256OfFile(join(archive, file)) });
  const verification = new Verification({ witness, now, maxAgeSeconds, archives });
  const source = new Source(typeof dump === 'string' ? dump : 'the dump', 0, readLines(dump, true));
  await feed(source, openArchives(archive ?? '', archives, verification), verification);
  return doneOf(verification);
}

/**
 * Verifies what was sealed since an earlier run: the heads after its last one, and their entries, extended from what it
 * proved. `dump` is asked for lines after the witness was read. The answer is a sentence when only a run that reads
 * everything can tell.
 * @param {SinceOptions} options
 * @returns {Promise<Done | string>}
 */
async function verifySince({ keys, witnesses, maxAgeSeconds, dump, now, base }) {
  const witness = await readWitness(witnesses, keys, { base, isSince: true, now });
  const why = whyWhole(witness, base);
  if (why !== undefined) return why;
  const verification = new Verification({ witness, now, maxAgeSeconds, base });
  await feed(new Source('the dump', 0, readLines(dump(), true)), [], verification);
  return doneOf(verification);
}

/** @param {Verification} verification @returns {Done} */
function doneOf(verification) {
  const report = verification.finish();
  return { report, known: report.verdict === 'good' ? verification.known() : undefined };
}

/**
 * Verifies one customer's slice. Throws when it or a witness cannot be opened.
 * @param {SliceOptions} options
 */
async function verifySlice({ keys, witnesses, slice, since, until }) {
  const witness = witnesses.length === 0 ? undefined : await readWitness(witnesses, keys);
  const verification = new SliceVerification(keys, witness, { since, until });
  let line = 0;
  for await (const batch of readLines(slice, true))
    for (const text of batch) {
      line += 1;
      if (text !== '') verification.line(parseStrictly(text), `line ${line}`);
    }
  return verification.finish();
}

// ======== command.js =====================================================================================================================

// Owns: the command line: arguments, exit codes, text or JSON.
// Must never: end with 0 when nothing was verified. Not even --help does, because it verifies nothing.

/** @typedef {Readable} Readable */

const usage = `usage:
  node ledger-verifier.mjs dump --key VKEY|FILE --witness DIR [--archive DIR] [--max-age SECONDS] [--json] DUMP|-
  node ledger-verifier.mjs slice --key VKEY|FILE [--witness DIR] [--since TIME] [--until TIME] [--json] SLICE|-

  --key      verifier key (name+id+base64), or a file with one on each line; again for every key that was ever used.
             A retired key has its end behind it, VKEY@ERA:SIZE: the last checkpoint that it signed. Later ones by it are not believed
  --witness  directory of checkpoints; again for every witness
  --archive  directory of ledger-YYYY-MM.jsonl.gz
  --max-age  how old the newest checkpoint may be, in seconds (600; 0: any age)
  --since    the slice has to be made for a window that begins then or before (UTC: 2026-11-24T18:00:00Z), and enclose it
  --until    for a window that reaches to this time
  --json     one line for programs

Copy the witness first, then dump: a witness that is newer than the dump makes the database look as if it had lost what came between.

Exit code:
  0  complete and good: every position up to the newest checkpoint was read and fits
  1  findings
  2  wrong usage (or --help), or something could not be read: nothing was verified
  3  nothing bad was found, and not everything was read: archives that were not given or whose retention has ended, or no checkpoint.
     Of a slice: the record lost entries of that time with an era that was abandoned (LOST)
`;

const exitCodes = /** @type {const} */ ({ good: 0, bad: 1, incomplete: 3 });
const nothingVerified = 2;

class UsageError extends Error {}

/** @param {string} path */
function keysInFile(path) {
  if (!existsSync(path))
    throw new UsageError(`--key: there is no file ${path}, and it has not the form of a key (name+id+base64)`);
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines.map((line) => line.trim()).filter((line) => line !== '');
}

/** @param {readonly string[]} given */
function keysOf(given) {
  const keys = given.flatMap((one) => (hasKeyForm(one) ? [one] : keysInFile(one))).map(parseVerifierKey);
  if (keys.length === 0) throw new UsageError('--key is missing: without it nothing can be believed');
  try {
    requireOneInstallation(keys);
  } catch (cause) {
    throw new UsageError(messageOf(cause));
  }
  return keys;
}

/** @param {readonly VerifierKey[]} keys */
const namesOf = (keys) => [...new Set(keys.map(({ name, id }) => `${name}+${id}`))];

/** @param {readonly VerifierKey[]} keys */
const believedText = (keys) =>
  `Believed: whatever was signed with ${namesOf(keys).join(' or ')}. Compare that with the key that you were given when the contract began.\n`;

/**
 * Returns an instant of an option in microseconds since 1970, or undefined when it was not given.
 * @param {string | undefined} text
 * @param {string} option
 */
function microsOf(text, option) {
  if (text === undefined) return undefined;
  const instant = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z$/.test(text) ? Date.parse(text) : Number.NaN;
  // A day that a month does not have would be taken for one of the next month.
  if (Number.isNaN(instant) || new Date(instant).toISOString().slice(0, 10) !== text.slice(0, 10))
    throw new UsageError(`--${option} takes an instant in UTC, such as 2026-11-24T18:00:00Z`);
  return instant * 1000;
}

/** @param {readonly string[]} args */
function parseCommand(args) {
  const options = /** @type {const} */ ({
    key: { type: 'string', multiple: true },
    witness: { type: 'string', multiple: true },
    archive: { type: 'string' },
    'max-age': { type: 'string' },
    since: { type: 'string' },
    until: { type: 'string' },
    json: { type: 'boolean' },
    help: { type: 'boolean' },
  });
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (cause) {
    throw new UsageError(messageOf(cause));
  }
}

/**
 * Does what the arguments say.
 * @param {readonly string[]} args
 * @param {Readable} stdin
 * @param {number} now Milliseconds since 1970.
 * @returns {Promise<{ readonly code: number, readonly text: string }>}
 */
async function run(args, stdin, now) {
  const { values, positionals } = parseCommand(args);
  if (values.help === true) return { code: nothingVerified, text: usage };
  const [command, path, ...more] = positionals;
  if ((command !== 'dump' && command !== 'slice') || path === undefined || more.length > 0)
    throw new UsageError('say dump or slice, then one file (or - for standard input)');
  const keys = keysOf(values.key ?? []);
  const witnesses = values.witness ?? [];
  const input = path === '-' ? stdin : path;
  if (command === 'slice') {
    if (values.archive !== undefined || values['max-age'] !== undefined)
      throw new UsageError('--archive and --max-age belong to dump');
    const [since, until] = [microsOf(values.since, 'since'), microsOf(values.until, 'until')];
    const report = await verifySlice({ keys, witnesses, slice: input, since, until });
    return {
      code: exitCodes[report.verdict],
      text:
        values.json === true ? jsonText({ ...report, keys: namesOf(keys) }) : believedText(keys) + sliceText(report),
    };
  }
  if (values.since !== undefined || values.until !== undefined)
    throw new UsageError('--since and --until belong to slice');
  const maxAge = values['max-age'] ?? '600';
  if (!/^\d{1,9}$/.test(maxAge)) throw new UsageError('--max-age takes seconds');
  if (witnesses.length === 0)
    throw new UsageError('--witness is missing: a record proves nothing against the owner of its database without it');
  const report = await verifyRecord({
    keys,
    witnesses,
    archive: values.archive,
    maxAgeSeconds: Number(maxAge),
    dump: input,
    now,
  });
  return {
    code: exitCodes[report.verdict],
    text:
      values.json === true
        ? jsonText({ ...report, keys: namesOf(keys) })
        : recordText(report, Number(maxAge)) + believedText(keys),
  };
}

/**
 * The command of this process. It always runs: it does not ask whether this file is the one that was started, so it
 * cannot get a wrong answer.
 */
async function main() {
  // Whatever ends this process before its verdict ends it as one that verified nothing.
  process.exitCode = nothingVerified;
  try {
    const { code, text } = await run(process.argv.slice(2), process.stdin, Date.now());
    await new Promise((resolve, reject) =>
      process.stdout.write(text, (cause) => (cause ? reject(cause) : resolve(undefined))),
    );
    process.exitCode = code;
  } catch (cause) {
    process.stderr.write(`nothing was verified: ${messageOf(cause)}\n${cause instanceof UsageError ? usage : ''}`);
    process.exitCode = nothingVerified;
  }
}

// ======== main.js ========================================================================================================================

// Owns: starting the command from its files. Whoever wants a library imports index.js.
// Must never: ask whether it is the main module: it is.

await main();
