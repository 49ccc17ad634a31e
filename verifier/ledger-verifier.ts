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

  get firstRow(): Finding | undefined {
    return this.#firstRow;
  }

  /** Returns what to call to say it better. */
  add(finding: Finding): (better: Finding) => void {
    this.count += 1;
    let current = finding;
    if (this.list.length < findingsMax) this.list.push(finding);
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
  /^(([^\s+]+)\n(0|[1-9]\d*)\n(\S+)\nera (0|[1-9]\d*)\ntime (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)\nentries (0|[1-9]\d*)\n)\n((?:\u2014 [^\s+]+ [A-Za-z0-9+/]+={0,2}\n){1,16})$/;

/** Throws an Error for whatever is not exactly a checkpoint; says nothing about its signature. */
export function parseNote(text: string): Note {
  const [, body, origin, size, root64, era, time, entries, lines] = noteShape.exec(text) ?? [];
  const root = base64(root64, 32);
  const instant = Date.parse(time ?? '');
  const numbers = [size, era, entries].map(Number);
  if (body === undefined || origin === undefined || lines === undefined || root === undefined || !numbers.every(isCount))
    throw new Error('this is not a checkpoint');
  if (Number.isNaN(instant) || new Date(instant).toISOString() !== time) throw new Error('the time of the checkpoint is none');
  const signatures = lines.trimEnd().split('\n').map((line) => {
    const [, name = '', encoded] = line.split(' ');
    const bytes = Buffer.from(encoded ?? '', 'base64');
    if (bytes.toString('base64') !== encoded || bytes.length < 5) throw new Error('a signature line is malformed');
    return { name, id: bytes.toString('hex', 0, 4), signature: bytes.subarray(4) };
  });
  return { origin, size: Number(size), root, era: Number(era), time: instant, entries: Number(entries), body, signatures };
}

/** Why a note is not to be believed; undefined: a given key has signed it. Lines of unknown keys do not count. */
export function verifyNote(note: Note, keys: readonly VerifierKey[]): string | undefined {
  if (!keys.some(({ name }) => name === note.origin)) return `it is of ${note.origin}, not of ${keys[0]?.name ?? 'any given key'}`;
  let isSigned = false;
  for (const { name, id, signature } of note.signatures) {
    const known = keys.find((key) => key.name === name && key.id === id && name === note.origin);
    if (known === undefined) continue;
    if (signature.length !== 64 || !verify(null, Buffer.from(note.body), known.key, signature)) return `the signature of key ${id} is false`;
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
      this.findings.add({ what: 'note malformed', text: `${where}: ${messageOf(cause)}` });
      return before;
    }
    const why = verifyNote(note, this.#keys);
    if (why !== undefined) {
      this.findings.add({ what: 'note forged', text: `${where}: the checkpoint of size ${note.size} is not to be believed: ${why}` });
      return before;
    }
    this.checkpoints += 1;
    if (before !== undefined && note.era < before.era)
      this.findings.add({ what: 'era', text: `${where}: era ${note.era} comes after era ${before.era}`, from: before.era, to: note.era });
    else if (before !== undefined && note.era === before.era && note.size < before.size)
      this.findings.add({
        what: 'shrunk',
        text: `${where}: inside era ${note.era} the size went from ${before.size} back to ${note.size}`,
        from: before.size,
        to: note.size,
      });
    this.#keep(note);
    return note;
  }

  #keep(note: Note): void {
    let rows = this.#eras.get(note.era);
    if (rows === undefined) this.#eras.set(note.era, (rows = new Rows(markWidth)));
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
        this.findings.add({
          what: 'two truths',
          text: `era ${era} has two different checkpoints of size ${mark.size}, both rightly signed: ${instant(before.time)} and ${instant(mark.time)}`,
          from: mark.size,
          to: mark.size,
        });
      before = mark;
    }
  }

  #loss(era: number, nextEra: number, limit: number): void {
    const lost = [...(this.#orders.get(era) ?? [])].map((index) => this.#mark(era, index)).filter(({ size }) => size > limit);
    const last = lost.at(-1);
    if (last === undefined) return;
    const first = this.#mark(nextEra, this.#orders.get(nextEra)?.[0] ?? 0);
    this.abandoned += new Set(lost.map(({ size }) => size)).size;
    this.losses.unshift({
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
