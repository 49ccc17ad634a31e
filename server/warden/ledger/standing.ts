// Owns: where the record stands, in memory and proved: all trees, the heads log, the map of the newest head. The sealer grows this and nothing else.
// Must never: believe a row of ledger_tree, or a number of ledger_state. A head that was signed says what they must be.
import { randomBytes } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Grown, headLines, headsTree, leafData, parseHeadLines } from '../../domain/ledger/leaf.ts';
import { SlotCollision, secretBytes, TreeMap } from '../../domain/ledger/map.ts';
import {
  append,
  blockLeaves,
  emptyFrontier,
  type Frontier,
  frontierBytes,
  frontierOf,
  leafHash,
  parseFrontier,
  rootOf,
} from '../../domain/ledger/merkle.ts';
import type { Transaction } from '../../postgres/database.ts';
import { base64, sha256 } from './hashing.ts';
import { grownBy, logAt, rootAt, textOf } from './heads.ts';
import { allTreeRows, type HeadRow, headsBetween, type LedgerState, type TreeRow } from './seal-queries.ts';
import { entriesAfter, linesBetween, partsOf, type SealedEntry } from './standing-queries.ts';

/** What the database holds is not what was signed. The text names what does not fit; nothing more is sealed or signed. */
export class RecordDiverged extends Error {
  override readonly name = 'RecordDiverged';
}

/** A size of the heads log for which there is a genuine signature; `root` in base64. */
export type Signed = { readonly by: string; readonly era: number; readonly size: number; readonly root: string };

export type Tree = { readonly frontier: Frontier; readonly root: string };
export type Newest = { readonly text: string; readonly epoch: number /** When its epoch began; microseconds. */; readonly epochAt: number };
export type Standing = {
  readonly era: number;
  /** Of the last sealed entry. */
  readonly number: number;
  readonly log: Frontier;
  readonly trees: ReadonlyMap<string, Tree>;
  /** Of the newest head; undefined: nothing is sealed yet. */
  readonly newest: Newest | undefined;
  readonly map: TreeMap;
};

/** A record of which more was not signed is none that a sealer left: it signs each head before it seals the next one. */
const tailHeadsMax = 64;
const tailEntriesMax = 200_000;
const linesMax = 50_000;
const treesATurn = 200;
const drawsMax = 32;

export const treeOf = (frontier: Frontier): Tree => ({ frontier, root: base64(rootOf(sha256, frontier)) });
const grownOf = (trees: ReadonlyMap<string, Tree>): readonly Grown[] =>
  [...trees].map(([tree, { frontier, root }]) => ({ tree, size: frontier.size, root }));

/** The map of these trees under this secret, some of them at a time: whoever waits for the process has his turn in between. */
async function mapOf(trees: ReadonlyMap<string, Tree>, secret: Uint8Array): Promise<TreeMap> {
  const all = grownOf(trees);
  let map = TreeMap.empty(sha256, secret);
  for (let first = 0; first < all.length; first += treesATurn) {
    map = map.with(all.slice(first, first + treesATurn));
    if (first + treesATurn < all.length) await nextTurn();
  }
  return map;
}

/** The map of these trees under a secret that was never used: with it an epoch begins. */
export async function newEpoch(trees: ReadonlyMap<string, Tree>): Promise<TreeMap> {
  for (let draws = 1; ; draws += 1)
    try {
      return await mapOf(trees, randomBytes(secretBytes));
    } catch (error) {
      if (!(error instanceof SlotCollision) || draws === drawsMax) throw error;
    }
}

/** Throws RecordDiverged when the bytes are no frontier of a tree of that size. */
export function frontierIn({ tree, size, frontier }: TreeRow): Frontier {
  try {
    return parseFrontier(size, frontier);
  } catch {
    throw new RecordDiverged(`the frontier of tree ${tree} is not one of ${size} entries`);
  }
}

export const isSameFrontier = (row: TreeRow | undefined, { size, roots }: Frontier): boolean =>
  row === undefined ? size === 0 : row.size === size && row.frontier.equals(frontierBytes({ size, roots }));

const isSameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/**
 * The genuine signature from which on the record is proved: the newest one of this era, else of those before. Of an era that two operators ended only what
 * the database still holds: the rest was given up, which was verified when the record was compared.
 */
