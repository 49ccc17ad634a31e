// Owns: one round of sealing: unsealed entries get numbers and places in their trees, and a head commits to all trees as they stand then.
// Must never: seal without the lock on the state, grow a tree that was not proved, or sign: what is signed is committed before.
import { randomBytes } from 'node:crypto';
import { CofferdamError } from '../../domain/errors.ts';
import { commonTree, type Grown, headLines, headsTree, leafData, saltBytes } from '../../domain/ledger/leaf.ts';
import { SlotCollision, type TreeMap } from '../../domain/ledger/map.ts';
import { append, emptyFrontier, type Frontier, leafHash } from '../../domain/ledger/merkle.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { CheckpointSigner } from '../keys/checkpoint-signer.ts';
import { sha256 } from './hashing.ts';
import { grownBy, textOf } from './heads.ts';
import { requireMonths } from './months.ts';
import {
  allTreeRows,
  type Block,
  type FreshEntry,
  type HeadRow,
  insertBlocks,
  insertHead,
  type LedgerState,
  lockState,
  moveEntries,
  type Place,
  saveState,
  saveTrees,
  type Taken,
  takeFresh,
  treeRows,
} from './seal-queries.ts';
import { isSameFrontier, newEpoch, RecordDiverged, type Standing, type Tree, treeOf } from './standing.ts';

/** Entries of one round that the planes wait for. */
export const roundMax = 4000;
/** Of the words of operators a round takes an eighth of that beside it: they are told in time, and however many there are, a round is hardly longer. */
const operatorsPart = 8;
/** A round of this size. */
export const takenOf = (entriesMax: number): Taken => ({ planes: entriesMax, operators: Math.ceil(entriesMax / operatorsPart) });

export type Signing = { readonly signer: CheckpointSigner; readonly origin: string };
export type Wish = {
  readonly most: Taken;
  /** The map of all trees under a new secret: an epoch begins with this round, even when nothing grew. */
  readonly epoch?: TreeMap | undefined;
  /** Whether the newest head has its checkpoint, which stands in the database: nothing is sealed on top of one that has none. */
  readonly isSigned: (checkpoint: string | null) => boolean;
};
export type Round = {
  readonly sealed: number;
  /** Where the record stands when this is committed, and not before. */
  readonly next: Standing;
  /** Microseconds since 1970, by the database's clock. */
  readonly at: number;
  /** The note that stood in the database. */
  readonly checkpoint: string | null;
  readonly isEpoch: boolean;
  /** There may be more that the planes wait for, to seal at once. */
  readonly isFull: boolean;
};

