// Owns: the proofs from checkpoints to trees and entries, computed from what the database holds: for slices, and for an
// operator who looks at one entry.
// Must never: vouch for a row. A path shows where the row stood; whoever receives it must verify it.
import { hash } from 'node:crypto';
import { CofferdamError } from '../../domain/errors.ts';
import { parseNote } from '../../domain/ledger/checkpoint.ts';
import { type Grown, headsTree, headText, numberCommitment, parseHeadLines } from '../../domain/ledger/leaf.ts';
import { SlotCollision, TreeMap } from '../../domain/ledger/map.ts';
import {
  auditPath,
  blockLeaves,
  frontierOf,
  leafHash,
  levelsOf,
  parseFrontier,
  rootOf,
  type Sha256,
} from '../../domain/ledger/merkle.ts';
import type { Transaction } from '../../postgres/database.ts';
import {
  blocksOf,
  epochBefore,
  type HeadRow,
  headsBetween,
  leavesOf,
  type Newest as NewestRow,
  newestHead,
  witnessedCheckpoint,
} from './proof-queries.ts';

const sha256: Sha256 = (data) => hash('sha256', data, 'buffer');
const utf8 = new TextEncoder();
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

type LeafSource = (first: number, end: number) => Promise<readonly Uint8Array[]>;
type Levels = readonly (readonly Uint8Array[])[];

const notOnline = (): CofferdamError =>
  new CofferdamError('conflict', 'this part of the record is in an archive: it cannot be proved from here');

/** The audit paths in one tree of one size. Leaves are read one block at a time, and the last block is kept. */
export class TreeProofs {
  readonly #size: number;
  readonly #leaves: LeafSource;
  readonly #upper: Levels;
  #block: { readonly index: number; readonly levels: Levels } | undefined;

  private constructor(size: number, leaves: LeafSource, upper: Levels) {
    this.#size = size;
    this.#leaves = leaves;
    this.#upper = upper;
  }

  static async load(size: number, blocks: readonly Uint8Array[], leaves: LeafSource): Promise<TreeProofs> {
    const whole = Math.floor(size / blockLeaves);
    if (blocks.length !== whole) throw new CofferdamError('corrupt', 'blocks of the record are missing');
    const rest = size % blockLeaves === 0 ? [] : await leaves(whole * blockLeaves, size);
    if (rest.length !== size % blockLeaves) throw notOnline();
    const last = levelsOf(sha256, rest).at(-1)?.[0];
    return new TreeProofs(size, leaves, levelsOf(sha256, last === undefined ? blocks : [...blocks, last]));
  }

