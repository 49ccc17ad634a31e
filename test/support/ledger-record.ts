// Owns: a record made for tests: entries of several trees, heads, signed checkpoints; the same text as the database's dump. Trees are computed as RFC 6962
// defines them, leaves by the code of the gateway, so that the verifier is held against both.
// Must never: use anything of the verifier.
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { checkpointBody, noteText } from '../../server/domain/ledger/checkpoint.ts';
import { headLines, headText, leafData, type PlacedEntry } from '../../server/domain/ledger/leaf.ts';

export const sha256 = (...parts: readonly Uint8Array[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};
export const leafHashOf = (data: Uint8Array): Buffer => sha256(Buffer.of(0), data);
const nodeHashOf = (left: Uint8Array, right: Uint8Array): Buffer => sha256(Buffer.of(1), left, right);
const splitOf = (size: number): number => 2 ** Math.floor(Math.log2(size - 1));

/** RFC 6962, section 2.1, word for word. */
export function rootOf(leaves: readonly Buffer[]): Buffer {
  const [first] = leaves;
  if (first === undefined) return sha256();
  if (leaves.length === 1) return first;
  const k = splitOf(leaves.length);
  return nodeHashOf(rootOf(leaves.slice(0, k)), rootOf(leaves.slice(k)));
}

/** RFC 6962, section 2.1.1. */
export function pathOf(index: number, leaves: readonly Buffer[]): readonly Buffer[] {
  if (leaves.length <= 1) return [];
  const k = splitOf(leaves.length);
  if (index < k) return [...pathOf(index, leaves.slice(0, k)), rootOf(leaves.slice(k))];
  return [...pathOf(index - k, leaves.slice(k)), rootOf(leaves.slice(0, k))];
}

export type Signer = { readonly name: string; readonly verifierKey: string; readonly sign: (body: string) => string };

export function makeSigner(name = 'cofferdam/11111111-2222-4333-8444-555555555555'): Signer {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const raw = Buffer.concat([Buffer.of(1), publicKey.export({ type: 'spki', format: 'der' }).subarray(-32)]);
  const id = sha256(Buffer.from(`${name}\n`), raw).subarray(0, 4);
  return {
    name,
    verifierKey: `${name}+${id.toString('hex')}+${raw.toString('base64')}`,
    sign: (body) => noteText(body, name, Buffer.concat([id, signWith(body, privateKey)]).toString('base64')),
  };
}

const signWith = (body: string, key: KeyObject): Buffer => sign(null, Buffer.from(body), key);

/** An entry as the database holds it; whoever tampers writes into it. */
export type Row = { -readonly [K in keyof PlacedEntry]: PlacedEntry[K] } & { salt: Buffer; leaf: Buffer };
export type HeadRow = { position: number; at: number; number: number; lines: string };
export type MadeRecord = { rows: Row[]; heads: HeadRow[]; notes: string[]; blocks: { tree: string; index: number; hash: Buffer }[] };

export const common = '00000000-0000-0000-0000-000000000000';
export const acme = 'aaaaaaaa-0000-4000-8000-000000000001';
export const bank = 'bbbbbbbb-0000-4000-8000-000000000002';
export const epochMs = Date.UTC(2026, 10, 24, 18, 0, 0);

export const leafOfRow = (row: Row): Buffer => leafHashOf(leafData((data) => sha256(data), row, row.salt));

/** Texts that a careless writer of JSON gets wrong. */
const oddTexts = ['plain', 'quo"te \\ back', 'tab\t nl\n cr\r \b\f', '\u0000\u001f\u007f', 'ä ü € 𝄞 \u2028\u2029', '</script> /', ''];

export function makeRow(tree: string, position: number, number: number): Row {
  const odd = oddTexts[number % oddTexts.length] ?? '';
  const maybe = <T>(value: T, every: number): T | null => (number % every === 0 ? null : value);
  const id = (kind: string): string => `${kind}0000000-0000-4000-8000-${String(number).padStart(12, '0')}`;
  const row: Row = {
    tree,
    position,
    number,
    at: epochMs * 1000 + number * 1001,
    kind: number % 2 === 0 ? 'extent.granted' : 'session.opened',
    observer: ['warden', 'edge', 'admin'][number % 3] ?? 'warden',
    customer: tree === common ? null : tree,
    account: maybe(id('c'), 3),
    session: maybe(id('d'), 4),
    node: maybe('partner-1', 5),
    plane: maybe('partner', 5),
    handle: maybe(id('e'), 6),
    version: maybe(id('f'), 7),
    extent: maybe(number % 64, 8),
    bytes: maybe(number * 4096, 9),
    publicText: JSON.stringify({ path: odd }),
    credential: maybe(`SHA256:${number}`, 3),
    alsoCredential: maybe(`password:${number}`, 2),
    source: maybe('192.0.2.7', 5),
    sourcePort: maybe(40_000 + (number % 1000), 5),
    client: maybe(odd, 4),
    operator: maybe('olga', 2),
    sensitiveText: JSON.stringify({ why: odd }),
    salt: sha256(Buffer.from(`salt ${number}`)),
    leaf: Buffer.alloc(32),
  };
  row.leaf = leafOfRow(row);
  return row;
}

export const inTree = (record: MadeRecord, tree: string): readonly Row[] =>
  record.rows.filter((row) => row.tree === tree).sort((a, b) => a.position - b.position);

/** Seals one round: `grown` says how many entries each tree gets. */
export function seal(record: MadeRecord, grown: Readonly<Record<string, number>>): void {
  let number = record.heads.at(-1)?.number ?? 0;
  for (const [tree, count] of Object.entries(grown))
    for (let i = 0; i < count; i += 1) {
      number += 1;
      record.rows.push(makeRow(tree, inTree(record, tree).length, number));
    }
  const lines = headLines(
    Object.keys(grown).map((tree) => {
      const leaves = inTree(record, tree).map(({ leaf }) => leaf);
      return { tree, size: leaves.length, root: rootOf(leaves).toString('base64') };
    }),
  );
  const position = record.heads.length;
  record.heads.push({ position, at: epochMs * 1000 + position * 1_000_000, number, lines });
}

export const logLeaf = ({ position, at, number, lines }: HeadRow): Buffer =>
  leafHashOf(Buffer.from(headText(position, at, lines, String(number))));

/** Signs the heads log as it is at `size`; `seconds` after 18:00. */
export function noteFor(record: MadeRecord, signer: Signer, size: number, era = 1, seconds = size): string {
  const root = rootOf(record.heads.slice(0, size).map(logLeaf)).toString('base64');
  const time = new Date(epochMs + seconds * 1000).toISOString();
  return signer.sign(checkpointBody({ origin: signer.name, size, root, era, time }));
}

/** Three trees, 30 heads, 780 entries (the largest tree holds 2 blocks and more), a checkpoint for every head. */
export function makeRecord(signer: Signer): MadeRecord {
  const record: MadeRecord = { rows: [], heads: [], notes: [], blocks: [] };
  for (let i = 0; i < 30; i += 1) {
    const many = i % 5 === 4 ? 100 : 2;
    seal(
      record,
      i % 3 === 0
        ? { [common]: 1, [acme]: many }
        : i % 3 === 1
          ? { [acme]: many, [bank]: 3 }
          : { [acme]: i % 15 === 14 ? 130 : 1, [bank]: 1, [common]: 2 },
    );
    record.notes.push(noteFor(record, signer, i + 1));
  }
  for (const tree of [common, acme, bank]) {
    const leaves = inTree(record, tree).map(({ leaf }) => leaf);
    for (let index = 0; (index + 1) * 256 <= leaves.length; index += 1)
      record.blocks.push({ tree, index, hash: rootOf(leaves.slice(index * 256, index * 256 + 256)) });
  }
  return record;
}

export function copyRecord(record: MadeRecord): MadeRecord {
  return {
    rows: record.rows.map((row) => ({ ...row })),
    heads: record.heads.map((head) => ({ ...head })),
    notes: [...record.notes],
    blocks: [...record.blocks],
  };
}

/** What the owner of the database can do without the key: everything computed anew from the rows, sizes and numbers of the heads kept. */
export function rewrite(record: MadeRecord): void {
  for (const row of record.rows) row.leaf = leafOfRow(row);
  for (const head of record.heads)
    head.lines = head.lines.replace(/^(\S+) (\d+) \S+$/gm, (_, tree: string, size: string) => {
      const leaves = inTree(record, tree)
        .slice(0, Number(size))
        .map(({ leaf }) => leaf);
      return `${tree} ${size} ${rootOf(leaves).toString('base64')}`;
    });
}

export const entryLine = (r: Row): string =>
  JSON.stringify({
    entry: [
      ...[r.tree, r.position, r.number, r.at, r.kind, r.observer, r.customer, r.account, r.session, r.node, r.plane, r.handle, r.version],
      ...[r.extent, r.bytes, r.publicText, r.credential, r.alsoCredential, r.source, r.sourcePort, r.client, r.operator, r.sensitiveText],
      ...[r.salt.toString('hex'), r.leaf.toString('hex')],
    ],
  });

const byPlace = (a: Row, b: Row): number => (a.tree < b.tree ? -1 : a.tree > b.tree ? 1 : a.position - b.position);

/** Lines as the database prints them. */
export function dumpLines(record: MadeRecord): readonly string[] {
  return [
    ...record.heads.map(({ position, at, number, lines }) => JSON.stringify({ head: [position, at, number, lines] })),
    ...record.blocks.map(({ tree, index, hash }) => JSON.stringify({ block: [tree, index, hash.toString('hex')] })),
    ...[...record.rows].sort(byPlace).map(entryLine),
  ];
}

export const fileText = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('');
export const witnessText = (notes: readonly string[]): string => fileText(notes.map((note) => JSON.stringify(note)));
