// Owns: the SQL of what an audit path is made of: heads, trees, blocks, leaves.
import { blockLeaves } from '../../domain/ledger/merkle.ts';
import type { Transaction } from '../../postgres/database.ts';

export async function newestCheckpoint(tx: Transaction): Promise<{ readonly note: string | null; readonly witnessedSize: number }> {
  const [row] = await tx.query<{ note: string | null; witnessed: number }>(
    'select checkpoint as note, witnessed_size as witnessed from ledger_state',
  );
  return { note: row?.note ?? null, witnessedSize: row?.witnessed ?? 0 };
}

export type TreeRow = { readonly size: number; readonly head: number };

export async function findTree(tx: Transaction, tree: string): Promise<TreeRow | undefined> {
  return (await tx.query<TreeRow>('select size, head from ledger_tree where tree = $1', [tree]))[0];
}

/** Hashes of the whole blocks of a tree of that size; fewer when some are missing. */
export async function blocksOf(tx: Transaction, tree: string, size: number): Promise<readonly Buffer[]> {
  const rows = await tx.query<{ hash: Buffer }>('select hash from ledger_block where tree = $1 and index < $2 order by index', [
    tree,
    Math.floor(size / blockLeaves),
  ]);
  return rows.map((row) => row.hash);
}

/** Leaf hashes of the positions from `first` up to `end`; fewer when some are not online. */
export async function leavesOf(tx: Transaction, tree: string, first: number, end: number): Promise<readonly Buffer[]> {
  const rows = await tx.query<{ leaf: Buffer }>(
    'select leaf from ledger_sealed where tree = $1 and position >= $2 and position < $3 order by position',
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
