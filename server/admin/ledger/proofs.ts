// Owns: proofs that entries stand in the record: their audit paths in their tree, the tree's head, and the head's path to the newest checkpoint.
// Must never: give a path that does not lead to the root that the head names.
import { hash } from 'node:crypto';
import { CofferdamError } from '../../domain/errors.ts';
import { parseNote } from '../../domain/ledger/checkpoint.ts';
import { headsTree, headText } from '../../domain/ledger/leaf.ts';
import { auditPath, blockLeaves, leafHash, levelsOf, type Sha256 } from '../../domain/ledger/merkle.ts';
import type { Transaction } from '../../postgres/database.ts';
import { blockHashes, type Head, headsOfBlock, leavesOfBlocks, type ProofBase, proofBase } from './proof-queries.ts';

export type Proven = {
  /** The signed note, as it is handed to witnesses. */
  readonly checkpoint: string;
  /** `text`: the data of the head's leaf; `proof`: its audit path in the heads log of the checkpoint, base64. */
  readonly head: { readonly position: number; readonly text: string; readonly proof: readonly string[] };
  readonly tree: { readonly id: string; readonly size: number };
  /** Audit paths in the tree of that size, by position; base64. */
  readonly proofs: ReadonlyMap<number, readonly string[]>;
};

const sha256: Sha256 = (data) => hash('sha256', data, 'buffer');
const utf8 = new TextEncoder();
/** Blocks whose leaves are in memory at once. */
const blocksAtOnce = 64;

const base64 = (path: readonly Uint8Array[]): readonly string[] => path.map((node) => Buffer.from(node).toString('base64'));
const missing = (what: string): CofferdamError =>
  new CofferdamError('not-found', `${what}: they are in an archive, or were taken away. Without them nothing can be proven here`);

type Levels = readonly (readonly Uint8Array[])[];
const rootOfLevels = (levels: Levels): Uint8Array => levels.at(-1)?.[0] ?? new Uint8Array();

/** The levels over the blocks of a tree; `last`: the root of the incomplete block at its end, if there is one. */
async function blockLevels(tx: Transaction, tree: string, size: number, last: Uint8Array | undefined): Promise<Levels> {
  const whole = Math.floor(size / blockLeaves);
  const hashes = await blockHashes(tx, tree, whole);
  if (hashes.length !== whole) throw missing('hashes of blocks are missing');
  return levelsOf(sha256, last === undefined ? hashes : [...hashes, last]);
}

const lengthOf = (block: number, size: number): number => Math.min(blockLeaves, size - block * blockLeaves);

/** The levels over the leaves of each of these blocks, by block. */
async function leafLevels(tx: Transaction, tree: string, blocks: readonly number[], size: number): Promise<ReadonlyMap<number, Levels>> {
  const leaves = new Map<number, Uint8Array[]>(blocks.map((block) => [block, []]));
  for (const { position, leaf } of await leavesOfBlocks(tx, tree, blocks, size)) leaves.get(Math.floor(position / blockLeaves))?.push(leaf);
  return new Map(
    [...leaves].map(([block, nodes]) => {
      if (nodes.length !== lengthOf(block, size)) throw missing(`entries beside position ${block * blockLeaves} of this tree are missing`);
      return [block, levelsOf(sha256, nodes)] as const;
    }),
  );
}

