// Owns: one round of sealing: unsealed entries get numbers and places in their trees, the trees' new roots a head, the heads log a signed checkpoint.
// Must never: seal without the lock on the state, or sign a root that is not in the same transaction.
import { hash, randomBytes } from 'node:crypto';
import { CofferdamError } from '../../domain/errors.ts';
import { type Checkpoint, parseNote } from '../../domain/ledger/checkpoint.ts';
import { commonTree, type Grown, headLines, headsTree, headText, leafData, saltBytes } from '../../domain/ledger/leaf.ts';
import { append, emptyFrontier, type Frontier, leafHash, rootOf, type Sha256 } from '../../domain/ledger/merkle.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { CheckpointSigner } from '../keys/checkpoint-signer.ts';
import { requireMonths } from './months.ts';
import {
  type Block,
  type FreshEntry,
  frontiersOf,
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
} from './seal-queries.ts';

export const sha256: Sha256 = (data) => hash('sha256', data, 'buffer');
const utf8 = new TextEncoder();
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
/** Entries of one round that the planes wait for. */
export const roundMax = 4000;
/** Of the words of operators a round takes an eighth of that beside it: they are told in time, and however many there are, a round is hardly longer. */
const operatorsPart = 8;
/** A round of this size. */
export const takenOf = (entriesMax: number): Taken => ({ planes: entriesMax, operators: Math.ceil(entriesMax / operatorsPart) });

export type Signing = { readonly signer: CheckpointSigner; readonly origin: string };
/** The record as it was compared: nothing may be sealed on another one. `root`: of the heads log, base64. */
export type Compared = { readonly era: number; readonly heads: number; readonly root: string };
export type Round = {
  readonly sealed: number;
  readonly checkpoint: Checkpoint;
  readonly note: string;
  /** There may be more that the planes wait for, to seal at once. */
  readonly isFull: boolean;
};

/** Frontiers that grow while entries are placed. */
class Grove {
  readonly #trees: Map<string, Frontier>;
  readonly blocks: Block[] = [];

  constructor(trees: ReadonlyMap<string, Frontier>) {
    this.#trees = new Map(trees);
  }

  get trees(): ReadonlyMap<string, Frontier> {
    return this.#trees;
  }

  of(tree: string): Frontier {
    return this.#trees.get(tree) ?? emptyFrontier;
  }

  grow(tree: string, leaf: Uint8Array): void {
    const onBlock = (index: number, hash: Uint8Array): void => void this.blocks.push({ tree, index, hash });
    this.#trees.set(tree, append(sha256, this.of(tree), leaf, onBlock));
  }

  grown(): readonly Grown[] {
    return [...this.#trees]
      .filter(([tree]) => tree !== headsTree)
      .map(([tree, frontier]) => ({ tree, size: frontier.size, root: base64(rootOf(sha256, frontier)) }));
  }
}

const treeOf = (entry: FreshEntry): string => entry.customer ?? commonTree;

async function placeAll(tx: Transaction, grove: Grove, fresh: readonly FreshEntry[], before: number): Promise<void> {
  const salts = randomBytes(fresh.length * saltBytes);
  const leaves = Buffer.alloc(fresh.length * 32);
  const places = fresh.map((entry, i): Place => {
    const tree = treeOf(entry);
    const place = { id: entry.id, tree, position: grove.of(tree).size, number: before + 1 + i };
    const leaf = leafHash(sha256, leafData(sha256, { ...entry, ...place }, salts.subarray(i * saltBytes, (i + 1) * saltBytes)));
    leaves.set(leaf, i * 32);
    grove.grow(tree, leaf);
    return place;
  });
  await moveEntries(tx, places, salts, leaves);
}

/** The checkpoint of the trees as they stand in `heads`. */
function sign(
  { signer, origin }: Signing,
  state: LedgerState,
  era: number,
  number: number,
  heads: Frontier,
): { checkpoint: Checkpoint; note: string } {
  const checkpoint: Checkpoint = {
    origin,
    size: heads.size,
    root: base64(rootOf(sha256, heads)),
    era,
    time: new Date(state.now / 1000).toISOString(),
    entries: number,
  };
  return { checkpoint, note: signer.sign(checkpoint) };
}

/** `ahead`: another warden has sealed meanwhile, which is looked at first. A connection may also lead to another database than a moment ago. */
function standing({ era, heads, root }: Compared, nowEra: number, log: Frontier): 'same' | 'ahead' | 'other' {
  if (era !== nowEra || log.size < heads) return 'other';
  if (log.size > heads) return 'ahead';
  return base64(rootOf(sha256, log)) === root ? 'same' : 'other';
}

/** Of the newest checkpoint; the first era begins without one. */
const eraSigned = ({ checkpoint }: LedgerState): number => (checkpoint === null ? 1 : parseNote(checkpoint).checkpoint.era);

/**
 * Seals up to `most` entries of each line inside the caller's transaction. With nothing to seal it signs the same trees again when `isSignedAnyway`, else
 * undefined. Nor does it seal on top of what was not compared: `unavailable` when the record is not the one of `compared`.
 */
export async function sealRound(
  tx: Transaction,
  signing: Signing,
  isSignedAnyway: boolean,
  compared?: Compared,
  most: Taken = takenOf(roundMax),
): Promise<Round | undefined> {
  const state = await lockState(tx);
  // The first checkpoint of an era is of the very size at which it goes on: everybody can tell by it what was given up.
  const isNewEra = eraSigned(state) !== state.era;
  const fresh = isNewEra ? [] : await takeFresh(tx, most);
  if (fresh.length === 0 && !isSignedAnyway && !isNewEra) return undefined;
  await requireMonths(
    tx,
    fresh.map((entry) => entry.at),
    state.now,
  );
  const grove = new Grove(await frontiersOf(tx, [...new Set(fresh.map(treeOf)), headsTree]));
  const place = compared === undefined ? 'same' : standing(compared, state.era, grove.of(headsTree));
  if (place === 'ahead') return undefined;
  if (place === 'other') throw new CofferdamError('unavailable', 'the record is not the one that was compared with its witness');
  const number = state.number + fresh.length;
  if (fresh.length > 0) {
    await placeAll(tx, grove, fresh, state.number);
    const position = grove.of(headsTree).size;
    const lines = headLines(grove.grown());
    grove.grow(headsTree, leafHash(sha256, utf8.encode(headText(position, state.now, number, lines))));
    await insertHead(tx, position, state.now, number, lines);
    await saveTrees(tx, grove.trees, position);
    await insertBlocks(tx, grove.blocks);
  }
  const { checkpoint, note } = sign(signing, state, state.era, number, grove.of(headsTree));
  await saveState(tx, state.era, number, note);
  return { sealed: fresh.length, checkpoint, note, isFull: fresh.filter((entry) => entry.observer !== 'admin').length === most.planes };
}
