// Owns: the proved state of the record in memory: all trees, the heads log, and the map of the newest head. The sealer
// grows this state and nothing else (decision 0035).
// Must never: believe a row of `ledger_tree` or the number in `ledger_state` by itself. They must agree with a head
// that was signed.
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
import { unsealable } from './judged.ts';
import { allTreeRows, type HeadRow, headsBetween, type LedgerState, type TreeRow } from './seal-queries.ts';
import { entriesAfter, entriesUpTo, linesBetween, partsOf, type SealedEntry } from './standing-queries.ts';

/**
 * The error that the database does not hold what was signed. Its text names what does not fit; nothing more is sealed
 * or signed.
 */
export class RecordDiverged extends Error {
  override readonly name = 'RecordDiverged';
}

/** A size of the heads log for which there is a genuine signature. `root` is in base64. */
export type Signed = { readonly by: string; readonly era: number; readonly size: number; readonly root: string };

export type Tree = { readonly frontier: Frontier; readonly root: string };
/**
 * What is known of a head. `at` is its time, and `epochAt` the time at which its epoch began, in microseconds since
 * 1970.
 */
type Newest = { readonly text: string; readonly at: number; readonly epoch: number; readonly epochAt: number };
export type Standing = {
  readonly era: number;
  /** The number of the last sealed entry. */
  readonly number: number;
  readonly log: Frontier;
  readonly trees: ReadonlyMap<string, Tree>;
  /** The newest head, or undefined when nothing is sealed yet. */
  readonly newest: Newest | undefined;
  readonly map: TreeMap;
};

/**
 * The limits of what is proved without a signature. A sealer signs each head before it seals the next one, so a record
 * with a longer unsigned end was not left by a sealer.
 */
const tailHeadsMax = 64;
const tailEntriesMax = 200_000;
const linesMax = 50_000;
const treesATurn = 200;
const drawsMax = 32;
/**
 * How far ahead of the clock a head may be that was not signed: the clock may have been set back since, by the hours by
 * which a machine is wrong that counts local time.
 */
const headAheadMicros = 86_400_000_000;

export const treeOf = (frontier: Frontier): Tree => ({ frontier, root: base64(rootOf(sha256, frontier)) });
const grownOf = (trees: ReadonlyMap<string, Tree>): readonly Grown[] =>
  [...trees].map(([tree, { frontier, root }]) => ({ tree, size: frontier.size, root }));

/**
 * Returns the map of these trees under this secret. After every `treesATurn` trees the event loop runs other work of
 * this process.
 */
async function mapOf(trees: ReadonlyMap<string, Tree>, secret: Uint8Array): Promise<TreeMap> {
  const all = grownOf(trees);
  let map = TreeMap.empty(sha256, secret);
  for (let first = 0; first < all.length; first += treesATurn) {
    map = map.with(all.slice(first, first + treesATurn));
    if (first + treesATurn < all.length) await nextTurn();
  }
  return map;
}

/**
 * Returns the map of these trees under a new random secret. An epoch begins with it. Throws SlotCollision when 32
 * secrets in a row gave two trees the same slot.
 */
export async function newEpoch(trees: ReadonlyMap<string, Tree>): Promise<TreeMap> {
  for (let draws = 1; ; draws += 1)
    try {
      return await mapOf(trees, randomBytes(secretBytes));
    } catch (error) {
      if (!(error instanceof SlotCollision) || draws === drawsMax) throw error;
    }
}

/** Returns the frontier in a row. Throws RecordDiverged when its bytes are not a frontier of a tree of that size. */
function frontierIn({ tree, size, frontier }: TreeRow): Frontier {
  try {
    return parseFrontier(size, frontier);
  } catch {
    throw new RecordDiverged(`the frontier of tree ${tree} is not one of ${size} entries`);
  }
}

/** Returns whether a row is exactly this frontier. A missing row is an empty tree. */
export const isSameFrontier = (row: TreeRow | undefined, { size, roots }: Frontier): boolean =>
  row === undefined ? size === 0 : row.size === size && row.frontier.equals(frontierBytes({ size, roots }));

const isSameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/**
 * Returns the genuine signature from which the record is proved: the newest one of this era, otherwise the newest one
 * of an earlier era that the database still agrees with. What an earlier era had beyond that was given up by a release,
 * which was verified when the record was compared. Throws RecordDiverged when a signature of this era covers more heads
 * than the database holds.
 */