async function anchorFor(tx: Transaction, { era }: LedgerState, heads: number, signed: readonly Signed[]): Promise<Signed | undefined> {
  const ahead = signed.find((one) => one.era === era && one.size > heads);
  if (ahead !== undefined)
    throw new RecordDiverged(`${ahead.by} has a checkpoint of ${ahead.size} heads; the database holds ${heads}: heads were taken away`);
  const candidates = signed.filter((one) => one.era <= era && one.size <= heads).sort((a, b) => b.era - a.era || b.size - a.size);
  for (const one of candidates) if (one.era === era || (await rootAt(tx, one.size)) === one.root) return one;
  return undefined;
}

/**
 * Loads where the record stands and proves it, under the lock on the state: the heads log is the one that was signed, the map of its newest signed head is
 * that of the trees in the database, and what was sealed behind it is exactly what a sealer would have made of the entries that stand there.
 * Throws RecordDiverged with a sentence that names what does not fit.
 */
export async function loadStanding(tx: Transaction, state: LedgerState, signed: readonly Signed[]): Promise<Standing> {
  const heads = state.newest === null ? 0 : state.newest.position + 1;
  const rows = await allTreeRows(tx);
  const anchor = await anchorFor(tx, state, heads, signed);
  const from = anchor?.size ?? 0;
  if (heads - from > tailHeadsMax)
    throw new RecordDiverged(`${heads - from} heads of the record were never signed: a sealer signs each before it seals the next one`);
  const signedLog = await logAt(tx, from);
  if (signedLog === undefined) throw new RecordDiverged(`heads of the record are missing before head ${from}`);
  if (anchor !== undefined && base64(rootOf(sha256, signedLog)) !== anchor.root)
    throw new RecordDiverged(`the heads log is not the one of the checkpoint of ${from} heads that ${anchor.by} has: a head was changed`);
  const tail = await headsBetween(tx, from, heads);
  const [base] = from === 0 ? [] : await headsBetween(tx, from - 1, from);
  const log = tail.reduce((grown, head) => grownBy(grown, head), signedLog);
  const logRow = rows.find((row) => row.tree === headsTree);
  if (!isSameFrontier(logRow, log)) throw new RecordDiverged('the frontier of the heads log is not that of the heads in the database');
  const trees = new Map(rows.filter((row) => row.tree !== headsTree).map((row) => [row.tree, treeOf(frontierIn(row))] as const));
  const number = state.newest?.number ?? 0;
  if (state.number !== number)
    throw new RecordDiverged(`the state of the record says that ${state.number} entries were sealed, its newest head says ${number}`);
  const map = await provedMap(tx, base, tail, trees);
  if (state.newest === null) return { era: state.era, number, log, trees, newest: undefined, map };
  const [epoch] = await headsBetween(tx, state.newest.epoch, state.newest.epoch + 1);
  if (epoch === undefined || epoch.epoch !== epoch.position || !isSameBytes(epoch.secret, state.newest.secret))
    throw new RecordDiverged(`head ${state.newest.epoch} did not begin the epoch of head ${state.newest.position}`);
  return { era: state.era, number, log, trees, newest: { text: textOf(state.newest), epoch: epoch.position, epochAt: epoch.at }, map };
}

/** The map of the newest head. `base`: the newest head that was signed; `tail`: those behind it. */
async function provedMap(
  tx: Transaction,
  base: HeadRow | undefined,
  tail: readonly HeadRow[],
  trees: ReadonlyMap<string, Tree>,
): Promise<TreeMap> {
  const entries = tail.length === 0 ? [] : await entriesAfter(tx, base?.number ?? 0, tailEntriesMax + 1);
  if (entries.length > tailEntriesMax) throw new RecordDiverged('more entries were sealed since the last checkpoint than can be proved');
  const then = new Map(trees);
  for (const [tree, first] of firstsOf(entries)) {
    if (first === 0) then.delete(tree);
    else then.set(tree, treeOf(await frontierAt(tx, tree, first)));
  }
  let map = base === undefined ? TreeMap.empty(sha256, new Uint8Array(secretBytes)) : await mapUnder(base, then);
  if (base !== undefined ? !isSameBytes(map.root(), base.mapRoot) : then.size > 0)
    throw new RecordDiverged(await whatDiffers(tx, base, then));
  let [next, before] = [0, base];
  for (const head of tail) {
    const grown = new Set<string>();
    for (let entry = entries[next]; entry !== undefined && entry.number <= head.number; entry = entries[next]) {
      grow(then, entry);
      grown.add(entry.tree);
      next += 1;
    }
    const isEpoch = before === undefined || !isSameBytes(before.secret, head.secret);
    const named = isEpoch ? grownOf(then) : grownOf(then).filter(({ tree }) => grown.has(tree));
    map = isEpoch ? await mapUnder(head, then) : map.with(named);
    const isSame =
      head.trees === headLines(named) && isSameBytes(map.root(), head.mapRoot) && head.epoch === (isEpoch ? head.position : before?.epoch);
    if (!isSame || head.number !== (entries[next - 1]?.number ?? before?.number ?? 0))
      throw new RecordDiverged(`head ${head.position}, which was not signed yet, is not that of the entries in the database`);
    before = head;
  }
  if (next < entries.length) throw new RecordDiverged(`entry ${entries[next]?.number} stands among the sealed ones, and no head counts it`);
  for (const [tree, { frontier }] of then) {
    const row = trees.get(tree);
    if (row === undefined || row.root !== base64(rootOf(sha256, frontier)) || row.frontier.size !== frontier.size)
      throw new RecordDiverged(
        `tree ${tree} is not that of its entries: they make ${frontier.size}, the database says ${row?.frontier.size ?? 0}`,
      );
  }
  return map;
}