/** Frontiers that grow while entries are placed. What was proved stays as it is until the round is committed. */
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

  /** All trees as they stand now. */
  all(): ReadonlyMap<string, Tree> {
    return new Map([...this.#proved, ...[...this.#grown].map(([tree, frontier]) => [tree, treeOf(frontier)] as const)]);
  }
}

const treeNameOf = (entry: FreshEntry): string => entry.customer ?? commonTree;

async function placeAll(tx: Transaction, grove: Grove, fresh: readonly FreshEntry[], before: number): Promise<void> {
  const salts = randomBytes(fresh.length * saltBytes);
  const leaves = Buffer.alloc(fresh.length * 32);
  const places = fresh.map((entry, i): Place => {
    const tree = treeNameOf(entry);
    const place = { id: entry.id, tree, position: grove.of(tree).size, number: before + 1 + i };
    const leaf = leafHash(sha256, leafData(sha256, { ...entry, ...place }, salts.subarray(i * saltBytes, (i + 1) * saltBytes)));
    leaves.set(leaf, i * 32);
    grove.grow(tree, leaf);
    return place;
  });
  await moveEntries(tx, places, salts, leaves);
}

/** Another warden may have sealed meanwhile, which is proved first. A connection may also lead to another database than a moment ago. */
function placeOf(standing: Standing, { era, number, newest }: LedgerState): 'same' | 'ahead' {
  const heads = newest === null ? 0 : newest.position + 1;
  if (era !== standing.era || heads < standing.log.size)
    throw new CofferdamError('unavailable', 'the record is not the one that was compared with its witness');
  if (heads > standing.log.size) return 'ahead';
  if (newest !== null && textOf(newest) !== standing.newest?.text)
    throw new RecordDiverged(`head ${newest.position} is not the one that this warden knows: it was changed`);
  if (number !== standing.number)
    throw new RecordDiverged(`the state of the record says that ${number} entries were sealed; there are ${standing.number}`);
  return 'same';
}

/** The rows of the trees that are about to grow say what is known of them; when an epoch begins, those of all trees. */
async function requireRows(tx: Transaction, standing: Standing, growing: readonly string[], isAll: boolean): Promise<void> {
  const known = (tree: string): Frontier => (tree === headsTree ? standing.log : (standing.trees.get(tree)?.frontier ?? emptyFrontier));
  const names = isAll ? [headsTree, ...standing.trees.keys(), ...growing] : [headsTree, ...growing];
  const rows = new Map((isAll ? await allTreeRows(tx) : await treeRows(tx, names)).map((row) => [row.tree, row] as const));
  for (const tree of new Set([...names, ...rows.keys()]))
    if (!isSameFrontier(rows.get(tree), known(tree)))
      throw new RecordDiverged(
        `tree ${tree} has ${known(tree).size} entries, as this warden has sealed or proved them; the database says something else (${rows.get(tree)?.size ?? 'nothing'})`,
      );
}

const rowOf = ([tree, { frontier, root }]: readonly [string, Tree]): Grown => ({ tree, size: frontier.size, root });

/** The map of the new head. An epoch begins with the first head of all, when it is wished, and when two trees would have one slot. */
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
 * Seals up to `most` entries of each line inside the caller's transaction, on top of what was proved. undefined: another warden has sealed meanwhile. With
 * nothing to seal, or on top of a head that has no checkpoint yet, nothing is done, and what stands there may be signed.
 * Throws RecordDiverged when a row is not what was proved, and `unavailable` when this is another record.
 */
export async function sealRound(tx: Transaction, standing: Standing, { most, epoch, isSigned }: Wish): Promise<Round | undefined> {
  const state = await lockState(tx);
  if (placeOf(standing, state) === 'ahead') return undefined;
  const unchanged: Round = { sealed: 0, next: standing, at: state.now, checkpoint: state.checkpoint, isEpoch: false, isFull: false };
  if (!isSigned(state.checkpoint)) return unchanged;
  const fresh = await takeFresh(tx, most);
  if (fresh.length === 0 && (epoch === undefined || standing.newest === undefined)) return unchanged;
  await requireMonths(
    tx,
    fresh.map((entry) => entry.at),
    state.now,
  );
  const grove = new Grove(standing.trees);
  await requireRows(tx, standing, [...new Set(fresh.map(treeNameOf))], epoch !== undefined);
  const number = standing.number + fresh.length;
  if (fresh.length > 0) await placeAll(tx, grove, fresh, standing.number);
  const all = grove.all();
  const grown = [...grove.frontiers.keys()].map((tree) => rowOf([tree, all.get(tree) ?? treeOf(grove.of(tree))]));
  const { map, isEpoch } = await mapAfter(standing, all, grown, epoch);
  const position = standing.log.size;
  const head: HeadRow = {
    position,
    at: state.now,
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
  const newest = { text: textOf(head), epoch: head.epoch, epochAt: isEpoch ? head.at : (standing.newest?.epochAt ?? head.at) };
  return {
    ...unchanged,
    sealed: fresh.length,
    next: { era: standing.era, number, log, trees: all, newest, map },
    isEpoch,
    isFull: fresh.filter((entry) => entry.observer !== 'admin').length === most.planes,
  };
}
