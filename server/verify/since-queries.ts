// Owns: the SQL by which a run reads only what was sealed after positions that it knows.
// Must never: leave out a row after such a position because a head of the database does not name its tree.
import type { Line } from '../admin/ledger/dump-queries.ts';
import { blockLeaves } from '../domain/ledger/merkle.ts';
import type { Transaction } from '../postgres/database.ts';

/** Whether a tree has blocks, leaves or entries beyond the size that is known of it. */
type GrownTree = {
  readonly tree: string;
  readonly blocks: boolean;
  readonly leaves: boolean;
  readonly entries: boolean;
};

/** Returns, for each of these trees, what it has beyond the size at the same index. */
export async function grownTrees(
  tx: Transaction,
  trees: readonly string[],
  sizes: readonly number[],
): Promise<readonly GrownTree[]> {
  return tx.query<GrownTree>(
    `select b.tree::text as tree, exists (select from ledger_block l where l.tree = b.tree and l.index >= b.size / $3) as blocks,
       exists (select from ledger_leaf l where l.tree = b.tree and l.position >= b.size) as leaves,
       exists (select from ledger_sealed s where s.tree = b.tree and s.position >= b.size)
         or exists (select from ledger_kept k where k.tree = b.tree and k.position >= b.size) as entries
     from unnest($1::uuid[], $2::bigint[]) as b(tree, size)`,
    [trees, sizes, blockLeaves],
  );
}

/**
 * Returns the hashes of one tree's blocks (part 2 of a dump), or of the leaves that archives left (part 3), after
 * position `after`.
 */
export async function pageOfHashes(
  tx: Transaction,
  part: 2 | 3,
  tree: string,
  after: number,
  limit: number,
): Promise<readonly Line[]> {
  return tx.query<Line>(
    'select position as at, line from ledger_dump where part = $1 and tree = $2 and position > $3 order by position limit $4',
    [part, tree, after, limit],
  );
}
