// Owns: one sealing round: waiting entries get numbers and positions in their trees, and one head commits to the state
// of all trees (decision 0017).
// Must never: seal without the lock on the state, grow a tree that was not proved, or sign: a checkpoint is signed only
// after the commit.
import { randomBytes } from 'node:crypto';
import { CofferdamError } from '../../domain/errors.ts';
import { commonTree, type Grown, headLines, headsTree, leafData, saltBytes } from '../../domain/ledger/leaf.ts';
import { SlotCollision, type TreeMap } from '../../domain/ledger/map.ts';
import { append, emptyFrontier, type Frontier, leafHash } from '../../domain/ledger/merkle.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { CheckpointSigner } from '../keys/checkpoint-signer.ts';
import { sha256 } from './hashing.ts';
import { grownBy, textOf } from './heads.ts';
import { requireEntries } from './judged.ts';
import { requireMonths } from './months.ts';
import {
  allTreeRows,
  type Block,
  clockOf,
  type EntryPosition,
  type FreshEntry,
  type HeadRow,
  insertBlocks,
  insertHead,
  type LedgerState,
  lockState,
  moveEntries,
  saveState,
  saveTrees,
  type Taken,
  takeFresh,
  treeRows,
} from './seal-queries.ts';
import { isSameFrontier, newEpoch, RecordDiverged, type Standing, type Tree, treeOf } from './standing.ts';

/** The largest number of entries of the planes in one round. */
export const roundMax = 4000;
/**
 * A round takes an eighth as many entries of operators beside those of the planes. They are sealed in time that way,
 * and however many there are, the round takes hardly longer.
 */
const operatorsPart = 8;
/** Returns how many entries of each queue a round of this size takes. */
export const takenOf = (entriesMax: number): Taken => ({
  planes: entriesMax,
  operators: Math.ceil(entriesMax / operatorsPart),
});

export type Signing = { readonly signer: CheckpointSigner; readonly origin: string };
export type Wish = {
  readonly most: Taken;
  /** The map of all trees under a new secret. With it an epoch begins in this round, even when no tree grew. */
  readonly epoch?: TreeMap | undefined;
  /**
   * Returns whether the note in the database is the checkpoint of the newest head. Nothing is sealed on top of a head
   * that has no checkpoint.
   */
  readonly isSigned: (checkpoint: string | null) => boolean;
};
export type Round = {
  readonly sealed: number;
  /** The entries that were sealed, as they were hashed. */
  readonly entries: readonly FreshEntry[];
  /** The state of the record once the transaction of this round is committed; it must not be used before. */
  readonly next: Standing;
  /** The database's clock, in microseconds since 1970. */
  readonly at: number;
  /** The note that was in the database when the round began. */
  readonly checkpoint: string | null;
  readonly isEpoch: boolean;
  /** Whether more entries of the planes may be waiting, so that the next round should follow at once. */
  readonly isFull: boolean;
};

/**
 * The frontiers of the trees that grow while entries are placed. The proved trees themselves stay unchanged until the
 * round is committed.
 */
class Grove {
  readonly #proved: ReadonlyMap<string, Tree>;
  readonly #grown = new Map<string, Frontier>();
  readonly blocks: Block[] = [];

  constructor(proved: ReadonlyMap<string, Tree>) {
    this.#proved = proved;
  }

  get frontiers(): ReadonlyMap<string, Frontier> {
    return this.#grown;
  }

  of(tree: string): Frontier {
    return this.#grown.get(tree) ?? this.#proved.get(tree)?.frontier ?? emptyFrontier;
  }

  grow(tree: string, leaf: Uint8Array): void {
    this.#grown.set(tree, append(sha256, this.of(tree), leaf, this.onBlock(tree)));
  }

  onBlock(tree: string): (index: number, hash: Uint8Array) => void {
    return (index, hash) => void this.blocks.push({ tree, index, hash });
  }

