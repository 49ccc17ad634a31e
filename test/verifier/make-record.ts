// Owns: records made for the tests of the verifier, written from docs/reference/ledger-format.md alone: entries, heads
// with their maps, checkpoints, archives and slices, each computed as the page defines it, however slowly.
// Must never: use anything of the verifier or of the gateway: both are compared with it.
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { gzipSync } from 'node:zlib';

export const sha256 = (...parts: readonly Uint8Array[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};
export const leafHashOf = (data: Uint8Array): Buffer => sha256(Buffer.of(0), data);
const nodeHashOf = (left: Uint8Array, right: Uint8Array): Buffer => sha256(Buffer.of(1), left, right);
const splitOf = (size: number): number => 2 ** Math.floor(Math.log2(size - 1));

/** Returns the Merkle Tree Hash of leaf hashes, computed word for word as RFC 6962 section 2.1 defines it. */
export function rootOf(leaves: readonly Buffer[]): Buffer {
  const [first] = leaves;
  if (first === undefined) return sha256();
  if (leaves.length === 1) return first;
  const k = splitOf(leaves.length);
  return nodeHashOf(rootOf(leaves.slice(0, k)), rootOf(leaves.slice(k)));
}

/** Returns the Merkle audit path of RFC 6962 section 2.1.1. */
export function pathOf(index: number, leaves: readonly Buffer[]): readonly Buffer[] {
  if (leaves.length <= 1) return [];
  const k = splitOf(leaves.length);
  if (index < k) return [...pathOf(index, leaves.slice(0, k)), rootOf(leaves.slice(k))];
  return [...pathOf(index - k, leaves.slice(k)), rootOf(leaves.slice(0, k))];
}

/** Returns the roots of the whole subtrees of which a tree of these leaves consists, the largest first. */
function frontierOf(leaves: readonly Buffer[]): readonly Buffer[] {
  if (leaves.length === 0) return [];
  const k = 2 ** Math.floor(Math.log2(leaves.length));
  return [rootOf(leaves.slice(0, k)), ...frontierOf(leaves.slice(k))];
}

// ---- The map of all trees

/** A tree as it is after a head. */
export type TreeState = { readonly tree: string; readonly size: number; readonly root: Buffer };
const ascii = (text: string): Buffer => Buffer.from(text, 'ascii');
const idOf = (tree: string): Buffer => Buffer.from(tree.replaceAll('-', ''), 'hex');
const uint64 = (value: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
};
const slotOf = (secret: Buffer, tree: string): number =>
  sha256(ascii('cofferdam ledger slot/2'), secret, idOf(tree)).readUInt32BE(0);
const blindOf = (secret: Buffer, tree: string): Buffer => sha256(ascii('cofferdam ledger blind/2'), secret, idOf(tree));
const mapLeafOf = (secret: Buffer, { tree, size, root }: TreeState): Buffer =>
  sha256(
    Buffer.of(0),
    ascii(`cofferdam ledger tree/2\n${tree} ${size} ${root.toString('base64')}\n`),
    blindOf(secret, tree),
  );

type Placed = TreeState & { readonly slot: number };

/** Returns node(level, prefix) as docs/reference/ledger-format.md defines it. */
function nodeOf(secret: Buffer, level: number, prefix: number, trees: readonly Placed[]): Buffer {
  const [first] = trees;
  if (first === undefined) {
    const place = Buffer.alloc(5);
    place.writeUInt8(level);
    place.writeUInt32BE(prefix, 1);
    return sha256(ascii('cofferdam ledger empty/2'), secret, place);
  }
  if (level === 32) return mapLeafOf(secret, first);
  const isRight = ({ slot }: Placed): boolean => Math.floor(slot / 2 ** (31 - level)) % 2 === 1;
  const left = nodeOf(
    secret,
    level + 1,
    prefix * 2,
    trees.filter((one) => !isRight(one)),
  );
  return nodeHashOf(left, nodeOf(secret, level + 1, prefix * 2 + 1, trees.filter(isRight)));
}

const placed = (secret: Buffer, trees: readonly TreeState[]): readonly Placed[] =>
  trees.map((one) => ({ ...one, slot: slotOf(secret, one.tree) }));
export const mapRootOf = (secret: Buffer, trees: readonly TreeState[]): Buffer =>
  nodeOf(secret, 0, 0, placed(secret, trees));

/** Returns the siblings on the way from the slot of a tree to the root of the map: from level 32 up to level 1. */
function mapPathOf(secret: Buffer, trees: readonly TreeState[], tree: string): readonly Buffer[] {
  const all = placed(secret, trees);
  const slot = slotOf(secret, tree);
  return Array.from({ length: 32 }, (_, i) => {
    const level = 32 - i;
    const own = Math.floor(slot / 2 ** (32 - level));
    const prefix = own % 2 === 1 ? own - 1 : own + 1;
    return nodeOf(
      secret,
      level,
      prefix,
      all.filter((one) => Math.floor(one.slot / 2 ** (32 - level)) === prefix),
    );
  });
}

// ---- Keys and notes

export type Signer = { readonly name: string; readonly verifierKey: string; readonly sign: (body: string) => string };

export function makeSigner(name = 'cofferdam/11111111-2222-4333-8444-555555555555'): Signer {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const raw = Buffer.concat([Buffer.of(1), publicKey.export({ type: 'spki', format: 'der' }).subarray(-32)]);
  const id = sha256(Buffer.from(`${name}\n`), raw).subarray(0, 4);
  const signed = (body: string, key: KeyObject): string =>
    Buffer.concat([id, sign(null, Buffer.from(body), key)]).toString('base64');
  return {
    name,
    verifierKey: `${name}+${id.toString('hex')}+${raw.toString('base64')}`,
    sign: (body) => `${body}\n\u2014 ${name} ${signed(body, privateKey)}\n`,
  };
}

/** The time from which made records count: milliseconds since 1970. */
export const startMs = Date.UTC(2026, 10, 24, 18, 0, 0);

export const bodyOf = (name: string, size: number, root: Buffer, era: number, timeMs: number): string =>
  `${name}\n${size}\n${root.toString('base64')}\nera ${era}\ntime ${new Date(timeMs).toISOString()}\n`;

// ---- Entries

export type Row = {
  tree: string;
  position: number;
  number: number;
  at: number;
  kind: string;
  observer: string;
  customer: string | null;
  account: string | null;
  session: string | null;
  node: string | null;
  plane: string | null;
  handle: string | null;
  version: string | null;
  extent: number | null;
  bytes: number | null;
  publicText: string;
  credential: string | null;
  alsoCredential: string | null;
  source: string | null;
  sourcePort: number | null;
  client: string | null;
  operator: string | null;
  sensitiveText: string;
  salt: Buffer;
  leaf: Buffer;
};

export const common = '00000000-0000-0000-0000-000000000000';
export const acme = 'aaaaaaaa-0000-4000-8000-000000000001';
export const bank = 'bbbbbbbb-0000-4000-8000-000000000002';

const shownOf = (r: Row): readonly (string | number | null)[] => [
  ...[
    r.tree,
    r.position,
    r.at,
    r.kind,
    r.observer,
    r.customer,
    r.account,
    r.session,
    r.node,
    r.plane,
    r.handle,
    r.version,
  ],
  ...[r.extent, r.bytes, r.publicText],
];
const hiddenOf = (r: Row): readonly (string | number | null)[] => [
  ...[r.number, r.credential, r.alsoCredential, r.source, r.sourcePort, r.client, r.operator, r.sensitiveText],
];
const digestOf = (salt: Buffer, version: string, fields: readonly (string | number | null)[]): Buffer =>
  sha256(salt, Buffer.from(JSON.stringify([version, ...fields])));
const sensitiveOf = (row: Row): Buffer =>
  digestOf(row.salt.subarray(16), 'cofferdam ledger sensitive/2', hiddenOf(row));
export const leafOfRow = (row: Row): Buffer =>
  leafHashOf(
    Buffer.concat([digestOf(row.salt.subarray(0, 16), 'cofferdam ledger public/2', shownOf(row)), sensitiveOf(row)]),
  );

/** Texts that a careless writer of JSON gets wrong. */
const oddTexts = [
  'plain',
  'quo"te \\ back',
  'tab\t nl\n cr\r \b\f',
  '\u0000\u001f\u007f',
  'ä ü € 𝄞 \u2028\u2029',
  '</script> /',
  '',
];

export function makeRow(tree: string, position: number, number: number): Row {
  const odd = oddTexts[number % oddTexts.length] ?? '';
  const maybe = <T>(value: T, every: number): T | null => (number % every === 0 ? null : value);
  const id = (kind: string): string => `${kind}0000000-0000-4000-8000-${String(number).padStart(12, '0')}`;
  const row: Row = {
    tree,
    position,
    number,
    at: startMs * 1000 + number * 1001,
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

// ---- The record

export type Head = { position: number; at: number; number: number; secret: Buffer; lines: string; mapRoot: Buffer };
type Block = { tree: string; index: number; hash: Buffer };
export type Archive = { readonly file: string; readonly bytes: Buffer };
export type MadeRecord = {
  rows: Row[];
  heads: Head[];
  notes: string[];
  blocks: Block[];
  leaves: Block[];
  archives: Archive[];
  /**
   * The time from which the next heads are counted, in milliseconds since 1970: the head at position n is sealed n
   * seconds after it.
   */
  clockMs: number;
};

export const emptyRecord = (): MadeRecord => ({
  rows: [],
  heads: [],
  notes: [],
  blocks: [],
  leaves: [],
  archives: [],
  clockMs: startMs,
});

export const inTree = (record: MadeRecord, tree: string): readonly Row[] =>
  record.rows.filter((row) => row.tree === tree).sort((a, b) => a.position - b.position);
const leavesOf = (record: MadeRecord, tree: string): readonly Buffer[] => inTree(record, tree).map(({ leaf }) => leaf);
export const treesOf = (record: MadeRecord): readonly string[] =>
  [...new Set(record.rows.map(({ tree }) => tree))].sort();

export const lineOf = ({ tree, size, root }: TreeState): string => `${tree} ${size} ${root.toString('base64')}\n`;

/** Returns every tree as it is after the head at this position, by the lines of the heads up to it. */
export function treeStatesAt(record: MadeRecord, position: number): readonly TreeState[] {
  const trees = new Map<string, TreeState>();
  for (const { lines } of record.heads.slice(0, position + 1))
    for (const [, tree = '', size, root = ''] of lines.matchAll(/^(\S+) (\d+) (\S+)$/gm))
      trees.set(tree, { tree, size: Number(size), root: Buffer.from(root, 'base64') });
  return [...trees.values()];
}

export const headTextOf = ({ position, at, number, secret, mapRoot }: Head): string => {
  const commitment = sha256(ascii('cofferdam ledger number/2'), secret, uint64(position), uint64(number));
  return `cofferdam ledger head/2\n${position}\n${at}\n${mapRoot.toString('base64')}\n${commitment.toString('base64')}\n`;
};
export const logLeaf = (head: Head): Buffer => leafHashOf(Buffer.from(headTextOf(head)));

export type Sealing = {
  /** Whether the head begins an epoch. The first head of a record always does. */
  readonly epoch?: boolean;
  /** The secret of the epoch that begins; one is made when it is left out. */
  readonly secret?: Buffer;
  /** Changes rows before they are sealed, like a faulty writer. */
  readonly edit?: (row: Row, index: number) => void;
  /** Changes the lines of the head. */
  readonly lines?: (lines: string) => string;
};

/** Seals one round: `grown` says how many entries each tree gets. */
export function seal(
  record: MadeRecord,
  grown: Readonly<Record<string, number>>,
  { epoch = false, secret: given, edit, lines }: Sealing = {},
): void {
  let number = record.heads.at(-1)?.number ?? 0;
  let index = 0;
  for (const [tree, count] of Object.entries(grown)) {
    const before = inTree(record, tree).length;
    for (let i = 0; i < count; i += 1) {
      number += 1;
      const row = makeRow(tree, before + i, number);
      // Each entry happened in the second before its head.
      row.at = record.clockMs * 1000 + (record.heads.length - 1) * 1_000_000 + 1 + (index % 900_000);
      edit?.(row, index);
      row.leaf = leafOfRow(row);
      index += 1;
      record.rows.push(row);
    }
  }
  const isFirst = epoch || record.heads.length === 0;
  const named = (isFirst ? treesOf(record) : Object.keys(grown).filter((tree) => (grown[tree] ?? 0) > 0)).toSorted();
  const text = named
    .map((tree) => lineOf({ tree, size: leavesOf(record, tree).length, root: rootOf(leavesOf(record, tree)) }))
    .join('');
  const position = record.heads.length;
  const drawn = sha256(Buffer.from(`secret ${position} ${record.heads.at(-1)?.secret.toString('hex')}`));
  const secret = isFirst ? (given ?? drawn) : record.heads.at(-1)?.secret;
  const head: Head = {
    position,
    at: record.clockMs * 1000 + position * 1_000_000,
    number,
    secret: secret ?? Buffer.alloc(32),
    lines: lines === undefined ? text : lines(text),
    mapRoot: Buffer.alloc(32),
  };
  record.heads.push(head);
  head.mapRoot = mapRootOf(head.secret, treeStatesAt(record, position));
}

/** Returns a checkpoint of the first `size` heads, signed `seconds` seconds after `startMs`. */
export function noteFor(record: MadeRecord, signer: Signer, size: number, era = 1, seconds = size): string {
  const root = rootOf(record.heads.slice(0, size).map(logLeaf));
  return signer.sign(bodyOf(signer.name, size, root, era, startMs + seconds * 1000));
}

/** Adds the blocks that the database keeps: one for each 256 entries of a tree that are complete. */
export function addBlocks(record: MadeRecord): void {
  record.blocks = treesOf(record).flatMap((tree) => {
    const leaves = leavesOf(record, tree);
    return Array.from({ length: Math.floor(leaves.length / 256) }, (_, index) => ({
      tree,
      index,
      hash: rootOf(leaves.slice(index * 256, index * 256 + 256)),
    }));
  });
}

/** A time, in milliseconds since 1970, at which entries of August and of September can be sealed. */
export const septemberMs = Date.UTC(2026, 8, 10);

/**
 * Returns a record with three trees, 30 heads, 770 entries (the largest tree has more than 2 blocks), two epochs and a
 * checkpoint for every head. The first `old` heads were sealed in September, the others in November.
 */
export function makeRecord(signer: Signer, old = 0): MadeRecord {
  const record = emptyRecord();
  for (let i = 0; i < 30; i += 1) {
    record.clockMs = i < old ? septemberMs : startMs;
    const many = i % 5 === 4 ? 100 : 2;
    seal(
      record,
      i % 3 === 0
        ? { [common]: 1, [acme]: many }
        : i % 3 === 1
          ? { [acme]: many, [bank]: 3 }
          : { [acme]: i % 15 === 14 ? 130 : 1, [bank]: 1, [common]: 2 },
      { epoch: i === 16 },
    );
    record.notes.push(noteFor(record, signer, i + 1));
  }
  addBlocks(record);
  record.clockMs = startMs;
  return record;
}

export function copyRecord(record: MadeRecord): MadeRecord {
  return {
    rows: record.rows.map((row) => ({ ...row })),
    heads: record.heads.map((head) => ({ ...head })),
    notes: [...record.notes],
    blocks: [...record.blocks],
    leaves: [...record.leaves],
    archives: [...record.archives],
    clockMs: record.clockMs,
  };
}

/**
 * Does what the owner of the database can do without the signing key: computes all hashes anew from the rows. The sizes
 * and numbers that the heads state stay as they are.
 */
export function rewrite(record: MadeRecord): void {
  for (const row of record.rows) row.leaf = leafOfRow(row);
  for (const head of record.heads) {
    head.lines = head.lines.replace(/^(\S+) (\d+) \S+$/gm, (_, tree: string, size: string) => {
      const root = rootOf(leavesOf(record, tree).slice(0, Number(size)));
      return `${tree} ${size} ${root.toString('base64')}`;
    });
    head.mapRoot = mapRootOf(head.secret, treeStatesAt(record, head.position));
  }
}

// ---- Archives

const byPlace = (a: Row, b: Row): number => (a.tree < b.tree ? -1 : a.tree > b.tree ? 1 : a.position - b.position);

export const archiveOf = (file: string, rows: readonly Row[]): Archive => ({
  file,
  bytes: gzipSync(fileText([...rows].sort(byPlace).map(entryLine))),
});

export type Month = { readonly month: string; readonly rows: readonly Row[] };

/**
 * Writes an archive of these rows and seals its statement in every tree of which it has entries. The rows stay in the
 * record; `drop` removes them. `edit` changes what is stated, like a faulty writer.
 */
export function archive(
  record: MadeRecord,
  { month, rows }: Month,
  edit?: (shown: Record<string, unknown>, hidden: Record<string, unknown>) => void,
): void {
  const made = archiveOf(`ledger-${month}.jsonl.gz`, rows);
  record.archives.push(made);
  const trees = [...new Set(rows.map(({ tree }) => tree))].sort();
  seal(record, Object.fromEntries(trees.map((tree) => [tree, 1])), {
    edit: (row) => {
      const positions = rows.filter(({ tree }) => tree === row.tree).map(({ position }) => position);
      const shown: Record<string, unknown> = {
        month,
        first: Math.min(...positions),
        last: Math.max(...positions),
        entries: positions.length,
      };
      const hidden: Record<string, unknown> = {
        file: made.file,
        sha256: sha256(made.bytes).toString('hex'),
        total: rows.length,
      };
      edit?.(shown, hidden);
      row.kind = 'ledger.archived';
      [row.publicText, row.sensitiveText] = [JSON.stringify(shown), JSON.stringify(hidden)];
    },
  });
}

/** Seals that the file of a month is deleted because its retention has ended. */
export function retire(record: MadeRecord, month: string): void {
  seal(
    record,
    { [common]: 1 },
    {
      edit: (row) => {
        row.kind = 'ledger.archive-deleted';
        row.sensitiveText = JSON.stringify({ month, file: `ledger-${month}.jsonl.gz` });
      },
    },
  );
}

/**
 * Removes rows from the database as an archive does. The leaf hash of a row stays, unless all 256 rows of its block go
 * at once; then the hash of the block is enough. `addBlocks` must have been called before.
 */
export function drop(record: MadeRecord, rows: readonly Row[]): void {
  const keyOf = ({ tree, position }: Row): string => `${tree} ${position}`;
  const gone = new Set(rows.map(keyOf));
  const sizes = new Map(treesOf(record).map((tree) => [tree, inTree(record, tree).length]));
  const goneIn = (tree: string, index: number): number =>
    rows.filter((row) => row.tree === tree && Math.floor(row.position / 256) === index).length;
  for (const row of [...rows].sort(byPlace)) {
    const index = Math.floor(row.position / 256);
    const isWhole = (index + 1) * 256 <= (sizes.get(row.tree) ?? 0) && goneIn(row.tree, index) === 256;
    if (!isWhole) record.leaves.push({ tree: row.tree, index: row.position, hash: row.leaf });
  }
  record.rows = record.rows.filter((row) => !gone.has(keyOf(row)));
}

// ---- Lines

export const entryLine = (r: Row): string => {
  const [tree, position, ...shown] = shownOf(r);
  const [number, ...hidden] = hiddenOf(r);
  return JSON.stringify({
    entry: [tree, position, number, ...shown, ...hidden, r.salt.toString('hex'), r.leaf.toString('hex')],
  });
};
export const headLine = ({ position, at, number, secret, lines }: Head): string =>
  JSON.stringify({ head: [position, at, number, secret.toString('base64'), lines] });

/** Returns the record as the lines of a dump, in the order in which the database prints them. */
export function dumpLines(record: MadeRecord): readonly string[] {
  return [
    ...record.heads.map(headLine),
    ...record.blocks.map(({ tree, index, hash }) => JSON.stringify({ block: [tree, index, hash.toString('hex')] })),
    ...record.leaves
      .toSorted((a, b) => (a.tree < b.tree ? -1 : a.tree > b.tree ? 1 : a.index - b.index))
      .map(({ tree, index, hash }) => JSON.stringify({ leaf: [tree, index, hash.toString('hex')] })),
    ...[...record.rows].sort(byPlace).map(entryLine),
  ];
}

export const fileText = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('');
export const witnessText = (notes: readonly string[]): string => fileText(notes.map((note) => JSON.stringify(note)));

// ---- Slices

/** Returns the proof from a checkpoint of `size` heads to a customer's tree as it was after the head at `position`. */
export function anchorOf(
  record: MadeRecord,
  note: string,
  size: number,
  position: number,
  tree: string,
): Record<string, unknown> {
  const head = record.heads[position];
  const states = treeStatesAt(record, position);
  const own = states.find((one) => one.tree === tree);
  if (head === undefined || own === undefined) throw new Error('no such head, or it does not know this tree');
  const proof = pathOf(position, record.heads.slice(0, size).map(logLeaf));
  return {
    checkpoint: note,
    head: { position, text: headTextOf(head), proof: proof.map((one) => one.toString('base64')) },
    tree: {
      size: own.size,
      root: own.root.toString('base64'),
      blind: blindOf(head.secret, tree).toString('base64'),
      slot: slotOf(head.secret, tree),
      path: mapPathOf(head.secret, states, tree).map((one) => one.toString('base64')),
    },
  };
}

export type Wanted = {
  readonly customer: string;
  /** Positions of heads that begin an epoch; null means from the first entry on. */
  readonly from: number | null;
  readonly to: number;
  /** The window, in microseconds since 1970. When it is left out: everything that the heads enclose. */
  readonly begin?: number | null;
  readonly end?: number;
  readonly selected?: (row: Row) => boolean;
};

/**
 * Returns the lines of a slice between two heads, each proved from the checkpoint that was signed directly after it.
 */
export function sliceLines(
  record: MadeRecord,
  signer: Signer,
  { customer, from, to, begin, end, selected = () => false }: Wanted,
): readonly string[] {
  const atOf = (position: number): number => record.heads[position]?.at ?? 0;
  const note = (position: number): string => record.notes[position] ?? noteFor(record, signer, position + 1);
  const sizeAt = (position: number): number =>
    treeStatesAt(record, position).find(({ tree }) => tree === customer)?.size ?? 0;
  const first = from === null ? 0 : sizeAt(from);
  const rows = inTree(record, customer).slice(first, sizeAt(to));
  const count = rows.filter(selected).length;
  const header = {
    version: 3,
    customer,
    begin: begin === undefined ? (from === null ? null : atOf(from)) : begin,
    end: end ?? atOf(to),
    says: count > 0 ? 'affected' : 'not-affected',
    subject: 'what was done in one session',
    from: from === null ? null : anchorOf(record, note(from), from + 1, from, customer),
    frontier: frontierOf(leavesOf(record, customer).slice(0, first)).map((one) => one.toString('base64')),
    to: anchorOf(record, note(to), to + 1, to, customer),
    entries: rows.length,
    selected: count,
  };
  const shown = rows.map((row) => ({
    shown: shownOf(row),
    salt: row.salt.toString('hex', 0, 16),
    sensitive: sensitiveOf(row).toString('hex'),
    selected: selected(row),
  }));
  return [JSON.stringify({ slice: header }), ...shown.map((line) => JSON.stringify(line))];
}