  async path(position: number): Promise<readonly Uint8Array[]> {
    if (!Number.isSafeInteger(position) || position < 0 || position >= this.#size)
      throw new CofferdamError('not-found', `there is no entry at position ${position} of this tree`);
    const index = Math.floor(position / blockLeaves);
    if (this.#block?.index !== index) {
      const [first, end] = [index * blockLeaves, Math.min(this.#size, (index + 1) * blockLeaves)];
      const leaves = await this.#leaves(first, end);
      if (leaves.length !== end - first) throw notOnline();
      this.#block = { index, levels: levelsOf(sha256, leaves) };
    }
    return [...auditPath(this.#block.levels, position % blockLeaves), ...auditPath(this.#upper, index)];
  }
}

/**
 * A checkpoint and the proof from it to one tree (docs/reference/ledger-format.md, "A slice"). Hashes are in base64.
 */
export type Anchor = {
  readonly checkpoint: string;
  readonly head: { readonly position: number; readonly text: string; readonly proof: readonly string[] };
  readonly tree: {
    readonly size: number;
    readonly root: string;
    readonly blind: string;
    readonly slot: number;
    readonly path: readonly string[];
  };
};

const textOf = ({ position, at, number, secret, mapRoot }: HeadRow): string =>
  headText(position, at, base64(mapRoot), base64(numberCommitment(sha256, secret, position, number)));
const headLeaf = (row: HeadRow): Uint8Array => leafHash(sha256, utf8.encode(textOf(row)));

function treeIn(map: TreeMap, { tree, size, root }: Grown): Anchor['tree'] {
  const way = map.path(tree);
  if (way === undefined) throw new CofferdamError('corrupt', 'a tree of the record is not in its map');
  return { size, root, blind: base64(way.blind), slot: way.slot, path: way.siblings.map(base64) };
}

/** Returns a head and the audit path that leads from it to this checkpoint. */
export async function headIn(tx: Transaction, checkpoint: string, head: HeadRow): Promise<Anchor['head']> {
  const { size } = parseNote(checkpoint).checkpoint;
  const heads = await TreeProofs.load(size, await blocksOf(tx, headsTree, size), async (first, end) =>
    (await headsBetween(tx, first, end)).map(headLeaf),
  );
  return { position: head.position, text: textOf(head), proof: (await heads.path(head.position)).map(base64) };
}

function mapOf(secret: Uint8Array, trees: readonly Grown[]): TreeMap {
  try {
    return TreeMap.empty(sha256, secret).with(trees);
  } catch (error) {
    if (error instanceof SlotCollision)
      throw new CofferdamError('corrupt', 'two trees of the record have one slot of its map');
    throw error;
  }
}

/** Returns the map of these trees. Throws `corrupt` when the head does not commit to it. */
export function requireCommittedMap(head: HeadRow, trees: readonly Grown[]): TreeMap {
  const map = mapOf(head.secret, trees);
  if (base64(map.root()) === base64(head.mapRoot)) return map;
  throw new CofferdamError(
    'corrupt',
    `the trees of head ${head.position} of the record are not those that it commits to`,
  );
}

type Newest = {
  readonly anchor: Anchor;
  /** The number of heads that every required witness has. */
  readonly witnessedSize: number;
  /** Returns the audit path of an entry of this tree, in base64. */
  readonly path: (position: number) => Promise<readonly string[]>;
};

const signedWithinMs = 3000;
const lookEveryMs = 100;

/**
 * Returns the newest head as soon as it has its checkpoint. Throws `conflict` when it has none within `signedWithinMs`.
 */
async function signedHead(tx: Transaction): Promise<NewestRow | undefined> {
  for (
    const end = performance.now() + signedWithinMs;
    ;
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs))
  ) {
    const row = await newestHead(tx);
    if (row === undefined || parseNote(row.checkpoint).checkpoint.size > row.position) return row;
    if (performance.now() > end)
      throw new CofferdamError('conflict', 'the newest entries have no checkpoint yet: ask again in a moment');
  }
}

/**
 * Returns the newest checkpoint and the proof from it to one tree, or undefined when no entry of that tree is sealed.
 * Growth of the tree after that is ignored.
 */
export async function newestAnchor(tx: Transaction, tree: string): Promise<Newest | undefined> {
  const row = await signedHead(tx);
  if (row === undefined) return undefined;
  const trees = row.all
    .filter((one) => one.tree !== headsTree)
    .map(({ tree: name, size, frontier }): Grown => ({ tree: name, size, root: rootIn(size, frontier) }));
  const own = trees.find((one) => one.tree === tree);
  if (own === undefined) return undefined;
  const entries = await TreeProofs.load(own.size, await blocksOf(tx, tree, own.size), (first, end) =>
    leavesOf(tx, tree, first, end),
  );
  return {
    anchor: {
      checkpoint: row.checkpoint,
      head: await headIn(tx, row.checkpoint, row),
      tree: treeIn(mapOf(row.secret, trees), own),
    },
    witnessedSize: row.witnessedSize,
    path: async (position) => (await entries.path(position)).map(base64),
  };
}

/** Returns the root of a tree of that size, in base64. Throws `corrupt` when the frontier is not that of one. */
export function rootIn(size: number, frontier: string): string {
  try {
    return base64(rootOf(sha256, parseFrontier(size, Buffer.from(frontier, 'base64'))));
  } catch (cause) {
    throw new CofferdamError('corrupt', 'a tree of the record cannot be read', { cause });
  }
}

/** The number of maps that are kept: those of the epochs of the last slices. Each contains all trees. */
const mapsMax = 4;

/** Finds proofs from epochs to trees, and keeps the maps of the last few epochs. */
export class EpochAnchors {
  readonly #maps = new Map<string, { readonly map: TreeMap; readonly trees: ReadonlyMap<string, Grown> }>();

  /**
   * Finds the newest head that began an epoch and is covered by `witnessedCheckpoint`, not later than `at`
   * (microseconds since 1970) when it is given. `of` returns the proof from the checkpoint to a tree as that head
   * states it.
   */
  async find(
    tx: Transaction,
    at: number | null,
  ): Promise<{ readonly at: number; of(tree: string): Promise<Anchor | undefined> } | undefined> {
    const checkpoint = await witnessedCheckpoint(tx);
    if (checkpoint === undefined) return undefined;
    const head = await epochBefore(tx, parseNote(checkpoint).checkpoint.size, at);
    if (head === undefined) return undefined;
    const { map, trees } = this.#mapOf(head);
    return {
      at: head.at,
      of: async (tree) => {
        const own = trees.get(tree);
        if (own === undefined) return undefined;
        return { checkpoint, head: await headIn(tx, checkpoint, head), tree: treeIn(map, own) };
      },
    };
  }

  #mapOf(head: HeadRow): { readonly map: TreeMap; readonly trees: ReadonlyMap<string, Grown> } {
    const key = `${head.position} ${base64(head.secret)}`;
    const known = this.#maps.get(key);
    if (known !== undefined) return known;
    const trees = parseHeadLines(head.trees);
    if (trees === undefined) throw new CofferdamError('corrupt', 'the lines of a head of the record cannot be read');
    const map = requireCommittedMap(head, trees);
    const made = { map, trees: new Map(trees.map((one) => [one.tree, one] as const)) };
    const [oldest] = this.#maps.keys();
    if (this.#maps.size >= mapsMax && oldest !== undefined) this.#maps.delete(oldest);
    this.#maps.set(key, made);
    return made;
  }
}

/**
 * Returns the roots of the whole subtrees of a tree of that size, the largest first, in base64. Throws `conflict` when
 * the leaves are in an archive.
 */
export async function frontierAt(tx: Transaction, tree: string, size: number): Promise<readonly string[]> {
  const whole = Math.floor(size / blockLeaves);
  const blocks = await blocksOf(tx, tree, size);
  if (blocks.length !== whole) throw new CofferdamError('corrupt', 'blocks of the record are missing');
  const rest = size % blockLeaves === 0 ? [] : await leavesOf(tx, tree, whole * blockLeaves, size);
  if (rest.length !== size % blockLeaves) throw notOnline();
  return frontierOf(sha256, blocks, rest).roots.map(base64);
}
