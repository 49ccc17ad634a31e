// Owns: the SQL by which proofs are read: the newest checkpoint and what it covers, heads, blocks, leaves.
// Must never: read beyond the sizes of that one look. The record grows meanwhile; what stands below a size never changes.
import { headsTree } from '../../domain/ledger/leaf.ts';
import { blockLeaves } from '../../domain/ledger/merkle.ts';
import type { Transaction } from '../../postgres/database.ts';

export type ProofBase = {
  /** The newest signed note. */
  readonly checkpoint: string;
  /** Of the heads log. */
  readonly heads: number;
  /** Of the tree, and the head in which it grew last. */
  readonly size: number;
  readonly head: number;
};

/** One statement, so that note and sizes belong together; undefined: nothing of this tree is sealed. */
export async function proofBase(tx: Transaction, tree: string): Promise<ProofBase | undefined> {
  const [row] = await tx.query<ProofBase>(
    `select s.checkpoint, h.size as heads, t.size, t.head from ledger_state s cross join ledger_tree t cross join ledger_tree h
     where t.tree = $1 and h.tree = $2 and t.head is not null and s.checkpoint is not null`,
    [tree, headsTree],
  );
  return row;
}

/** Hashes of the complete blocks below `count`, in order. */
export async function blockHashes(tx: Transaction, tree: string, count: number): Promise<readonly Buffer[]> {
  const rows = await tx.query<{ hash: Buffer }>('select hash from ledger_block where tree = $1 and index < $2 order by index', [
    tree,
    count,
  ]);
  return rows.map((row) => row.hash);
}

export type Leaf = { readonly position: number; readonly leaf: Buffer };

/** Leaves of these blocks below `size`, in order. */
export async function leavesOfBlocks(tx: Transaction, tree: string, blocks: readonly number[], size: number): Promise<readonly Leaf[]> {
  return tx.query<Leaf>(
    `select s.position, s.leaf from unnest($2::bigint[]) b(index)
       join ledger_sealed s on s.tree = $1 and s.position >= b.index * $4 and s.position < least((b.index + 1) * $4, $3::bigint)
     order by s.position`,
    [tree, blocks, size, blockLeaves],
  );
}

export type Head = { readonly position: number; readonly at: number; readonly number: number; readonly trees: string };

/** Heads of one block below `size`, in order. */
export async function headsOfBlock(tx: Transaction, block: number, size: number): Promise<readonly Head[]> {
  return tx.query<Head>(
    'select position, micros(at) as at, number, trees from ledger_head where position >= $1 and position < $2 order by position',
    [block * blockLeaves, Math.min((block + 1) * blockLeaves, size)],
  );
}