async function anchorFor(
  tx: Transaction,
  { era }: LedgerState,
  heads: number,
  signed: readonly Signed[],
): Promise<Signed | undefined> {
  const ahead = signed.find((one) => one.era === era && one.size > heads);
  if (ahead !== undefined)
    throw new RecordDiverged(
      `${ahead.by} has a checkpoint of ${ahead.size} heads; the database holds ${heads}: heads were taken away`,
    );
  const candidates = signed
    .filter((one) => one.era <= era && one.size <= heads)
    .sort((a, b) => b.era - a.era || b.size - a.size);
  for (const one of candidates) if (one.era === era || (await rootAt(tx, one.size)) === one.root) return one;
  return undefined;
}

/**
 * Loads the state of the record and proves it, under the lock on the state. The heads log must be the one that was
 * signed, the map of its newest signed head must be that of the trees in the database, and everything sealed after it
 * must be exactly what a sealer would have made of the entries. Throws RecordDiverged with a sentence that names what
 * does not fit.
 */
export async function loadStanding(
  tx: Transaction,
  state: LedgerState,
  signed: readonly Signed[],
  isLocked = true,
): Promise<Standing> {
  const heads = state.newest === null ? 0 : state.newest.position + 1;
  const rows = await allTreeRows(tx, isLocked);
  const anchor = await anchorFor(tx, state, heads, signed);
  const from = anchor?.size ?? 0;
  if (heads - from > tailHeadsMax)
    throw new RecordDiverged(
      `${heads - from} heads of the record were never signed: a sealer signs each before it seals the next one`,
    );
  const signedLog = await logAt(tx, from);
  if (signedLog === undefined) throw new RecordDiverged(`heads of the record are missing before head ${from}`);
  if (anchor !== undefined && base64(rootOf(sha256, signedLog)) !== anchor.root)
    throw new RecordDiverged(
      `the heads log is not the one of the checkpoint of ${from} heads that ${anchor.by} has: a head was changed`,
    );
  const tail = await headsBetween(tx, from, heads);
  const [base] = from === 0 ? [] : await headsBetween(tx, from - 1, from);
  const log = tail.reduce((grown, head) => grownBy(grown, head), signedLog);
  const logRow = rows.find((row) => row.tree === headsTree);
  if (!isSameFrontier(logRow, log))
    throw new RecordDiverged('the frontier of the heads log is not that of the heads in the database');
  const trees = new Map(
    rows.filter((row) => row.tree !== headsTree).map((row) => [row.tree, treeOf(frontierIn(row))] as const),
  );
  const number = state.newest?.number ?? 0;
  if (state.number !== number)
    throw new RecordDiverged(
      `the state of the record says that ${state.number} entries were sealed, its newest head says ${number}`,
    );
  const map = await provedMap(tx, base, tail, trees, state.now);
  if (state.newest === null) return { era: state.era, number, log, trees, newest: undefined, map };
  const [epoch] = await headsBetween(tx, state.newest.epoch, state.newest.epoch + 1);
  if (epoch === undefined || epoch.epoch !== epoch.position || !isSameBytes(epoch.secret, state.newest.secret))
    throw new RecordDiverged(`head ${state.newest.epoch} did not begin the epoch of head ${state.newest.position}`);
  return {
    era: state.era,
    number,
    log,
    trees,
    newest: { text: textOf(state.newest), at: state.newest.at, epoch: epoch.position, epochAt: epoch.at },
    map,
  };
}

/**
 * Returns the map of the newest head and proves the trees. `base` is the newest head that was signed, `tail` are the
 * heads after it.
 */
