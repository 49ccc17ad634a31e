// Owns: the SQL that reads, for proving the record on which an answer rests (`proving.ts`), everything that is sealed:
// the newest head, the entries by their positions, what archived months left behind, and rows to which no head commits.
import type { Transaction } from '../../postgres/database.ts';
import { entryColumns, type SealedRow } from './entry-columns.ts';
import type { HeadRow } from './proof-queries.ts';

type TreeRow = { readonly tree: string; readonly size: number; readonly frontier: string };
type StandingHead = HeadRow & { readonly trees: string; readonly all: readonly TreeRow[] };

/**
 * Returns the newest head, signed or not, and all trees as they stand after it; undefined when nothing is sealed.
 * Frontiers are in base64.
 */
export async function standingHead(tx: Transaction): Promise<StandingHead | undefined> {
  const [row] = await tx.query<StandingHead>(
    `select h.position, micros(h.at) as at, h.number, h.secret, h.map_root as "mapRoot", h.trees,
       (select json_agg(json_build_object('tree', t.tree, 'size', t.size, 'frontier', translate(encode(t.frontier, 'base64'), E'\\n', ''))) from ledger_tree t) as all
     from ledger_head h order by h.position desc limit 1`,
  );
  return row;
}

/** `isOtherwise`: the column `sha256` of the row differs from `sha256` among the public fields of the entry. */
export type ReadRow = SealedRow & { readonly leaf: Buffer; readonly isOtherwise: boolean };

/**
 * Returns the entries of a tree from position `first` up to, but not including, `end`, in order. There is at most one
 * more than there are positions: two entries at one position are a fault.
 */
export async function entriesBetween(
  tx: Transaction,
  tree: string,
  first: number,
  end: number,
): Promise<readonly ReadRow[]> {
  return tx.query<ReadRow>(
    `select ${entryColumns}, l.leaf, l.sha256 is distinct from l.public ->> 'sha256' as "isOtherwise" from ledger_sealed l where l.tree = $1 and l.position >= $2 and l.position < $3 order by l.position limit $4`,
    [tree, first, end, end - first + 1],
  );
}

/**
 * Returns the entries about archives (`ledger.archived`) that were sealed in a month which has itself left the
 * database, at these positions of a tree, in order. Like all that is read here, they are at most one more than there
 * are positions, whatever rows somebody put beside them.
 */
export async function keptBetween(
  tx: Transaction,
  tree: string,
  first: number,
  end: number,
): Promise<readonly ReadRow[]> {
  return tx.query<ReadRow>(
    `select ${entryColumns}, l.leaf, l.sha256 is distinct from l.public ->> 'sha256' as "isOtherwise" from ledger_kept l where l.tree = $1 and l.position >= $2 and l.position < $3 order by l.position limit $4`,
    [tree, first, end, end - first + 1],
  );
}

type LeftLeaf = { readonly position: number; readonly leaf: Buffer };

/** Returns the leaf hashes that archived months left behind at these positions of a tree. */
export async function leftLeavesBetween(
  tx: Transaction,
  tree: string,
  first: number,
  end: number,
): Promise<readonly LeftLeaf[]> {
  return tx.query<LeftLeaf>(
    'select position, leaf from ledger_leaf where tree = $1 and position >= $2 and position < $3 order by position limit $4',
    [tree, first, end, end - first + 1],
  );
}

/** Returns the lowest position from `first` on of which the database has an entry or a leaf hash; null: none. */
export async function nextPosition(tx: Transaction, tree: string, first: number): Promise<number | null> {
  const [row] = await tx.query<{ position: number | null }>(
    `select min(x.position) as position from (
       (select position from ledger_sealed where tree = $1 and position >= $2 order by position limit 1)
       union all (select position from ledger_kept where tree = $1 and position >= $2 order by position limit 1)
       union all (select position from ledger_leaf where tree = $1 and position >= $2 order by position limit 1)) x`,
    [tree, first],
  );
  return row?.position ?? null;
}

type Block = { readonly index: number; readonly hash: Buffer };

/** Returns the hashes of the blocks of a tree from index `first` up to, but not including, `end`, in order. */
export async function blocksBetween(
  tx: Transaction,
  tree: string,
  first: number,
  end: number,
): Promise<readonly Block[]> {
  return tx.query<Block>(
    'select index, hash from ledger_block where tree = $1 and index >= $2 and index < $3 order by index limit $4',
    [tree, first, end, end - first + 1],
  );
}

/**
 * Returns a tree with rows in `ledger_sealed` to which no head commits: the tree is none of `trees`, or the position of
 * a row is negative or not below the size of the tree in `sizes`. Returns undefined when there is no such tree.
 */
export async function strayTree(
  tx: Transaction,
  trees: readonly string[],
  sizes: readonly number[],
): Promise<string | undefined> {
  const [row] = await tx.query<{ tree: string }>(
    `with recursive known as materialized (select * from unnest($1::uuid[], $2::bigint[]) k(tree, size)),
       walk as (
         (select s.tree from ledger_sealed s order by s.tree limit 1)
         union all
         select (select s.tree from ledger_sealed s where s.tree > walk.tree order by s.tree limit 1) from walk where walk.tree is not null)
     select w.tree from walk w where w.tree is not null and (w.tree not in (select k.tree from known k)
       or exists (select from ledger_sealed s where s.tree = w.tree and s.position < 0)
       or exists (select from ledger_sealed s where s.tree = w.tree and s.position >= (select k.size from known k where k.tree = w.tree))) limit 1`,
    [trees, sizes],
  );
  return row?.tree;
}