  /** Returns all trees, including those that grew so far. */
  all(): ReadonlyMap<string, Tree> {
    return new Map([...this.#proved, ...[...this.#grown].map(([tree, frontier]) => [tree, treeOf(frontier)] as const)]);
  }
}

const treeNameOf = (entry: FreshEntry): string => entry.customer ?? commonTree;

type Placed = FreshEntry & EntryPosition;

/** Returns the entries with the positions that they get, if all of them are sealed. */
function withPositions(standing: Standing, fresh: readonly FreshEntry[]): readonly Placed[] {
  const sizes = new Map<string, number>();
  return fresh.map((entry, i) => {
    const tree = treeNameOf(entry);
    const position = sizes.get(tree) ?? standing.trees.get(tree)?.frontier.size ?? 0;
    sizes.set(tree, position + 1);
    return { ...entry, tree, position, number: standing.number + 1 + i };
  });
}

async function moveAll(tx: Transaction, grove: Grove, placed: readonly Placed[]): Promise<void> {
  const salts = randomBytes(placed.length * saltBytes);
  const leaves = Buffer.alloc(placed.length * 32);
  for (const [i, entry] of placed.entries()) {
    const leaf = leafHash(sha256, leafData(sha256, entry, salts.subarray(i * saltBytes, (i + 1) * saltBytes)));
    leaves.set(leaf, i * 32);
    grove.grow(entry.tree, leaf);
  }
  await moveEntries(tx, placed, salts, leaves);
}

/**
 * How far an entry may be ahead of the clock and still be before its head: the clock was set back a little since it was
 * written. Heads are not taken further ahead by an entry, because none of those that follow may be earlier.
 */
const entryAheadMicros = 60_000_000;

/**
 * Returns the time of a head, in microseconds since 1970: that of the clock after its entries were taken, and not
 * earlier than the head before it or any of its entries.
 */
function timeOfHead(standing: Standing, now: number, fresh: readonly FreshEntry[]): number {
  const latest = fresh.reduce((most, { at }) => (at <= now + entryAheadMicros ? Math.max(most, at) : most), now);
  return Math.max(latest, standing.newest?.at ?? 0);
}

/**
 * Compares the state in the database with the proved one. Returns `ahead` when another warden has sealed meanwhile;
 * that must be proved first. Throws `unavailable` when the connection leads to another record, and RecordDiverged when
 * the newest head or the number was changed.
 */
function compareStates(standing: Standing, { era, number, newest }: LedgerState): 'same' | 'ahead' {
  const heads = newest === null ? 0 : newest.position + 1;
  if (era !== standing.era || heads < standing.log.size)
    throw new CofferdamError('unavailable', 'the record is not the one that was compared with its witness');
  if (heads > standing.log.size) return 'ahead';
  if (newest !== null && textOf(newest) !== standing.newest?.text)
    throw new RecordDiverged(`head ${newest.position} is not the one that this warden knows: it was changed`);
  if (number !== standing.number)
    throw new RecordDiverged(
      `the state of the record says that ${number} entries were sealed; there are ${standing.number}`,
    );
  return 'same';
}

/**
 * Requires that the rows of the trees that are about to grow, or of all trees when an epoch begins, agree with the
 * proved trees. Throws RecordDiverged otherwise.
 */
async function requireRows(
  tx: Transaction,
  standing: Standing,
  growing: readonly string[],
  isAll: boolean,
): Promise<void> {
  const known = (tree: string): Frontier =>
    tree === headsTree ? standing.log : (standing.trees.get(tree)?.frontier ?? emptyFrontier);
  const names = isAll ? [headsTree, ...standing.trees.keys(), ...growing] : [headsTree, ...growing];
  const rows = new Map(
    (isAll ? await allTreeRows(tx) : await treeRows(tx, names)).map((row) => [row.tree, row] as const),
  );
  for (const tree of new Set([...names, ...rows.keys()]))
    if (!isSameFrontier(rows.get(tree), known(tree)))
      throw new RecordDiverged(
        `tree ${tree} has ${known(tree).size} entries, as this warden has sealed or proved them; the database says something else (${rows.get(tree)?.size ?? 'nothing'})`,
      );
}

const rowOf = ([tree, { frontier, root }]: readonly [string, Tree]): Grown => ({ tree, size: frontier.size, root });

/**
 * Returns the map of the new head. An epoch begins with the first head of all, when `epoch` is given, and when two
 * trees would share a slot.
 */
async function mapAfter(
  standing: Standing,
  all: ReadonlyMap<string, Tree>,
  grown: readonly Grown[],
  epoch: TreeMap | undefined,
): Promise<{ readonly map: TreeMap; readonly isEpoch: boolean }> {
  if (standing.newest === undefined) return { map: await newEpoch(all), isEpoch: true };
  try {
    return { map: (epoch ?? standing.map).with(grown), isEpoch: epoch !== undefined };
  } catch (error) {
    if (!(error instanceof SlotCollision)) throw error;
    return { map: await newEpoch(all), isEpoch: true };
  }
}

/**
 * Seals up to `most` entries of each queue inside the caller's transaction, on top of the proved state. Returns
 * undefined when another warden has sealed, or written a freeze, meanwhile. Does nothing when nothing waits, or when
 * the newest head has no checkpoint yet, which may then be signed. Throws EntriesRefused when entries must be set aside
 * first, RecordDiverged when a row is not what was proved, and `unavailable` when this is another record.
 */
export async function sealRound(
  tx: Transaction,
  standing: Standing,
  { most, epoch, isSigned }: Wish,
): Promise<Round | undefined> {
  const state = await lockState(tx);
  // A freeze that another warden wrote after this one looked: its release names the heads that are there now.
  if (state.isFrozen || compareStates(standing, state) === 'ahead') return undefined;
  const unchanged: Round = {
    sealed: 0,
    entries: [],
    next: standing,
    at: state.now,
    checkpoint: state.checkpoint,
    isEpoch: false,
    isFull: false,
  };
  if (!isSigned(state.checkpoint)) return unchanged;
  const fresh = await takeFresh(tx, most);
  if (fresh.length === 0 && (epoch === undefined || standing.newest === undefined)) return unchanged;
  const at = timeOfHead(standing, await clockOf(tx), fresh);
  const placed = withPositions(standing, fresh);
  await requireEntries(tx, placed, at);
  await requireMonths(
    tx,
    fresh.map((entry) => entry.at),
  );
  const grove = new Grove(standing.trees);
  await requireRows(tx, standing, [...new Set(fresh.map(treeNameOf))], epoch !== undefined);
  const number = standing.number + fresh.length;
  if (fresh.length > 0) await moveAll(tx, grove, placed);
  const all = grove.all();
  const grown = [...grove.frontiers.keys()].map((tree) => rowOf([tree, all.get(tree) ?? treeOf(grove.of(tree))]));
  const { map, isEpoch } = await mapAfter(standing, all, grown, epoch);
  const position = standing.log.size;
  const head: HeadRow = {
    position,
    at,
    number,
    secret: map.secret,
    mapRoot: map.root(),
    epoch: isEpoch ? position : (standing.newest?.epoch ?? position),
    trees: headLines(isEpoch ? [...all].map(rowOf) : grown),
  };
  const log = grownBy(standing.log, head, grove.onBlock(headsTree));
  await insertHead(tx, head);
  await saveTrees(tx, new Map([...grove.frontiers, [headsTree, log]]), position);
  await insertBlocks(tx, grove.blocks);
  await saveState(tx, number, isEpoch);
  const newest = {
    text: textOf(head),
    at,
    epoch: head.epoch,
    epochAt: isEpoch ? head.at : (standing.newest?.epochAt ?? head.at),
  };
  return {
    ...unchanged,
    sealed: fresh.length,
    entries: fresh,
    next: { era: standing.era, number, log, trees: all, newest, map },
    isEpoch,
    isFull: fresh.filter((entry) => entry.observer !== 'admin').length === most.planes,
  };
}