async function provedMap(
  tx: Transaction,
  base: HeadRow | undefined,
  tail: readonly HeadRow[],
  trees: ReadonlyMap<string, Tree>,
  now: number,
): Promise<TreeMap> {
  const entries = tail.length === 0 ? [] : await entriesAfter(tx, base?.number ?? 0, tailEntriesMax + 1);
  if (entries.length > tailEntriesMax)
    throw new RecordDiverged('more entries were sealed since the last checkpoint than can be proved');
  await requireSealable(tx, base, tail, entries, now);
  const then = new Map(trees);
  for (const [tree, first] of firstsOf(entries)) {
    if (first === 0) then.delete(tree);
    else then.set(tree, treeOf(await frontierAt(tx, tree, first)));
  }
  const before = base === undefined ? TreeMap.empty(sha256, new Uint8Array(secretBytes)) : await mapUnder(base, then);
  if (base !== undefined ? !isSameBytes(before.root(), base.mapRoot) : then.size > 0)
    throw new RecordDiverged(await whatDiffers(tx, base, then));
  const map = await grownMap(then, before, base, tail, entries);
  for (const [tree, { frontier }] of then) {
    const row = trees.get(tree);
    if (row === undefined || row.root !== base64(rootOf(sha256, frontier)) || row.frontier.size !== frontier.size)
      throw new RecordDiverged(
        `tree ${tree} is not that of its entries: they make ${frontier.size}, the database says ${row?.frontier.size ?? 0}`,
      );
  }
  return map;
}

/**
 * Requires that heads which were not signed yet, and their entries, are such that a sealer makes: what is signed must
 * be able to verify, for ever. Throws RecordDiverged otherwise; nothing of it was signed, so the rows can be put right.
 */
async function requireSealable(
  tx: Transaction,
  base: HeadRow | undefined,
  tail: readonly HeadRow[],
  entries: readonly SealedEntry[],
  now: number,
): Promise<void> {
  let before = base?.at ?? 0;
  for (const { position, at } of tail) {
    if (at < before) throw new RecordDiverged(`head ${position} is earlier than the head before it`);
    if (at > Math.max(before, now + headAheadMicros))
      throw new RecordDiverged(`head ${position} is of a time that has not come yet`);
    before = at;
  }
  let next = 0;
  const headAtOf = ({ number }: SealedEntry): number => {
    for (let head = tail[next]; head !== undefined && head.number < number; head = tail[next]) next += 1;
    return tail[next]?.at ?? before;
  };
  const fault = await unsealable(
    tx,
    entries.map((entry) => ({ ...entry, headAt: headAtOf(entry) })),
  );
  if (fault !== undefined) throw new RecordDiverged(fault);
}

/** What of a head decides how the next one must look. */
type Before = Pick<HeadRow, 'secret' | 'number' | 'epoch'>;

/**
 * Grows `trees` by the entries of these heads, and returns the map of the last one. Throws RecordDiverged unless each
 * head is exactly what a sealer would have made of its entries.
 */
async function grownMap(
  trees: Map<string, Tree>,
  map: TreeMap,
  base: Before | undefined,
  tail: readonly HeadRow[],
  entries: readonly SealedEntry[],
): Promise<TreeMap> {
  let [next, before, grownTo] = [0, base, map];
  for (const head of tail) {
    const grown = new Set<string>();
    for (let entry = entries[next]; entry !== undefined && entry.number <= head.number; entry = entries[next]) {
      grow(trees, entry);
      grown.add(entry.tree);
      next += 1;
    }
    const isEpoch = before === undefined || !isSameBytes(before.secret, head.secret);
    const named = isEpoch ? grownOf(trees) : [...grown].map((tree) => ({ tree, ...sizeOf(trees, tree) }));
    grownTo = isEpoch ? await mapUnder(head, trees) : grownTo.with(named);
    const isSame =
      head.trees === headLines(named) &&
      isSameBytes(grownTo.root(), head.mapRoot) &&
      head.epoch === (isEpoch ? head.position : before?.epoch);
    if (!isSame || head.number !== (entries[next - 1]?.number ?? base?.number ?? 0))
      throw new RecordDiverged(`head ${head.position} is not that of the entries in the database`);
    before = head;
  }
  if (next < entries.length)
    throw new RecordDiverged(`entry ${entries[next]?.number} stands among the sealed ones, and no head counts it`);
  return grownTo;
}

const sizeOf = (trees: ReadonlyMap<string, Tree>, tree: string): { readonly size: number; readonly root: string } => {
  const one = trees.get(tree) ?? treeOf(emptyFrontier);
  return { size: one.frontier.size, root: one.root };
};

/** The largest number of entries by which a standing grows at a time, unless one head alone has more. */
const followedMax = 20_000;

/**
 * Returns the standing after the next heads, at most up to `size` of them, and the entries that they sealed. Throws
 * RecordDiverged unless the heads are what a sealer would have made of the entries. Whether they were signed is seen at
 * the size of a checkpoint.
 */
