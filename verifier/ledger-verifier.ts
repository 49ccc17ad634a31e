#!/usr/bin/env node
// Owns: checking the record of a gateway from a dump, its archives and a witness, by docs/reference/ledger-format.md alone. One file, to be carried away.
// Must never: import anything but what Node brings; call a record good of which something could not be read; trust a hash that the database stores.
import { createPublicKey, hash, type KeyObject, verify } from 'node:crypto';
import { createReadStream, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { parseArgs } from 'node:util';
import { createGunzip } from 'node:zlib';

const findingsMax = 20;
/** Behind those, the first finding of each of so many trees. */
const treesMax = 1000;
const lineBytesMax = 16 * 1024 * 1024;
const blockSize = 256;
const headsTree = 'ffffffff-ffff-ffff-ffff-ffffffffffff';
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

// ---- Hashes and trees (RFC 6962, section 2.1)

export const sha256 = (data: Uint8Array): Buffer => hash('sha256', data, 'buffer');
export const leafHash = (data: Uint8Array): Buffer => sha256(Buffer.concat([Buffer.of(0), data]));
export const nodeHash = (left: Uint8Array, right: Uint8Array): Buffer => sha256(Buffer.concat([Buffer.of(1), left, right]));

/** A tree that only grows: the roots of its complete subtrees, largest first. */
export class Frontier {
  #subtrees: { readonly leaves: number; readonly hash: Buffer }[] = [];
  #size = 0;
  #block: Buffer | undefined;

  get size(): number {
    return this.#size;
  }

  /** The hash of the 256 leaves that the last append completed. */
  get block(): Buffer | undefined {
    return this.#block;
  }

  append(leaf: Buffer): void {
    this.#push(leaf, 1);
  }

  /** 256 leaves at once, of which only the hash is known. The size must be a multiple of 256. */
  appendBlock(block: Buffer): void {
    if (this.#size % blockSize !== 0) throw new Error('a block begins at a multiple of 256');
    this.#push(block, blockSize);
  }

  root(): Buffer {
    let root: Buffer | undefined;
    for (let i = this.#subtrees.length - 1; i >= 0; i -= 1) {
      const left = this.#subtrees[i]?.hash;
      if (left !== undefined) root = root === undefined ? left : nodeHash(left, root);
    }
    return root ?? sha256(Buffer.alloc(0));
  }

  copy(): Frontier {
    const copy = new Frontier();
    copy.#subtrees = [...this.#subtrees];
    copy.#size = this.#size;
    return copy;
  }

  #push(added: Buffer, count: number): void {
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

/** Whether `path` leads from the leaf at `index` to the root of a tree of `size` leaves (RFC 9162, section 2.1.3.2, the same trees). */
export function verifyAuditPath(leaf: Buffer, index: number, size: number, path: readonly Buffer[], root: Buffer): boolean {
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

/** Bytes of base64 in its one canonical form, or nothing. */
function base64(text: unknown, bytes: number): Buffer | undefined {
  if (typeof text !== 'string') return undefined;
  const data = Buffer.from(text, 'base64');
  return data.length === bytes && data.toString('base64') === text ? data : undefined;
}

function hex(text: unknown, bytes: number): Buffer | undefined {
  return typeof text === 'string' && text.length === bytes * 2 && /^[0-9a-f]*$/.test(text) ? Buffer.from(text, 'hex') : undefined;
}

const isCount = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;

// ---- What was found

export type What =
  // A row: tree, position and number say which.
  | 'changed'
  | 'missing'
  | 'inserted'
  | 'out of order'
  | 'swapped'
  | 'malformed'
  // A run of entries known by its hash only: from, to are positions.
  | 'block'
  // The heads log: head, from and to are positions in it; number is the first suspect entry.
  | 'head malformed'
  | 'head missing'
  | 'head out of order'
  | 'head changed'
  | 'behind'
  // The witness.
  | 'no checkpoint'
  | 'old'
  | 'from the future'
  | 'note malformed'
  | 'note forged'
  | 'two truths'
  | 'shrunk'
  | 'era'
  // A slice.
  | 'slice malformed'
  | 'not in this witness'
  // A file that broke off.
  | 'unreadable';

export type Finding = {
  readonly what: What;
  readonly text: string;
  readonly tree?: string | undefined;
  readonly position?: number | undefined;
  readonly number?: number | undefined;
  readonly head?: number | undefined;
  readonly from?: number | undefined;
  readonly to?: number | undefined;
};

/** Keeps the first twenty and the first that names a row; counts all. A finding may be said better when more is known. */
export class Findings {
  readonly list: Finding[] = [];
  count = 0;
  #firstRow: Finding | undefined;
  readonly #trees = new Set<string>();

  get firstRow(): Finding | undefined {
    return this.#firstRow;
  }

  say(what: What, text: string, more: Omit<Finding, 'what' | 'text'> = {}): (better: Finding) => void {
    return this.add({ what, text, ...more });
  }

  /** However many findings there are in other trees: whose tree it is wants to know. */
  #isFirstOf(tree: string | undefined): boolean {
    return tree !== undefined && this.#trees.size < treesMax && !this.#trees.has(tree);
  }

  /** Returns what to call to say it better. */
  add(finding: Finding): (better: Finding) => void {
    this.count += 1;
    let current = finding;
    if (this.list.length < findingsMax || this.#isFirstOf(finding.tree)) this.list.push(finding);
    if (finding.tree !== undefined && this.#trees.size < treesMax) this.#trees.add(finding.tree);
    if (isOfRow(finding)) this.#firstRow ??= finding;
    return (better) => {
      const index = this.list.indexOf(current);
      if (index !== -1) this.list[index] = better;
      if (this.#firstRow === current || (this.#firstRow === undefined && isOfRow(better))) this.#firstRow = better;
      current = better;
    };
  }
}

const isOfRow = (finding: Finding): boolean => finding.tree !== undefined && finding.position !== undefined;

// ---- Verifier keys and checkpoints (C2SP signed-note, tlog-checkpoint)

export type VerifierKey = { readonly name: string; readonly id: string; readonly key: KeyObject };

/** `name+id+base64`. Throws an Error that says what is wrong. */
export function parseVerifierKey(text: string): VerifierKey {
  const [, name, id, encoded] = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/.exec(text) ?? [];
  const bytes = base64(encoded, 33);
  if (name === undefined || bytes === undefined || bytes[0] !== 1)
    throw new Error('this is not a verifier key (name+8 hexadecimal digits+base64, Ed25519)');
  if (sha256(Buffer.concat([Buffer.from(`${name}\n`), bytes])).toString('hex', 0, 4) !== id)
    throw new Error(`the verifier key of ${name} does not fit its key id: a letter was changed`);
  const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), bytes.subarray(1)]);
  return { name, id, key: createPublicKey({ key: der, format: 'der', type: 'spki' }) };
}

export type Note = {
  readonly origin: string;
  readonly size: number;
  readonly root: Buffer;
  readonly era: number;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly entries: number;
  readonly body: string;
  readonly signatures: readonly { readonly name: string; readonly id: string; readonly signature: Buffer }[];
};

const noteShape =
  /^(([^\s+]+)\n(0|[1-9]\d*)\n(\S+)\nera (0|[1-9]\d*)\ntime (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)\n)\n((?:\u2014 [^\s+]+ [A-Za-z0-9+/]+={0,2}\n){1,16})$/;

/** Throws an Error for whatever is not exactly a checkpoint; says nothing about its signature. */
export function parseNote(text: string): Note {
  const [, body, origin, size, root64, era, time, lines] = noteShape.exec(text) ?? [];
  const root = base64(root64, 32);
  const instant = Date.parse(time ?? '');
  const numbers = [size, era].map(Number);
  if (body === undefined || origin === undefined || lines === undefined || root === undefined || !numbers.every(isCount))
    throw new Error('this is not a checkpoint');
  if (Number.isNaN(instant) || new Date(instant).toISOString() !== time) throw new Error('the time of the checkpoint is none');
  const signatures = lines
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [, name = '', encoded] = line.split(' ');
      const bytes = Buffer.from(encoded ?? '', 'base64');
      if (bytes.toString('base64') !== encoded || bytes.length < 5) throw new Error('a signature line is malformed');
      return { name, id: bytes.toString('hex', 0, 4), signature: bytes.subarray(4) };
    });
  return { origin, size: Number(size), root, era: Number(era), time: instant, entries: 0, body, signatures };
}

/** Why a note is not to be believed; undefined: a given key has signed it. Lines of unknown keys do not count. */
export function verifyNote(note: Note, keys: readonly VerifierKey[]): string | undefined {
  if (!keys.some(({ name }) => name === note.origin)) return `it is of ${note.origin}, not of ${keys[0]?.name ?? 'any given key'}`;
  let isSigned = false;
  for (const { name, id, signature } of note.signatures) {
    const known = keys.find((key) => key.name === name && key.id === id && name === note.origin);
    if (known === undefined) continue;
    if (signature.length !== 64 || !verify(null, Buffer.from(note.body), known.key, signature))
      return `the signature of key ${id} is false`;
    isSigned = true;
  }
  return isSigned ? undefined : `no given key has signed it (key ids in it: ${note.signatures.map(({ id }) => id).join(', ')})`;
}

// ---- Compact rows

/** Rows of a fixed width in pieces of 256: a record of years has tens of millions of heads. */
class Rows {
  readonly #width: number;
  readonly #pieces: Buffer[] = [];
  length = 0;

  constructor(width: number) {
    this.#width = width;
  }

  /** The bytes of a new row, to be filled. */
  add(): Buffer {
    if (this.length % 256 === 0) this.#pieces.push(Buffer.alloc(this.#width * 256));
    this.length += 1;
    return this.at(this.length - 1);
  }

  at(index: number): Buffer {
    const piece = this.#pieces[Math.floor(index / 256)];
    if (piece === undefined || index >= this.length) throw new RangeError('no such row');
    const offset = (index % 256) * this.#width;
    return piece.subarray(offset, offset + this.#width);
  }
}

const uint = (row: Buffer, offset: number): number => row.readUIntBE(offset, 6);
const setUint = (row: Buffer, offset: number, value: number): void => {
  // 48 bits: enough for milliseconds, sizes and numbers of centuries.
  row.writeUIntBE(Math.min(value, 2 ** 48 - 1), offset, 6);
};

// ---- The witness

type Mark = { readonly size: number; readonly root: Buffer; readonly era: number; readonly time: number; readonly entries: number };
/** What an era held beyond the size at which the next one went on. */
export type Loss = {
  readonly era: number;
  readonly nextEra: number;
  readonly fromSize: number;
  readonly toSize: number;
  readonly fromEntry: number;
  readonly toEntry: number;
  readonly since: number;
  readonly until: number;
};

const markWidth = 50;
const toMark = (row: Buffer, era: number): Mark => ({
  size: uint(row, 0),
  entries: uint(row, 6),
  time: uint(row, 12),
  root: row.subarray(18),
  era,
});

/** The checkpoints of one or several witnesses. Add them in the order of each file, then close. */
export class Witness {
  readonly findings = new Findings();
  readonly losses: Loss[] = [];
  /** Believed notes, repeated ones included. */
  checkpoints = 0;
  /** Different checkpoints that were abandoned. */
  abandoned = 0;
  #newest: Mark | undefined;
  readonly #keys: readonly VerifierKey[];
  readonly #eras = new Map<number, Rows>();
  readonly #orders = new Map<number, Uint32Array>();
  /** By era: checkpoints above were abandoned. */
  readonly #limits = new Map<number, number>();

  constructor(keys: readonly VerifierKey[]) {
    this.#keys = keys;
  }

  get newest(): Mark | undefined {
    return this.#newest;
  }

  /** A note of a witness. `before` is what stood before it in the same file; the answer is what to give with the next one. */
  add(text: unknown, where: string, before: Mark | undefined): Mark | undefined {
    let note: Note;
    try {
      if (typeof text !== 'string') throw new Error('this is not a JSON string');
      note = parseNote(text);
    } catch (cause) {
      this.findings.say('note malformed', `${where}: ${messageOf(cause)}`);
      return before;
    }
    const why = verifyNote(note, this.#keys);
    if (why !== undefined) {
      this.findings.say('note forged', `${where}: the checkpoint of size ${note.size} is not to be believed: ${why}`);
      return before;
    }
    this.checkpoints += 1;
    // Two wardens may hand over at the same moment: one that was signed earlier comes late, which is no step back.
    if (
      before !== undefined &&
      note.time < before.time &&
      (note.era < before.era || (note.era === before.era && note.size < before.size))
    ) {
      this.#keep(note);
      return before;
    }
    if (before !== undefined && note.era < before.era)
      this.findings.say('era', `${where}: era ${note.era} comes after era ${before.era}`, { from: before.era, to: note.era });
    else if (before !== undefined && note.era === before.era && note.size < before.size)
      this.findings.say('shrunk', `${where}: inside era ${note.era} the size went from ${before.size} back to ${note.size}`, {
        from: before.size,
        to: note.size,
      });
    this.#keep(note);
    return note;
  }

  #keep(note: Note): void {
    const rows = this.#eras.get(note.era) ?? new Rows(markWidth);
    this.#eras.set(note.era, rows);
    const last = rows.length === 0 ? undefined : rows.at(rows.length - 1);
    if (last !== undefined && uint(last, 0) === note.size && uint(last, 6) === note.entries && last.subarray(18).equals(note.root)) {
      // The same checkpoint, signed again: only its time is new.
      setUint(last, 12, Math.max(uint(last, 12), note.time));
      return;
    }
    const row = rows.add();
    setUint(row, 0, note.size);
    setUint(row, 6, note.entries);
    setUint(row, 12, note.time);
    row.set(note.root, 18);
  }

  close(): void {
    const eras = [...this.#eras.keys()].sort((a, b) => b - a);
    let limit = Number.POSITIVE_INFINITY;
    let next = 0;
    for (const era of eras) {
      const marks = this.#sort(era);
      this.#limits.set(era, limit);
      this.#compare(era);
      this.#loss(era, next, limit);
      const first = marks[0] === undefined ? undefined : this.#mark(era, marks[0]);
      if (first !== undefined && first.size <= limit) [limit, next] = [first.size, era];
    }
    const [era] = eras;
    if (era === undefined) return;
    let newest = this.#mark(era, 0);
    for (let i = 1; i < (this.#eras.get(era)?.length ?? 0); i += 1) {
      const mark = this.#mark(era, i);
      if (mark.time > newest.time || (mark.time === newest.time && mark.size > newest.size)) newest = mark;
    }
    this.#newest = newest;
  }

  /** What the database must hold: by size, abandoned ones left out. */
  *accepted(): Generator<Mark> {
    for (const era of [...this.#eras.keys()].sort((a, b) => a - b))
      for (const index of this.#orders.get(era) ?? []) {
        const mark = this.#mark(era, index);
        if (mark.size <= (this.#limits.get(era) ?? 0)) yield mark;
      }
  }

  /** Whether this very checkpoint was witnessed, and whether it was abandoned. */
  has(note: Note): 'yes' | 'no' | 'abandoned' {
    for (const index of this.#orders.get(note.era) ?? []) {
      const mark = this.#mark(note.era, index);
      if (mark.size === note.size && mark.root.equals(note.root) && mark.entries === note.entries)
        return note.size <= (this.#limits.get(note.era) ?? 0) ? 'yes' : 'abandoned';
    }
    return 'no';
  }

  #mark(era: number, index: number): Mark {
    const rows = this.#eras.get(era);
    if (rows === undefined) throw new RangeError('no such era');
    return toMark(rows.at(index), era);
  }

  /** Several witnesses have the same checkpoints, each in its own order. */
  #sort(era: number): Uint32Array {
    const order = Uint32Array.from({ length: this.#eras.get(era)?.length ?? 0 }, (_, index) => index);
    let isSorted = true;
    for (let i = 1; i < order.length && isSorted; i += 1) isSorted = this.#mark(era, i - 1).size <= this.#mark(era, i).size;
    if (!isSorted) order.sort((a, b) => this.#mark(era, a).size - this.#mark(era, b).size || a - b);
    this.#orders.set(era, order);
    return order;
  }

  #compare(era: number): void {
    let before: Mark | undefined;
    for (const index of this.#orders.get(era) ?? []) {
      const mark = this.#mark(era, index);
      if (before?.size === mark.size && (!before.root.equals(mark.root) || before.entries !== mark.entries))
        this.findings.say(
          'two truths',
          `era ${era} has two different checkpoints of size ${mark.size}, both rightly signed: ${instant(before.time)} and ${instant(mark.time)}`,
          { from: mark.size, to: mark.size },
        );
      before = mark;
    }
  }

  #loss(era: number, nextEra: number, limit: number): void {
    const order = this.#orders.get(era) ?? new Uint32Array();
    const lost: Mark[] = [];
    for (let i = order.length - 1; i >= 0; i -= 1) {
      const mark = this.#mark(era, order[i] ?? 0);
      if (mark.size <= limit) break;
      lost.push(mark);
    }
    const [last] = lost;
    if (last === undefined) return;
    const first = this.#mark(nextEra, this.#orders.get(nextEra)?.[0] ?? 0);
    this.abandoned += new Set(lost.map(({ size }) => size)).size;
    this.losses.push({
      era,
      nextEra,
      fromSize: limit,
      toSize: last.size,
      fromEntry: first.entries + 1,
      toEntry: last.entries,
      since: Math.min(...lost.map(({ time }) => time)),
      until: Math.max(...lost.map(({ time }) => time)),
    });
  }
}

// ---- Entries

type Cell = string | number | null;

/** The 23 columns of a dump's entry before salt and leaf, by kind: u UUID, i integer, w text; ? may be absent. */
const columns = 'u i i i w w u? u? u? w? w? u? u? i? i? w? w? w? w? i? w? w? w?'.split(' ');
const publicColumns = 16;

export type Entry = {
  readonly tree: string;
  readonly position: number;
  readonly number: number;
  /** The columns in the order of a dump, the first three included. */
  readonly cells: readonly Cell[];
  readonly salt: Buffer;
  /** As it was computed when the entry was sealed. */
  readonly leaf: Buffer;
};

function isCell(value: unknown, kind: string | undefined): value is Cell {
  if (value === null) return kind?.endsWith('?') === true;
  if (kind?.startsWith('i')) return typeof value === 'number' && Number.isSafeInteger(value) && !Object.is(value, -0);
  return typeof value === 'string' && (!kind?.startsWith('u') || uuid.test(value));
}

function areCells(values: readonly unknown[], count: number): values is readonly Cell[] {
  for (let i = 0; i < count; i += 1) if (!isCell(values[i], columns[i])) return false;
  return values[0] !== headsTree && isCount(values[1]) && isCount(values[2]) && values[2] > 0;
}

/** The entry of a dump's line, or undefined when it is none. */
export function parseEntry(values: readonly unknown[]): Entry | undefined {
  const salt = hex(values[23], 32);
  const leaf = hex(values[24], 32);
  if (values.length !== 25 || salt === undefined || leaf === undefined || !areCells(values, 23)) return undefined;
  return { tree: String(values[0]), position: Number(values[1]), number: Number(values[2]), cells: values.slice(0, 23), salt, leaf };
}

export const publicArray = (cells: readonly Cell[]): string =>
  `["cofferdam ledger public/1",${JSON.stringify(cells.slice(0, publicColumns)).slice(1)}`;
export const sensitiveArray = (cells: readonly Cell[]): string =>
  `["cofferdam ledger sensitive/1",${JSON.stringify(cells.slice(publicColumns)).slice(1)}`;
const digest = (salt: Uint8Array, array: string): Buffer => sha256(Buffer.concat([salt, Buffer.from(array)]));

/** The leaf hash, computed from the fields; the stored one plays no part. */
export function leafOf({ cells, salt }: Pick<Entry, 'cells' | 'salt'>): Buffer {
  const shown = digest(salt.subarray(0, 16), publicArray(cells));
  return leafHash(Buffer.concat([shown, digest(salt.subarray(16), sensitiveArray(cells))]));
}

/** The leaf hash this entry would have at another place. */
const leafAt = (entry: Entry, position: number, number: number): Buffer =>
  leafOf({ cells: [entry.tree, position, number, ...entry.cells.slice(3)], salt: entry.salt });

const place = (tree: string, position: number, number?: number): string =>
  `tree ${tree} position ${position}${number === undefined ? '' : ` (entry number ${number})`}`;
const atPlace = ({ tree, position, number }: Entry): { tree: string; position: number; number: number } => ({ tree, position, number });

/** What the heads say of one tree: size (6 bytes), head (6), root (32) a row. */
const sealedWidth = 44;
type TreeRecord = { readonly sealed: Rows; readonly blocks: Map<number, Buffer>; readonly leaves: Map<number, Buffer> };
type Better = (finding: Finding) => void;
type Odd = { readonly entry: Entry; readonly better: Better };

/** One tree: feed its entries in order, then close. */
class TreeCheck {
  entries = 0;
  /** Known by the hashes of their blocks only. */
  archived = 0;
  readonly #tree: string;
  readonly #record: TreeRecord;
  readonly #numberOf: (head: number) => number;
  readonly #findings: Findings;
  readonly #size: number;
  /** Fed with what was computed. */
  #frontier = new Frontier();
  /** From the first odd row on: fed with stored leaves where they differ, so that what follows can still be judged. */
  #repaired: Frontier | undefined;
  #blockIndexes: readonly number[] | undefined;
  #next = 0;
  #row = 0;
  /** Neither frontier is right any more: roots say nothing. */
  #isLost = false;
  /** Size at the last root that was right, and the number of the first entry after it. */
  #goodSize = 0;
  #goodNumber: number | undefined;
  #lostRoot: { readonly from: number; readonly to: number; readonly better: Better } | undefined;
  #blamed = -1;
  /** The first row since then whose number another head sealed. */
  #foreign: { readonly entry: Entry; readonly isLater: boolean; readonly low: number; readonly high: number } | undefined;
  #odd: Odd[] = [];
  #shift: { readonly position: number; readonly number: number; readonly odd: Odd } | undefined;
  #gap: { readonly from: number; readonly to: number; readonly better: Better } | undefined;
  #beyond: { readonly entry: Entry; readonly better: Better; count: number } | undefined;
  #before: { readonly number: number; readonly beforeIt: number; readonly leaf: Buffer; readonly source: number } | undefined;

  constructor(tree: string, record: TreeRecord, numberOf: (head: number) => number, findings: Findings) {
    this.#tree = tree;
    this.#record = record;
    this.#numberOf = numberOf;
    this.#findings = findings;
    const { sealed } = record;
    this.#size = sealed.length === 0 ? 0 : uint(sealed.at(sealed.length - 1), 0);
  }

  entry(entry: Entry, source: number): void {
    const leaf = leafOf(entry);
    if (entry.position < this.#next) return this.#again(entry, leaf, source);
    this.entries += 1;
    if (entry.position >= this.#size) return this.#unsealed(entry);
    if (entry.position > this.#next) this.#skip(entry.position);
    this.#goodNumber ??= entry.position === this.#goodSize ? entry.number : undefined;
    if (!leaf.equals(entry.leaf)) this.#accuse(entry);
    else this.#checkNumber(entry);
    this.#before = { number: entry.number, beforeIt: this.#before?.number ?? 0, leaf, source };
    this.#grow(leaf, entry.leaf);
  }

  /** An entry that cannot be read stands at its place all the same. */
  unreadable(position: number): void {
    if (position < this.#next || position >= this.#size) return;
    if (position > this.#next) this.#skip(position);
    this.#isLost = true;
    this.#blamed = position;
    this.#next = position + 1;
    this.#passSizes();
  }

  close(): void {
    if (this.#beyond !== undefined && this.#shift === undefined) this.#sayBeyond(this.#beyond);
    // Rows that moved up leave a place at the end: that was said where they begin to move.
    if (this.#next < this.#size && !(this.#shift !== undefined && this.#size - this.#next <= Math.abs(this.#shift.position)))
      this.#skip(this.#size);
    const surplus = [...this.#record.blocks.keys()].filter((index) => (index + 1) * blockSize > this.#size);
    for (const index of surplus)
      this.#findings.say('block', `tree ${this.#tree}: there is a block ${index}, but only ${this.#size} entries were sealed`, {
        tree: this.#tree,
        from: index * blockSize,
        to: index * blockSize + blockSize - 1,
      });
  }

  #grow(computed: Buffer, stored: Buffer): void {
    this.#next += 1;
    if (this.#isLost) return this.#passSizes();
    this.#frontier.append(computed);
    this.#repaired?.append(stored);
    if (this.#frontier.block !== undefined) this.#checkBlock(this.#frontier.block);
    this.#checkRoot();
  }

  /** Sizes that lie inside a block, or behind which nothing can be said. */
  #passSizes(): void {
    const { sealed } = this.#record;
    while (this.#row < sealed.length && uint(sealed.at(this.#row), 0) <= this.#next) this.#row += 1;
  }

  #checkRoot(): void {
    const { sealed } = this.#record;
    while (this.#row < sealed.length && uint(sealed.at(this.#row), 0) < this.#next) this.#row += 1;
    const row = this.#row < sealed.length ? sealed.at(this.#row) : undefined;
    if (row === undefined || uint(row, 0) !== this.#next) return;
    this.#row += 1;
    const root = row.subarray(12);
    if (this.#frontier.root().equals(root)) this.#onlyLeaves();
    else if (this.#repaired?.root().equals(root)) this.#frontier = this.#repaired;
    else return this.#loseRoot(uint(row, 6));
    if (this.#foreign !== undefined) this.#sayForeign(this.#foreign);
    this.#foreign = undefined;
    this.#repaired = undefined;
    this.#goodSize = this.#next;
    this.#goodNumber = undefined;
  }

  /** The root is right with the computed leaves: of the odd rows since the last one, only the stored leaf was touched. */
  #onlyLeaves(): void {
    for (const { entry, better } of this.#odd.filter(({ entry: { position } }) => position >= this.#goodSize))
      better({
        what: 'changed',
        text: `${place(entry.tree, entry.position, entry.number)}: its stored leaf hash was changed; the entry itself is what was sealed`,
        ...atPlace(entry),
      });
  }

  #loseRoot(head: number): void {
    this.#isLost = true;
    // A row was named already since the last right root: that is why.
    if (this.#blamed >= this.#goodSize) return;
    const from = this.#goodSize;
    const to = this.#next - 1;
    const { tree, what, why } = { tree: this.#tree, ...this.#reason(from, to) };
    const text = `${place(tree, from, this.#goodNumber)}: ${why}: the root that head ${head} sealed is another. What follows in this tree could be compared with its stored leaves only`;
    const better = this.#findings.say(what, text, { tree, position: from, number: this.#goodNumber, head, from, to });
    this.#lostRoot = { from, to, better };
  }

  #reason(from: number, to: number): { readonly what: What; readonly why: string } {
    const first = from === to ? 'the entry' : `one of the entries at positions ${from} to ${to} (this is the first of them)`;
    const foreign = this.#foreign;
    if (foreign?.isLater !== true) return { what: 'changed', why: `${first} was changed after it was sealed, together with its leaf hash` };
    const { position, number } = foreign.entry;
    return { what: 'missing', why: `${first} is missing: at position ${position} stands number ${number}, which was sealed later` };
  }

  /** The root is right all the same: whoever sealed gave a number that its head does not cover. */
  #sayForeign({ entry, low, high }: { readonly entry: Entry; readonly low: number; readonly high: number }): void {
    const text = `its head sealed the numbers ${low} to ${high} only`;
    this.#findings.say('out of order', `${place(entry.tree, entry.position, entry.number)}: ${text}`, atPlace(entry));
  }

  #checkBlock(block: Buffer): void {
    const index = this.#next / blockSize - 1;
    const stored = this.#record.blocks.get(index);
    const from = index * blockSize;
    if (stored === undefined || stored.equals(block) || this.#blamed >= from || this.#repaired !== undefined) return;
    this.#findings.say(
      'block',
      `tree ${this.#tree}: the hash of block ${index} is not that of its entries (positions ${from} to ${this.#next - 1})`,
      { tree: this.#tree, from, to: this.#next - 1 },
    );
  }

  /** Positions that are not there: whole blocks stand for them, or they are missing. */
  #skip(to: number): void {
    while (this.#next < to) {
      const block =
        this.#next % blockSize === 0 && this.#next + blockSize <= to ? this.#record.blocks.get(this.#next / blockSize) : undefined;
      const leaf = block === undefined ? this.#record.leaves.get(this.#next) : undefined;
      if (leaf !== undefined) this.#knownByLeaf(leaf);
      else if (block === undefined) this.#miss(to);
      else {
        this.#next += blockSize;
        this.archived += blockSize;
        if (this.#repaired !== undefined) this.#isLost = true;
        if (this.#isLost) this.#passSizes();
        else {
          this.#frontier.appendBlock(block);
          this.#checkRoot();
        }
      }
    }
    this.#before = undefined;
  }

  /** An archived entry of a block that is not whole. */
  #knownByLeaf(leaf: Buffer): void {
    this.#next += 1;
    this.archived += 1;
    if (this.#isLost) return this.#passSizes();
    this.#frontier.append(leaf);
    this.#repaired?.append(leaf);
    this.#checkRoot();
  }

  #miss(to: number): void {
    const from = this.#next;
    const block = this.#blockFrom(Math.floor(from / blockSize) + 1);
    const end = block !== undefined && (block + 1) * blockSize <= to ? block * blockSize : to;
    const { sealed } = this.#record;
    const head = this.#row < sealed.length ? uint(sealed.at(this.#row), 6) : undefined;
    const numbers = head === undefined ? [] : [this.#numberOf(head - 1) + 1, this.#numberOf(head)];
    const number = numbers[0] !== undefined && numbers[0] === numbers[1] ? numbers[0] : undefined;
    const where =
      number === undefined && head !== undefined ? ` (sealed with head ${head}, as one of the numbers ${numbers.join(' to ')})` : '';
    const what = end - from === 1 ? 'the entry is missing' : `${end - from} entries are missing, up to position ${end - 1}`;
    const text = `${place(this.#tree, from, number)}: ${what}${where}, and no block stands for ${end - from === 1 ? 'it' : 'them'}`;
    const better = this.#findings.add({ what: 'missing', text, tree: this.#tree, position: from, number, head, from, to: end - 1 });
    this.#gap = { from, to: end - 1, better };
    this.#isLost = true;
    this.#blamed = end - 1;
    this.#next = end;
    this.#passSizes();
  }

  /** The first known block from this index on; by halving, since a forged size may be anything. */
  #blockFrom(index: number): number | undefined {
    this.#blockIndexes ??= [...this.#record.blocks.keys()].sort((a, b) => a - b);
    let [low, high] = [0, this.#blockIndexes.length];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if ((this.#blockIndexes[middle] ?? 0) < index) low = middle + 1;
      else high = middle;
    }
    return this.#blockIndexes[low];
  }

  /** A row for a place that is taken, or that has been passed. */
  #again(entry: Entry, leaf: Buffer, source: number): void {
    const isLast = entry.position === this.#next - 1;
    // An entry may stand in an archive and still in the database: the very same one.
    if (isLast && this.#before !== undefined && this.#before.source !== source && leaf.equals(this.#before.leaf) && leaf.equals(entry.leaf))
      return;
    this.entries += 1;
    const gap = this.#gap;
    if (gap !== undefined && entry.position >= gap.from && entry.position <= gap.to) {
      this.#gap = undefined;
      gap.better({
        what: 'out of order',
        text: `${place(entry.tree, entry.position, entry.number)}: the row stands behind rows of higher positions`,
        ...atPlace(entry),
      });
      return;
    }
    const what = isLast ? 'inserted' : 'out of order';
    const text = isLast
      ? 'a second row claims this position: one of the two was inserted'
      : `the row stands behind position ${this.#next - 1}`;
    this.#findings.add({ what, text: `${place(entry.tree, entry.position, entry.number)}: ${text}`, ...atPlace(entry) });
  }

  #unsealed(entry: Entry): void {
    if (this.#beyond !== undefined) this.#beyond.count += 1;
    else if (this.#shift === undefined) {
      this.#beyond = { entry, count: 1, better: this.#findings.say('inserted', '', { ...atPlace(entry) }) };
      this.#sayBeyond(this.#beyond);
    }
  }

  #sayBeyond({ entry, count, better }: { readonly entry: Entry; readonly count: number; readonly better: Better }): void {
    const sealed = this.#size === 0 ? 'no head names this tree' : `the heads know ${this.#size} entries of this tree`;
    const text = `${place(entry.tree, entry.position, entry.number)}: inserted: ${sealed}${count > 1 ? `; ${count - 1} more rows follow it` : ''}`;
    better({ what: 'inserted', text, ...atPlace(entry), from: entry.position, to: entry.position + count - 1 });
  }

  /** Inside a tree numbers grow, and each lies among those of the head that sealed it. */
  #checkNumber(entry: Entry): void {
    const { sealed } = this.#record;
    const head = this.#row < sealed.length ? uint(sealed.at(this.#row), 6) : 0;
    const [low, high] = [this.#numberOf(head - 1) + 1, this.#numberOf(head)];
    const { number, beforeIt } = this.#before ?? { number: 0, beforeIt: 0 };
    const { tree, position } = entry;
    if (entry.number > number) {
      // What the root says decides whether a row is missing here or a number was changed.
      if (entry.number < low || entry.number > high) this.#foreign ??= { entry, isLater: entry.number > high, low, high };
      return;
    }
    const isAfterOdd = this.#blamed === position - 1;
    this.#blamed = position;
    if (isAfterOdd) return;
    // If it fits behind the one before the last, the last is the one that stands wrong.
    const isLastForeign = this.#foreign?.isLater === true && this.#foreign.entry.position === position - 1;
    const [at, odd] = entry.number > beforeIt && (entry.number >= low || isLastForeign) ? [position - 1, number] : [position, entry.number];
    const text = `the row is not where it was sealed: number ${entry.number} comes behind number ${number}`;
    this.#sayBetter({ what: 'out of order', text: `${place(tree, at, odd)}: ${text}`, tree, position: at, number: odd });
  }

  /** In the place of a finding that named a whole range, when this row lies in it. */
  #sayBetter(finding: Finding & { readonly position: number }): void {
    const range = this.#lostRoot;
    if (range === undefined || finding.position < range.from || finding.position > range.to) this.#findings.add(finding);
    else range.better(finding);
  }

  /** The row is not what its stored leaf says. What it says may tell where the row comes from. */
  #accuse(entry: Entry): void {
    this.#blamed = entry.position;
    this.#repaired ??= this.#frontier.copy();
    const { number, position } = entry;
    const shift = this.#shift;
    if (shift !== undefined && leafAt(entry, position + shift.position, number + shift.number).equals(entry.leaf)) return;
    if (this.#odd.length >= findingsMax) {
      this.#findings.add(changed(entry));
      return;
    }
    if (this.#hasMoved(entry) || this.#odd.some((other) => areSwapped(other, entry))) return;
    this.#odd.push({ entry, better: this.#findings.add(changed(entry)) });
  }

  #hasMoved(entry: Entry): boolean {
    for (let distance = 1; distance <= 8; distance += 1)
      for (const by of [distance, -distance])
        for (const more of [0, by])
          if (entry.position + by >= 0 && leafAt(entry, entry.position + by, entry.number + more).equals(entry.leaf)) {
            this.#sayMoved(entry, by, more);
            return true;
          }
    return false;
  }

  #sayMoved(entry: Entry, by: number, more: number): void {
    const shift = this.#shift;
    const { tree, position, number } = entry;
    const sealedAt = position + by;
    if (shift !== undefined && by === -shift.position && shift.odd.entry.position === sealedAt) {
      this.#shift = undefined;
      const first = shift.odd.entry;
      shift.odd.better(swapped(first, entry));
      return;
    }
    if (by > 0) {
      // The number of the missing one is known when the numbers moved, too: it is the one that is here now.
      const missing = more === 0 ? undefined : number;
      const text = `${place(tree, position, missing)}: what was sealed here is missing: the row that is here now was sealed at position ${sealedAt}, and rows behind it may have moved with it`;
      const better = this.#findings.add({ what: 'missing', text, tree, position, number: missing, from: position, to: sealedAt - 1 });
      this.#shift = { position: by, number: more, odd: { entry, better } };
      return;
    }
    const before = this.#odd.find((other) => other.entry.position === sealedAt);
    const count = -by;
    const text = `${count === 1 ? 'a row' : `${count} rows`} inserted here: the row at position ${entry.position} was sealed at position ${sealedAt}`;
    const inserted = before?.entry.number ?? (count === 1 ? this.#before?.number : undefined);
    const at = { tree, position: sealedAt, number: inserted, from: sealedAt, to: position - 1 };
    const finding = { what: 'inserted' as const, text: `${place(tree, sealedAt, inserted)}: ${text}`, ...at };
    if (before === undefined) this.#sayBetter(finding);
    else before.better(finding);
    this.#shift = { position: by, number: more, odd: { entry, better: () => {} } };
  }
}

const changed = (entry: Entry): Finding => ({
  what: 'changed',
  text: `${place(entry.tree, entry.position, entry.number)}: the entry was changed after it was sealed`,
  ...atPlace(entry),
});
const swapped = (first: Entry, second: Entry): Finding => ({
  what: 'swapped',
  text: `${place(first.tree, first.position, first.number)}: the row was swapped with the one at position ${second.position}`,
  ...atPlace(first),
  from: first.position,
  to: second.position,
});

/** Whether each of two rows is what was sealed in the other's place, with its stored leaf or without. */
function areSwapped(first: Odd, entry: Entry): boolean {
  const one = first.entry;
  const isAt = (row: Entry, at: Entry, leaf: Buffer): boolean =>
    [row.number, at.number].some((number) => leafAt(row, at.position, number).equals(leaf));
  const isWithLeaves = isAt(one, entry, one.leaf) && isAt(entry, one, entry.leaf);
  if (!isWithLeaves && !(isAt(one, entry, entry.leaf) && isAt(entry, one, one.leaf))) return false;
  first.better(swapped(one, entry));
  return true;
}

// ---- The whole record

export type Head = { readonly position: number; readonly at: number; readonly number: number; readonly lines: string };
export type HeadTree = { readonly tree: string; readonly size: number; readonly root: Buffer };

export const headText = ({ position, at, number, lines }: Head): string =>
  `cofferdam ledger head/1\n${position}\n${at}\n${number}\n${lines}`;

/** The lines of a head, or undefined when they are not exactly such lines, in the order of the trees. */
export function parseHeadLines(lines: string): readonly HeadTree[] | undefined {
  if (!lines.endsWith('\n')) return undefined;
  const trees: HeadTree[] = [];
  for (const line of lines.slice(0, -1).split('\n')) {
    const [, tree, size, encoded] = /^(\S{36}) ([1-9]\d{0,15}) (\S{44})$/.exec(line) ?? [];
    const root = base64(encoded, 32);
    if (tree === undefined || root === undefined || !uuid.test(tree) || tree === headsTree || !isCount(Number(size))) return undefined;
    if (tree <= (trees.at(-1)?.tree ?? '')) return undefined;
    trees.push({ tree, size: Number(size), root });
  }
  return trees;
}

export type Report = {
  readonly ok: boolean;
  readonly entries: number;
  readonly heads: number;
  readonly trees: number;
  readonly checkpoints: number;
  readonly newest: { readonly size: number; readonly time: string; readonly era: number } | null;
  readonly abandoned: number;
  /** Entries known by the hashes of their blocks only. */
  readonly archived: number;
  /** Heads and entries beyond the newest checkpoint: nobody has witnessed them yet. */
  readonly unwitnessed: { readonly heads: number; readonly entries: number };
  readonly lost: readonly Loss[];
  /** All that was found; `findings` holds the first twenty. */
  readonly found: number;
  readonly firstRow: Finding | null;
  readonly findings: readonly Finding[];
};

export type VerificationOptions = {
  /** Closed. */
  readonly witness: Witness;
  /** Milliseconds since 1970: the clock of the machine that verifies. */
  readonly now: number;
  /** 0: a checkpoint of any age will do. */
  readonly maxAgeSeconds: number;
};

/** Heads in their order, then blocks, then entries by tree and position, then finish. */
export class Verification {
  readonly findings: Findings;
  readonly #witness: Witness;
  readonly #due: Generator<Mark>;
  #mark: Mark | undefined;
  readonly #log = new Frontier();
  /** Hashes of 256 heads each. */
  readonly #logBlocks = new Rows(32);
  /** Whether heads were lost, or one was changed: no later root can fit. */
  #isLogLost = false;
  #good: { readonly size: number } = { size: 0 };
  readonly #numbers = new Rows(6);
  #lastAt = 0;
  readonly #trees = new Map<string, TreeRecord>();
  #suspect: { readonly finding: Finding; readonly better: Better } | undefined;
  #lastEntries = 0;
  /** In order; undefined while heads and blocks may still come. */
  #names: readonly string[] | undefined;
  #nextName = 0;
  #tree: string | undefined;
  #check: TreeCheck | undefined;
  #entries = 0;
  #archived = 0;

  constructor({ witness, now, maxAgeSeconds }: VerificationOptions) {
    this.findings = witness.findings;
    this.#witness = witness;
    this.#due = witness.accepted();
    this.#advance();
    this.#checkAge(now, maxAgeSeconds);
    this.#checkLog();
  }

  /** One line of a dump or an archive, parsed. `where` names file and line. */
  line(value: unknown, where: string, source = 0): void {
    const [kind, row] = onlyProperty(value);
    if (kind === 'entry' && Array.isArray(row)) this.row(row, where, source);
    else if (kind === 'head' && Array.isArray(row)) this.#headRow(row, where);
    else if (kind === 'block' && Array.isArray(row)) this.#blockRow(row, where);
    else if (kind === 'leaf' && Array.isArray(row)) this.#leafRow(row, where);
    else this.findings.say('malformed', `${where}: this line is neither head nor block nor leaf nor entry`);
  }

  row(row: readonly unknown[], where: string, source: number): void {
    const entry = parseEntry(row);
    if (entry !== undefined) return this.entry(entry, source);
    const [tree, position, number] = row;
    if (typeof tree !== 'string' || !uuid.test(tree) || !isCount(position)) {
      this.findings.say('malformed', `${where}: this is not an entry`);
      return;
    }
    const known = isCount(number) ? number : undefined;
    const text = `${place(tree, position, known)}: a field is not of its kind, or there are too many or too few (${where})`;
    this.findings.add({ what: 'malformed', text, tree, position, number: known });
    if (this.#enter(tree, position, known)) this.#check?.unreadable(position);
  }

  head(head: Head): void {
    const { position, number } = head;
    const expected = this.#numbers.length;
    if (this.#names !== undefined || position < expected) {
      this.findings.say(
        'head out of order',
        `head ${position} stands where it may not: ${position < expected ? 'there is one of that position already' : 'behind blocks or entries'}`,
        { head: position },
      );
      return;
    }
    if (position > expected) {
      const to = position - 1;
      this.findings.say(
        'head missing',
        `head ${expected}${to > expected ? ` up to ${to}` : ''} is missing: the first entry that it sealed has number ${this.#numberOf(expected - 1) + 1}`,
        { head: expected, from: expected, to, number: this.#numberOf(expected - 1) + 1 },
      );
      this.#isLogLost = true;
      // What is missing keeps its place, so that later heads and their numbers stay where they are; a forged position must not cost memory.
      if (position - expected > 1_000_000) return;
      while (this.#numbers.length < position) setUint(this.#numbers.add(), 0, this.#numberOf(this.#numbers.length - 2));
    }
    this.#grow(head, position > expected);
    setUint(this.#numbers.add(), 0, number);
    this.#lastAt = head.at;
    this.#log.append(leafHash(Buffer.from(headText(head))));
    if (this.#log.block !== undefined) this.#logBlocks.add().set(this.#log.block);
    this.#checkLog();
  }

  block(tree: string, index: number, block: Buffer): void {
    if (this.#check !== undefined) {
      this.findings.say('block', `block ${index} of tree ${tree} stands behind entries: blocks come before them`, {
        tree,
        from: index * blockSize,
      });
      return;
    }
    if (tree === headsTree) return this.#blockOfLog(index, block);
    const record = this.#trees.get(tree);
    if (record === undefined || record.blocks.has(index))
      this.findings.say(
        'block',
        `block ${index} of tree ${tree} ${record === undefined ? 'belongs to no tree of the heads' : 'is there twice'}`,
        { tree, from: index * blockSize },
      );
    else record.blocks.set(index, block);
  }

  /** Nothing rests on it here, every head is there; but the gateway itself compares by these. */
  #blockOfLog(index: number, block: Buffer): void {
    if (this.#isLogLost || (index < this.#logBlocks.length && this.#logBlocks.at(index).equals(block))) return;
    const [from, to] = [index * blockSize, index * blockSize + blockSize - 1];
    this.findings.say('block', `the heads log: the hash of block ${index} is not that of heads ${from} to ${to}`, {
      tree: headsTree,
      from,
      to,
    });
  }

  entry(entry: Entry, source = 0): void {
    if (this.#enter(entry.tree, entry.position, entry.number)) this.#check?.entry(entry, source);
    const suspect = this.#suspect;
    if (suspect?.finding.number !== entry.number) return;
    this.#suspect = undefined;
    suspect.better({
      ...suspect.finding,
      text: `${place(entry.tree, entry.position, entry.number)}: ${suspect.finding.text}`,
      ...atPlace(entry),
    });
  }

  finish(): Report {
    const names = this.#endHeads();
    this.#closeUpTo(undefined);
    const { findings } = this;
    const newest = this.#witness.newest;
    const heads = this.#numbers.length;
    return {
      ok: findings.count === 0,
      entries: this.#entries,
      heads,
      trees: names.length,
      checkpoints: this.#witness.checkpoints,
      newest: newest === undefined ? null : { size: newest.size, time: instant(newest.time), era: newest.era },
      abandoned: this.#witness.abandoned,
      archived: this.#archived,
      unwitnessed: { heads: Math.max(0, heads - this.#good.size), entries: Math.max(0, this.#numberOf(heads - 1) - this.#lastEntries) },
      lost: this.#witness.losses.toReversed(),
      found: findings.count,
      firstRow: findings.firstRow ?? null,
      findings: findings.list,
    };
  }

  #numberOf = (head: number): number => (head < 0 || head >= this.#numbers.length ? 0 : uint(this.#numbers.at(head), 0));

  #advance(): void {
    const next = this.#due.next();
    this.#mark = next.done === true ? undefined : next.value;
  }

  #checkAge(now: number, maxAgeSeconds: number): void {
    const { newest } = this.#witness;
    if (newest === undefined)
      this.findings.say('no checkpoint', 'the witness holds no checkpoint that is to be believed: nothing proves this record');
    if (newest === undefined || maxAgeSeconds === 0) return;
    const age = Math.floor((now - newest.time) / 1000);
    if (age > maxAgeSeconds)
      this.findings.say(
        'old',
        `the newest checkpoint of the witness is ${span(age)} old (${instant(newest.time)}; ${span(maxAgeSeconds)} are allowed): bring the newest witness, or find out why nothing was sealed since`,
      );
    else if (-age > maxAgeSeconds)
      this.findings.say(
        'from the future',
        `the newest checkpoint of the witness is of ${instant(newest.time)}, ${span(-age)} ahead of this machine's clock: set the clock right`,
      );
  }

  #headRow(row: readonly unknown[], where: string): void {
    const [position, at, number, lines] = row;
    if (row.length === 4 && isCount(position) && isCount(at) && isCount(number) && typeof lines === 'string')
      this.head({ position, at, number, lines });
    else {
      this.#isLogLost = true;
      this.findings.say('head malformed', `${where}: this is not a head`, { head: this.#numbers.length });
    }
  }

  #leafRow(row: readonly unknown[], where: string): void {
    const [tree, position, text] = row;
    const leaf = hex(text, 32);
    this.#endHeads();
    const record = typeof tree === 'string' ? this.#trees.get(tree) : undefined;
    if (row.length !== 3 || typeof tree !== 'string' || !isCount(position) || leaf === undefined || this.#tree !== undefined)
      this.findings.add({ what: 'malformed', text: `${where}: this is not a leaf, or it stands behind entries` });
    else if (record === undefined || record.leaves.has(position))
      this.findings.add({
        what: 'malformed',
        text: `${where}: a leaf of tree ${tree}, position ${position}, ${record === undefined ? 'belongs to no tree of the heads' : 'is there twice'}`,
      });
    else record.leaves.set(position, leaf);
  }

  #blockRow(row: readonly unknown[], where: string): void {
    const [tree, index, text] = row;
    const block = hex(text, 32);
    this.#endHeads();
    if (row.length === 3 && typeof tree === 'string' && isCount(index) && block !== undefined) this.block(tree, index, block);
    else this.findings.say('block', `${where}: this is not a block`);
  }

  /** Writes down what the head says of its trees. */
  #grow({ position, number, lines }: Head, isAfterGap: boolean): void {
    const trees = parseHeadLines(lines);
    if (trees === undefined) {
      this.findings.say('head malformed', `head ${position}: its lines of trees, sizes and roots are malformed or out of order`, {
        head: position,
      });
      return;
    }
    let leaves = 0;
    for (const { tree, size, root } of trees) {
      const record = this.#trees.get(tree) ?? {
        sealed: new Rows(sealedWidth),
        blocks: new Map<number, Buffer>(),
        leaves: new Map<number, Buffer>(),
      };
      this.#trees.set(tree, record);
      const { sealed } = record;
      const before = sealed.length === 0 ? 0 : uint(sealed.at(sealed.length - 1), 0);
      if (size <= before) {
        this.findings.say('head malformed', `head ${position}: tree ${tree} had ${before} entries already and is said to have ${size}`, {
          head: position,
        });
        continue;
      }
      leaves += size - before;
      const row = sealed.add();
      setUint(row, 0, size);
      setUint(row, 6, position);
      row.set(root, 12);
    }
    const before = this.#numberOf(position - 1);
    if (!isAfterGap && number !== before + leaves)
      this.findings.say('head malformed', `head ${position}: its trees grew by ${leaves}, its number from ${before} to ${number}`, {
        head: position,
      });
  }

  /** The root of the heads log against every checkpoint of its size. */
  #checkLog(): void {
    const size = this.#numbers.length;
    for (; this.#mark !== undefined && this.#mark.size <= size; this.#advance()) {
      if (this.#isLogLost || this.#mark.size < size) continue;
      if (!this.#log.root().equals(this.#mark.root)) this.#loseLog(this.#mark);
      else if (this.#mark.entries !== this.#numberOf(size - 1))
        this.findings.say(
          'note malformed',
          `the checkpoint of size ${size} speaks of ${this.#mark.entries} entries, head ${size - 1} of ${this.#numberOf(size - 1)}`,
        );
      else {
        this.#good = { size };
        this.#lastEntries = this.#mark.entries;
      }
    }
  }

  #loseLog(mark: Mark): void {
    this.#isLogLost = true;
    const from = this.#good.size;
    const to = mark.size - 1;
    const [low, high] = [this.#numberOf(from - 1) + 1, this.#numberOf(to)];
    const text = `what was sealed with ${from === to ? `head ${from}` : `heads ${from} to ${to}`} is not what the witness saw (checkpoint of size ${mark.size}, ${instant(mark.time)}). Entry number ${low} is the first suspect, of ${low} to ${high}; what comes later is proved by nothing`;
    const finding: Finding = { what: 'head changed', text, number: low, head: from, from, to };
    this.#suspect = { finding, better: this.findings.add(finding) };
  }

  #endHeads(): readonly string[] {
    if (this.#names !== undefined) return this.#names;
    this.#names = [...this.#trees.keys()].sort();
    let last: Mark | undefined;
    for (; this.#mark !== undefined; this.#advance()) last = this.#mark;
    if (last === undefined) return this.#names;
    const heads = this.#numbers.length;
    const number = this.#numberOf(heads - 1) + 1;
    const at = heads === 0 ? '' : `, the last of ${instant(Math.floor(this.#lastAt / 1000))}`;
    this.findings.say(
      'behind',
      `the database is behind the witness: it holds ${heads} heads${at}; the witness has a checkpoint of ${last.size} heads of ${instant(last.time)}. The first missing head is ${heads}, the first missing entry has number ${number} (of ${last.entries}). If the dump is older than the witness, copy the witness first, then dump, and verify again`,
      { number, head: heads, from: heads, to: last.size - 1 },
    );
    return this.#names;
  }

  /** Makes `tree` the one that is checked. Says no to a row of a tree that has been passed. */
  #enter(tree: string, position: number, number: number | undefined): boolean {
    this.#endHeads();
    if (tree === this.#tree) return true;
    if (this.#tree !== undefined && tree < this.#tree) {
      this.#entries += 1;
      this.findings.say('out of order', `${place(tree, position, number)}: the row stands behind rows of tree ${this.#tree}`, {
        tree,
        position,
        number,
      });
      return false;
    }
    this.#closeUpTo(tree);
    this.#tree = tree;
    this.#check = this.#open(tree);
    return true;
  }

  #open(tree: string): TreeCheck {
    return new TreeCheck(
      tree,
      this.#trees.get(tree) ?? { sealed: new Rows(sealedWidth), blocks: new Map(), leaves: new Map() },
      this.#numberOf,
      this.findings,
    );
  }

  /** Closes the tree under way, and every one before `tree` of which no row came. */
  #closeUpTo(tree: string | undefined): void {
    if (this.#check !== undefined) this.#close(this.#check);
    this.#check = undefined;
    const names = this.#names ?? [];
    for (let name = names[this.#nextName]; name !== undefined && (tree === undefined || name <= tree); name = names[this.#nextName]) {
      this.#nextName += 1;
      if (name !== tree) this.#close(this.#open(name));
    }
  }

  #close(check: TreeCheck): void {
    check.close();
    this.#entries += check.entries;
    this.#archived += check.archived;
  }
}

function onlyProperty(value: unknown): readonly [string, unknown] | readonly [] {
  const properties: readonly [string, unknown][] = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  return properties.length === 1 && properties[0] !== undefined ? properties[0] : [];
}

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));

function instant(milliseconds: number): string {
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime()) ? `${milliseconds} ms` : date.toISOString();
}

function span(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} days`;
}

// ---- A slice

export type SliceReport = Pick<Report, 'ok' | 'entries' | 'checkpoints' | 'newest' | 'found' | 'firstRow' | 'findings'> & {
  readonly tree: string | null;
};

/** Feed the lines of a slice, the first one first, then finish. */
export class SliceVerification {
  readonly findings: Findings;
  readonly #keys: readonly VerifierKey[];
  readonly #witness: Witness | undefined;
  #note: Note | undefined;
  #tree: { readonly id: string; readonly size: number; readonly root: Buffer } | undefined;
  #last = -1;
  #entries = 0;
  #hasBegun = false;

  constructor(keys: readonly VerifierKey[], witness: Witness | undefined) {
    this.findings = witness?.findings ?? new Findings();
    this.#keys = keys;
    this.#witness = witness;
  }

  line(value: unknown, where: string): void {
    if (this.#hasBegun) this.#shown(value, where);
    else this.#begin(value, where);
    this.#hasBegun = true;
  }

  finish(): SliceReport {
    const { findings } = this;
    if (!this.#hasBegun) this.#malformed('the slice is empty');
    const note = this.#note;
    return {
      ok: findings.count === 0 && this.#tree !== undefined,
      tree: this.#tree?.id ?? null,
      entries: this.#entries,
      checkpoints: this.#witness?.checkpoints ?? 0,
      newest: note === undefined ? null : { size: note.size, time: instant(note.time), era: note.era },
      found: findings.count,
      firstRow: findings.firstRow ?? null,
      findings: findings.list,
    };
  }

  #malformed(text: string): void {
    this.findings.add({ what: 'slice malformed', text });
  }

  #begin(value: unknown, where: string): void {
    const slice = property(value, 'slice');
    const [head, tree, text] = [property(slice, 'head'), property(slice, 'tree'), property(slice, 'checkpoint')];
    const [position, lines, id, size] = [property(head, 'position'), property(head, 'text'), property(tree, 'id'), property(tree, 'size')];
    const proof = hashes(property(head, 'proof'));
    if (
      property(slice, 'version') !== 1 ||
      !isCount(position) ||
      typeof lines !== 'string' ||
      typeof id !== 'string' ||
      !isCount(size) ||
      proof === undefined
    )
      return this.#malformed(`${where}: the first line is not that of a slice of version 1`);
    const note = this.#believe(text, where);
    if (note === undefined) return;
    if (!verifyAuditPath(leafHash(Buffer.from(lines)), position, note.size, proof, note.root))
      this.findings.say('head changed', `${where}: head ${position} does not lead to the root of the checkpoint of size ${note.size}`, {
        head: position,
      });
    const named = treesOf(lines, position)?.find(({ tree: name, size: named }) => name === id && named === size);
    if (named === undefined) return this.#malformed(`${where}: head ${position} does not say that tree ${id} had ${size} entries`);
    this.#tree = { id, size, root: named.root };
  }

  #believe(text: unknown, where: string): Note | undefined {
    let note: Note;
    try {
      note = parseNote(String(text));
    } catch (cause) {
      this.findings.say('note malformed', `${where}: ${messageOf(cause)}`);
      return undefined;
    }
    this.#note = note;
    const why = verifyNote(note, this.#keys);
    if (why !== undefined) this.findings.say('note forged', `${where}: the checkpoint of size ${note.size} is not to be believed: ${why}`);
    const standing = this.#witness?.has(note) ?? 'yes';
    if (standing === 'no')
      this.findings.say(
        'not in this witness',
        `${where}: the checkpoint of size ${note.size}, era ${note.era}, ${instant(note.time)}, is not in this witness${note.size > (this.#witness?.newest?.size ?? -1) ? ': it is larger than the newest there; bring a newer copy' : ''}`,
      );
    if (standing === 'abandoned')
      this.findings.say(
        'not in this witness',
        `${where}: the checkpoint of size ${note.size}, era ${note.era}, was abandoned: the record went on from before it`,
      );
    return note;
  }

  #shown(value: unknown, where: string): void {
    const row = property(value, 'shown');
    const tree = this.#tree;
    this.#entries += 1;
    if (tree === undefined) return;
    const [salt, sensitive, proof] = [
      hex(property(value, 'salt'), 16),
      hex(property(value, 'sensitive'), 32),
      hashes(property(value, 'proof')),
    ];
    if (
      !Array.isArray(row) ||
      row.length !== publicColumns ||
      salt === undefined ||
      sensitive === undefined ||
      proof === undefined ||
      !areCells(row, publicColumns)
    )
      return this.#bad('malformed', row, where, 'this is not an entry of a slice');
    const position = Number(row[1]);
    const leaf = leafHash(Buffer.concat([digest(salt, publicArray(row)), sensitive]));
    if (row[0] !== tree.id) this.#bad('inserted', row, where, `it is not of tree ${tree.id}`);
    else if (!verifyAuditPath(leaf, position, tree.size, proof, tree.root))
      this.#bad('changed', row, where, 'what is shown is not what was sealed, or its proof is false');
    else if (position <= this.#last)
      this.#bad(position === this.#last ? 'inserted' : 'out of order', row, where, `it stands behind position ${this.#last}`);
    this.#last = Math.max(this.#last, position);
  }

  #bad(what: What, row: unknown, where: string, why: string): void {
    const [tree, position, number] = Array.isArray(row) ? row : [];
    const isPlaced = typeof tree === 'string' && uuid.test(tree) && isCount(position) && isCount(number);
    if (isPlaced) this.findings.add({ what, text: `${place(tree, position, number)}: ${why} (${where})`, tree, position, number });
    else this.findings.add({ what, text: `${where}: ${why}` });
  }
}

const property = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? Object.entries(value).find(([key]) => key === name)?.[1] : undefined;

function hashes(value: unknown): readonly Buffer[] | undefined {
  if (!Array.isArray(value) || value.length > 64) return undefined;
  const list = value.map((one) => base64(one, 32)).filter((one) => one !== undefined);
  return list.length === value.length ? list : undefined;
}

function treesOf(text: string, position: number): readonly HeadTree[] | undefined {
  const [, named, , , lines] = /^cofferdam ledger head\/1\n(0|[1-9]\d*)\n(0|[1-9]\d*)\n(0|[1-9]\d*)\n([\s\S]*)$/.exec(text) ?? [];
  return lines === undefined || Number(named) !== position ? undefined : parseHeadLines(lines);
}

// ---- Files

/** The lines of a file or stream, in batches. `isTornKept`: whether a last line without its newline counts. */
export async function* readLines(source: string | Readable, isTornKept: boolean): AsyncGenerator<readonly string[]> {
  const raw = typeof source === 'string' ? createReadStream(source, { highWaterMark: 1 << 20 }) : source;
  const stream: Readable = typeof source === 'string' && source.endsWith('.gz') ? raw.pipe(createGunzip()) : raw;
  if (stream !== raw) raw.on('error', (cause: Error) => stream.destroy(cause));
  let rest: Buffer[] = [];
  let restBytes = 0;
  for await (const chunk of stream) {
    const bytes: Buffer = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    const end = bytes.lastIndexOf(10);
    if (end !== -1) {
      yield Buffer.concat([...rest, bytes.subarray(0, end)])
        .toString('utf8')
        .split('\n');
      [rest, restBytes] = [[], 0];
    }
    rest.push(bytes.subarray(end + 1));
    restBytes += bytes.length - end - 1;
    if (restBytes > lineBytesMax) throw new Error('a line is longer than any of this format');
  }
  if (isTornKept && restBytes > 0) yield [Buffer.concat(rest).toString('utf8')];
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const witnessFile = /^(checkpoints-\d{4}-\d\d-\d\d)\.jsonl(?:\.gz)?$/;

/** Reads every checkpoint of one or several witnesses. Throws when a directory cannot be read. */
export async function readWitness(directories: readonly string[], keys: readonly VerifierKey[]): Promise<Witness> {
  const witness = new Witness(keys);
  for (const directory of directories) {
    let day = '';
    let [before, last]: (Mark | undefined)[] = [];
    for (const name of readdirSync(directory).sort()) {
      const [, thisDay] = witnessFile.exec(name) ?? [];
      if (thisDay === undefined) continue;
      // A day may stand there twice, compressed and not yet removed: both go on from the day before.
      if (thisDay !== day) [day, before] = [thisDay, last];
      last = await readNotes(join(directory, name), witness, before);
    }
  }
  witness.close();
  return witness;
}

async function readNotes(path: string, witness: Witness, before: Mark | undefined): Promise<Mark | undefined> {
  let last = before;
  let line = 0;
  try {
    for await (const batch of readLines(path, false))
      for (const text of batch) {
        line += 1;
        last = witness.add(parseJson(text), `${path} line ${line}`, last);
      }
  } catch (cause) {
    witness.findings.say('unreadable', `${path}: broke off after line ${line}: ${messageOf(cause)}`);
  }
  return last;
}

/** One sorted file of entries, a line ahead. */
class Source {
  readonly name: string;
  readonly index: number;
  readonly #batches: AsyncGenerator<readonly string[]>;
  #batch: readonly string[] = [];
  #offset = 0;
  #line = 0;
  /** Parsed; undefined at the end, or for what is not JSON. */
  value: unknown;
  isAtEnd = false;
  /** Place of the entry, as a text that sorts. */
  key = '';

  constructor(name: string, index: number, batches: AsyncGenerator<readonly string[]>) {
    this.name = name;
    this.index = index;
    this.#batches = batches;
  }

  get where(): string {
    return `${this.name} line ${this.#line}`;
  }

  /** Goes on inside what was read; false: more must be read. */
  step(): boolean {
    while (this.#offset < this.#batch.length) {
      const text = this.#batch[this.#offset];
      this.#offset += 1;
      this.#line += 1;
      if (text === undefined || text === '') continue;
      this.value = parseJson(text);
      const entry = property(this.value, 'entry');
      // What is no entry is looked at, and said, at once.
      this.key = Array.isArray(entry) ? `${entry[0]} ${String(entry[1]).padStart(16, '0')}` : '';
      return true;
    }
    return false;
  }

  async next(): Promise<void> {
    while (!this.step()) {
      const read = await this.#batches.next();
      if (read.done === true) {
        this.isAtEnd = true;
        this.value = undefined;
        return;
      }
      this.#batch = read.value;
      this.#offset = 0;
    }
  }
}

/** Goes on in one source; one that breaks off ends there. */
async function advance(source: Source, verification: Verification): Promise<void> {
  try {
    await source.next();
  } catch (cause) {
    // The dump itself must be whole; an archive that breaks off is a finding, its entries are missing.
    if (source.index === 0) throw cause;
    verification.findings.say('unreadable', `${source.where}: the archive broke off behind this line: ${messageOf(cause)}`);
    source.isAtEnd = true;
  }
}

/** The dump first, up to its entries; then entries of dump and archives by tree and position. */
async function feed(dump: Source, archives: readonly Source[], verification: Verification): Promise<void> {
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
    // A month is one run in each tree: mostly the same source goes on.
    do {
      verification.line(source.value, source.where, source.index);
      if (!source.step()) await advance(source, verification);
    } while (!source.isAtEnd && (second === undefined || source.key < second.key));
    if (source.isAtEnd) open = open.filter((one) => one !== source);
  }
}

export type RecordOptions = {
  readonly keys: readonly VerifierKey[];
  readonly witnesses: readonly string[];
  readonly archive?: string | undefined;
  readonly maxAgeSeconds: number;
  readonly dump: string | Readable;
  readonly now: number;
};

/** Verifies a whole record. Throws when dump, archive or witness cannot be opened. */
export async function verifyRecord({ keys, witnesses, archive, maxAgeSeconds, dump, now }: RecordOptions): Promise<Report> {
  const witness = await readWitness(witnesses, keys);
  const verification = new Verification({ witness, now, maxAgeSeconds });
  const names = archive === undefined ? [] : readdirSync(archive).filter((name) => /^ledger-\d{4}-\d\d\.jsonl(?:\.gz)?$/.test(name));
  const archives = names.sort().map((name, i) => new Source(name, i + 1, readLines(join(archive ?? '', name), true)));
  await feed(new Source(typeof dump === 'string' ? dump : 'the dump', 0, readLines(dump, true)), archives, verification);
  return verification.finish();
}

export type SliceOptions = Pick<RecordOptions, 'keys' | 'witnesses'> & { readonly slice: string | Readable };

/** Verifies one customer's slice. Throws when it or a witness cannot be opened. */
export async function verifySlice({ keys, witnesses, slice }: SliceOptions): Promise<SliceReport> {
  const verification = new SliceVerification(keys, witnesses.length === 0 ? undefined : await readWitness(witnesses, keys));
  let line = 0;
  for await (const batch of readLines(slice, true))
    for (const text of batch) {
      line += 1;
      if (text !== '') verification.line(parseJson(text), `line ${line}`);
    }
  return verification.finish();
}

// ---- The command

const usage = `usage:
  node ledger-verifier.ts dump --key VKEY|FILE --witness DIR [--archive DIR] [--max-age SECONDS] [--json] DUMP|-
  node ledger-verifier.ts slice --key VKEY|FILE [--witness DIR] [--json] SLICE|-

  --key      verifier key (name+id+base64), or a file with one on each line; again for every key that was ever used
  --witness  directory of checkpoints; again for every witness
  --archive  directory of ledger-YYYY-MM.jsonl.gz
  --max-age  how old the newest checkpoint may be, in seconds (600; 0: any age)

Copy the witness first, then dump: a witness that is newer than the dump makes the database look as if it had lost what came between.
Exit: 0 nothing found, 1 findings, 2 wrong usage or unreadable input.
`;

class UsageError extends Error {}

function keysOf(given: readonly string[]): readonly VerifierKey[] {
  const texts = given.flatMap((one) =>
    existsSync(one)
      ? readFileSync(one, 'utf8')
          .split('\n')
          .map((line) => line.trim())
          .filter((line) => line !== '')
      : [one],
  );
  const keys = texts.map(parseVerifierKey);
  if (keys[0] === undefined) throw new UsageError('--key is missing: without it nothing can be believed');
  if (keys.some(({ name }) => name !== keys[0]?.name))
    throw new UsageError('the keys are of different installations: verify one record at a time');
  return keys;
}

function parseCommand(args: readonly string[]) {
  const options = {
    key: { type: 'string', multiple: true },
    witness: { type: 'string', multiple: true },
    archive: { type: 'string' },
    'max-age': { type: 'string' },
    json: { type: 'boolean' },
    help: { type: 'boolean' },
  } as const;
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (cause) {
    throw new UsageError(messageOf(cause));
  }
}

/** Does what the arguments say. `isGood` decides on the exit code, `text` is for standard output. */
export async function run(
  args: readonly string[],
  stdin: Readable,
  now: number,
): Promise<{ readonly isGood: boolean; readonly text: string }> {
  const { values, positionals } = parseCommand(args);
  if (values.help === true) return { isGood: true, text: usage };
  const [command, path, ...more] = positionals;
  if ((command !== 'dump' && command !== 'slice') || path === undefined || more.length > 0)
    throw new UsageError('say dump or slice, then one file (or - for standard input)');
  const keys = keysOf(values.key ?? []);
  const witnesses = values.witness ?? [];
  const input = path === '-' ? stdin : path;
  if (command === 'slice') {
    if (values.archive !== undefined || values['max-age'] !== undefined) throw new UsageError('--archive and --max-age belong to dump');
    const report = await verifySlice({ keys, witnesses, slice: input });
    return { isGood: report.ok, text: values.json === true ? `${JSON.stringify(report)}\n` : sliceText(report, witnesses.length > 0) };
  }
  const maxAge = values['max-age'] ?? '600';
  if (!/^\d{1,9}$/.test(maxAge)) throw new UsageError('--max-age takes seconds');
  if (witnesses.length === 0)
    throw new UsageError('--witness is missing: a record proves nothing against the owner of its database without it');
  const report = await verifyRecord({ keys, witnesses, archive: values.archive, maxAgeSeconds: Number(maxAge), dump: input, now });
  return { isGood: report.ok, text: values.json === true ? `${JSON.stringify(report)}\n` : recordText(report, Number(maxAge)) };
}

function findingsText({ found, firstRow, findings }: Pick<Report, 'found' | 'firstRow' | 'findings'>): string {
  const first = firstRow === null ? [] : [`First bad row: ${plain(firstRow.text)}`];
  const more = found > findings.length ? [`and ${found - findings.length} more`] : [];
  return [...first, ...findings.map(({ what, text }, i) => `${i + 1}. ${what}: ${plain(text)}`), ...more, ''].join('\n');
}

const counted = (findings: number): string => `${findings} finding${findings === 1 ? '' : 's'}`;

/** What stands in a dump may be anybody's text: it must not steer a terminal. */
const plain = (text: string): string => text.replace(/\p{C}/gu, '?');

export function recordText(report: Report, maxAgeSeconds: number): string {
  const { newest, unwitnessed } = report;
  const lines = [
    `${report.entries} entries and ${report.archived} known by block, ${report.trees} trees, ${report.heads} heads, ${report.checkpoints} checkpoints`,
    newest === null
      ? 'newest checkpoint: none'
      : `newest checkpoint: size ${newest.size}, era ${newest.era}, ${newest.time}${maxAgeSeconds === 0 ? ' (its age was not checked: --max-age 0)' : ''}`,
  ];
  for (const loss of report.lost)
    lines.push(
      `LOST: era ${loss.era} had sealed up to size ${loss.toSize}, era ${loss.nextEra} went on from size ${loss.fromSize}: ${report.abandoned} checkpoints were abandoned. Entries ${loss.fromEntry} to ${loss.toEntry}, witnessed ${instant(loss.since)} to ${instant(loss.until)}, are lost; their numbers were given again.`,
    );
  if (report.archived > 0)
    lines.push(`${report.archived} entries are in archives and were checked by block only: give --archive to see them.`);
  if (unwitnessed.heads > 0)
    lines.push(
      `${unwitnessed.heads} heads (${unwitnessed.entries} entries) are newer than what was witnessed and proved: nothing can be said of them yet.`,
    );
  if (report.ok) return `${[...lines, 'GOOD: every witnessed entry is what was sealed, and none is missing.', ''].join('\n')}`;
  return `${[...lines, `NOT GOOD: ${counted(report.found)}`, ''].join('\n')}${findingsText(report)}`;
}

export function sliceText(report: SliceReport, isWitnessed: boolean): string {
  const { newest, tree } = report;
  const checkpoint = newest === null ? 'none' : `size ${newest.size}, era ${newest.era}, ${newest.time}`;
  const head = `slice of tree ${tree ?? '?'}: ${report.entries} entries; checkpoint: ${checkpoint}${isWitnessed ? '' : ' (not compared with a witness)'}\n`;
  if (report.ok) return `${head}GOOD: each entry is what was sealed. Whether others were left out, a slice does not say.\n`;
  return `${head}NOT GOOD: ${counted(report.found)}\n${findingsText(report)}`;
}

if (import.meta.main)
  try {
    const { isGood, text } = await run(process.argv.slice(2), process.stdin, Date.now());
    process.stdout.write(text);
    process.exitCode = isGood ? 0 : 1;
  } catch (cause) {
    process.stderr.write(`nothing was verified: ${messageOf(cause)}\n${cause instanceof UsageError ? usage : ''}`);
    process.exitCode = 2;
  }