/** Under the secret of a head that stands in the database. */
async function mapUnder(head: HeadRow, trees: ReadonlyMap<string, Tree>): Promise<TreeMap> {
  try {
    return await mapOf(trees, Uint8Array.from(head.secret));
  } catch (error) {
    if (error instanceof SlotCollision) throw new RecordDiverged(`two trees have one slot of the map of head ${head.position}`);
    throw error;
  }
}

/** Where each tree began to grow. */
function firstsOf(entries: readonly SealedEntry[]): ReadonlyMap<string, number> {
  const firsts = new Map<string, number>();
  for (const { tree, position } of entries) firsts.set(tree, Math.min(position, firsts.get(tree) ?? position));
  return firsts;
}

async function frontierAt(tx: Transaction, tree: string, size: number): Promise<Frontier> {
  const { blocks, rest } = await partsOf(tx, tree, size);
  if (blocks.length !== Math.floor(size / blockLeaves) || rest.length !== size % blockLeaves)
    throw new RecordDiverged(`tree ${tree} has no whole entries before position ${size}`);
  return frontierOf(sha256, blocks, rest);
}

function grow(trees: Map<string, Tree>, entry: SealedEntry): void {
  const { frontier } = trees.get(entry.tree) ?? { frontier: emptyFrontier };
  if (entry.position !== frontier.size)
    throw new RecordDiverged(
      `entry ${entry.number} stands at position ${entry.position} of tree ${entry.tree}, which had ${frontier.size}`,
    );
  trees.set(entry.tree, treeOf(append(sha256, frontier, leafHash(sha256, leafData(sha256, entry, entry.salt)))));
}

/** Why the trees are not those of the head that was signed: the first one by name that its epoch tells otherwise. */
async function whatDiffers(tx: Transaction, base: HeadRow | undefined, trees: ReadonlyMap<string, Tree>): Promise<string> {
  if (base === undefined) return 'the database has trees, and no head that was signed';
  const said = new Map<string, Grown>();
  const heads = await linesBetween(tx, base.epoch, base.position, linesMax);
  for (const lines of heads) for (const one of parseHeadLines(lines) ?? []) said.set(one.tree, one);
  for (const tree of [...new Set([...said.keys(), ...trees.keys()])].sort()) {
    const [then, now] = [said.get(tree), trees.get(tree)];
    if (then === undefined) return `tree ${tree} is in the database with ${now?.frontier.size} entries, and in no head that was signed`;
    if (now === undefined)
      return `tree ${tree} had ${then.size} entries when head ${base.position} was signed, and is gone from the database`;
    if (now.frontier.size !== then.size)
      return `tree ${tree} had ${then.size} entries when head ${base.position} was signed; the database says ${now.frontier.size}`;
    if (now.root !== then.root) return `tree ${tree} of ${then.size} entries is not the one that was signed with head ${base.position}`;
  }
  return `the trees of the database are not those of head ${base.position}, which was signed`;
}

/** Trees only grow: what this process knew stands in what another warden left. */
export function requireGrown(before: Standing, after: Standing): void {
  if (before.era !== after.era) return;
  for (const [tree, { frontier, root }] of before.trees) {
    const now = after.trees.get(tree);
    if (now === undefined || now.frontier.size < frontier.size)
      throw new RecordDiverged(`tree ${tree} had ${frontier.size} entries, and has ${now?.frontier.size ?? 0} since another warden sealed`);
    if (now.frontier.size === frontier.size && now.root !== root)
      throw new RecordDiverged(`tree ${tree} of ${frontier.size} entries is another one since another warden sealed`);
  }
}
