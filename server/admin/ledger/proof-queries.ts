// Owns: the SQL of what an audit path is made of: heads, trees, blocks, leaves.
import { blockLeaves } from '../../domain/ledger/merkle.ts';
import type { Transaction } from '../../postgres/database.ts';

export type ProofBase = {
  /** The newest signed note, and how much of the heads log every required witness has. */
  readonly note: string;
  readonly witnessedSize: number;
  /** Of the tree, and the head in which it grew last. */
  readonly size: number;
  readonly head: number;
};

/** One statement, so that note and tree belong together; what stands below these sizes never changes. undefined: nothing of the tree is sealed. */
export async function proofBase(tx: Transaction, tree: string): Promise<ProofBase | undefined> {
  const [row] = await tx.query<ProofBase>(
    `select s.checkpoint as note, s.witnessed_size as "witnessedSize", t.size, t.head from ledger_state s cross join ledger_tree t
     where t.tree = $1 and t.head is not null and s.checkpoint is not null`,
    [tree],
  );
  return row;
}

/** Hashes of the whole blocks of a tree of that size; fewer when some are missing. */
export async function blocksOf(tx: Transaction, tree: string, size: number): Promise<readonly Buffer[]> {
  const rows = await tx.query<{ hash: Buffer }>('select hash from ledger_block where tree = $1 and index < $2 order by index', [
    tree,
    Math.floor(size / blockLeaves),
  ]);
  return rows.map((row) => row.hash);
}

/** Leaf hashes of the positions from `first` up to `end`; those of a month that left its last block behind stand apart. Fewer when some are not online. */
export async function leavesOf(tx: Transaction, tree: string, first: number, end: number): Promise<readonly Buffer[]> {
  const rows = await tx.query<{ leaf: Buffer }>(
    `select leaf from (select position, leaf from ledger_sealed where tree = $1 and position >= $2 and position < $3
       union all select position, leaf from ledger_leaf where tree = $1 and position >= $2 and position < $3) x order by position`,
    [tree, first, end],
  );
  return rows.map((row) => row.leaf);
}

export type HeadRow = { readonly position: number; readonly at: number; readonly number: number; readonly trees: string };

export async function headsBetween(tx: Transaction, first: number, end: number): Promise<readonly HeadRow[]> {
  return tx.query<HeadRow>(
    'select position, micros(at) as at, number, trees from ledger_head where position >= $1 and position < $2 order by position',
    [first, end],
  );
}