async function pathsInTree(
  tx: Transaction,
  tree: string,
  size: number,
  positions: readonly number[],
): Promise<{ readonly root: Uint8Array; readonly paths: ReadonlyMap<number, readonly string[]> }> {
  const lastBlock = size % blockLeaves === 0 ? undefined : Math.floor(size / blockLeaves);
  const last = lastBlock === undefined ? undefined : (await leafLevels(tx, tree, [lastBlock], size)).get(lastBlock);
  const above = await blockLevels(tx, tree, size, last === undefined ? undefined : rootOfLevels(last));
  const wanted = Map.groupBy(positions, (position) => Math.floor(position / blockLeaves));
  const blocks = [...wanted.keys()].sort((a, b) => a - b);
  const paths = new Map<number, readonly string[]>();
  for (let at = 0; at < blocks.length; at += blocksAtOnce) {
    const some = await leafLevels(tx, tree, blocks.slice(at, at + blocksAtOnce), size);
    for (const [block, levels] of some) {
      const rest = auditPath(above, block);
      // What stands in a complete block must be what the block's hash was made of.
      if (!Buffer.from(rootOfLevels(levels)).equals(above[0]?.[block] ?? new Uint8Array()))
        throw new CofferdamError('corrupt', `the entries of this tree from position ${block * blockLeaves} are not those that were sealed`);
      for (const position of wanted.get(block) ?? []) paths.set(position, base64([...auditPath(levels, position % blockLeaves), ...rest]));
    }
  }
  return { root: rootOfLevels(above), paths };
}

const textOf = (head: Head): string => headText(head.position, head.at, head.number, head.trees);

async function proveHead(tx: Transaction, base: ProofBase, line: string): Promise<Proven['head']> {
  const { checkpoint } = parseNote(base.checkpoint);
  if (checkpoint.size !== base.heads) throw new CofferdamError('corrupt', 'the newest checkpoint does not cover the heads of the record');
  const levelsAt = async (block: number): Promise<{ readonly heads: readonly Head[]; readonly levels: Levels }> => {
    const heads = await headsOfBlock(tx, block, base.heads);
    if (heads.length !== lengthOf(block, base.heads)) throw new CofferdamError('corrupt', 'heads of the record are missing');
    return {
      heads,
      levels: levelsOf(
        sha256,
        heads.map((head) => leafHash(sha256, utf8.encode(textOf(head)))),
      ),
    };
  };
  const [own, lastBlock] = [Math.floor(base.head / blockLeaves), Math.floor(base.heads / blockLeaves)];
  const last = base.heads % blockLeaves === 0 ? undefined : await levelsAt(lastBlock);
  const above = await blockLevels(tx, headsTree, base.heads, last === undefined ? undefined : rootOfLevels(last.levels));
  const { heads, levels } = last !== undefined && own === lastBlock ? last : await levelsAt(own);
  const head = heads[base.head % blockLeaves];
  if (head === undefined || !head.trees.split('\n').includes(line))
    throw new CofferdamError('corrupt', 'the head of this tree names another size or root than its entries have');
  if (
    !Buffer.from(rootOfLevels(above)).equals(Buffer.from(checkpoint.root, 'base64')) ||
    !Buffer.from(rootOfLevels(levels)).equals(above[0]?.[own] ?? new Uint8Array())
  )
    throw new CofferdamError('corrupt', 'the heads of the record are not what the newest checkpoint says');
  return {
    position: base.head,
    text: textOf(head),
    proof: base64([...auditPath(levels, base.head % blockLeaves), ...auditPath(above, own)]),
  };
}

/**
 * Proofs for any number of positions of one tree, all against one checkpoint. Call it in a transaction that sees every customer.
 * Throws `not-found` for what is not sealed or no longer here, `corrupt` when the stored record does not lead to its checkpoint.
 */
export async function proveEntries(tx: Transaction, tree: string, positions: readonly number[]): Promise<Proven> {
  const base = await proofBase(tx, tree);
  if (base === undefined) throw new CofferdamError('not-found', 'nothing of this tree is sealed yet');
  if (positions.some((position) => !Number.isSafeInteger(position) || position < 0 || position >= base.size))
    throw new CofferdamError('not-found', `the tree ${tree} has ${base.size} entries; one was asked for that is not among them`);
  const { root, paths } = await pathsInTree(tx, tree, base.size, positions);
  const line = `${tree} ${base.size} ${Buffer.from(root).toString('base64')}`;
  return { checkpoint: base.checkpoint, head: await proveHead(tx, base, line), tree: { id: tree, size: base.size }, proofs: paths };
}