export async function followHeads(
  tx: Transaction,
  standing: Standing,
  size: number,
): Promise<{ readonly standing: Standing; readonly entries: readonly SealedEntry[] }> {
  const first = standing.log.size;
  const read = await headsBetween(tx, first, Math.min(size, first + tailHeadsMax));
  if (read.length === 0 || read.some((head, i) => head.position !== first + i))
    throw new RecordDiverged(`heads of the record are missing from head ${first} on`);
  const tail = read.filter((head, i) => i === 0 || head.number - standing.number <= followedMax);
  const last = tail.at(-1);
  if (last === undefined || last.number < standing.number || last.number - standing.number > tailEntriesMax)
    throw new RecordDiverged(`head ${first} counts entries that it cannot have sealed`);
  const entries = await entriesUpTo(tx, standing.number, last.number);
  const trees = new Map(standing.trees);
  const { newest } = standing;
  const base = newest && { secret: standing.map.secret, number: standing.number, epoch: newest.epoch };
  const map = await grownMap(trees, standing.map, base, tail, entries);
  const log = tail.reduce((grown, head) => grownBy(grown, head), standing.log);
  const epochAt = tail.findLast((head) => head.epoch === head.position)?.at ?? newest?.epochAt ?? last.at;
  return {
    standing: {
      era: standing.era,
      number: last.number,
      log,
      trees,
      newest: { text: textOf(last), at: last.at, epoch: last.epoch, epochAt },
      map,
    },
    entries,
  };
}

/**
 * Returns the map of these trees under the secret of a head that the database holds. Throws RecordDiverged when two
 * trees share a slot.
 */
async function mapUnder(head: HeadRow, trees: ReadonlyMap<string, Tree>): Promise<TreeMap> {
  try {
    return await mapOf(trees, Uint8Array.from(head.secret));
  } catch (error) {
    if (error instanceof SlotCollision)
      throw new RecordDiverged(`two trees have one slot of the map of head ${head.position}`);
    throw error;
  }
}

/** Returns for each tree the lowest position among these entries. */
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

/**
 * Returns a sentence that says why the trees are not those of the signed head. It names the first tree, in the order of
 * names, that the heads of the epoch state differently.
 */
async function whatDiffers(
  tx: Transaction,
  base: HeadRow | undefined,
  trees: ReadonlyMap<string, Tree>,
): Promise<string> {
  if (base === undefined) return 'the database has trees, and no head that was signed';
  const said = new Map<string, Grown>();
  const heads = await linesBetween(tx, base.epoch, base.position, linesMax);
  for (const lines of heads) for (const one of parseHeadLines(lines) ?? []) said.set(one.tree, one);
  for (const tree of [...new Set([...said.keys(), ...trees.keys()])].sort()) {
    const [then, now] = [said.get(tree), trees.get(tree)];
    if (then === undefined)
      return `tree ${tree} is in the database with ${now?.frontier.size} entries, and in no head that was signed`;
    if (now === undefined)
      return `tree ${tree} had ${then.size} entries when head ${base.position} was signed, and is gone from the database`;
    if (now.frontier.size !== then.size)
      return `tree ${tree} had ${then.size} entries when head ${base.position} was signed; the database says ${now.frontier.size}`;
    if (now.root !== then.root)
      return `tree ${tree} of ${then.size} entries is not the one that was signed with head ${base.position}`;
  }
  return `the trees of the database are not those of head ${base.position}, which was signed`;
}

/**
 * Requires that every tree which this process knew is contained in what another warden left, because trees only grow.
 * Throws RecordDiverged otherwise.
 */
export function requireGrown(before: Standing, after: Standing): void {
  if (before.era !== after.era) return;
  for (const [tree, { frontier, root }] of before.trees) {
    const now = after.trees.get(tree);
    if (now === undefined || now.frontier.size < frontier.size)
      throw new RecordDiverged(
        `tree ${tree} had ${frontier.size} entries, and has ${now?.frontier.size ?? 0} since another warden sealed`,
      );
    if (now.frontier.size === frontier.size && now.root !== root)
      throw new RecordDiverged(`tree ${tree} of ${frontier.size} entries is another one since another warden sealed`);
  }
}
