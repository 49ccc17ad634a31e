// Owns: the SQL by which a run reads only what was sealed behind places that it knows.
// Must never: leave out a row behind such a place because the database says that there is none of its tree.
import type { Line } from '../admin/ledger/dump-queries.ts';
import { blockLeaves } from '../domain/ledger/merkle.ts';
import type { Transaction } from '../postgres/database.ts';

export type Behind = { readonly tree: string; readonly blocks: boolean; readonly leaves: boolean; readonly entries: boolean };

/** Of which trees there is anything behind these sizes. */
export async function rowsBehind(tx: Transaction, trees: readonly string[], sizes: readonly number[]): Promise<readonly Behind[]> {
  return tx.query<Behind>(
    `select b.tree::text as tree, exists (select from ledger_block l where l.tree = b.tree and l.index >= b.size / $3) as blocks,
       exists (select from ledger_leaf l where l.tree = b.tree and l.position >= b.size) as leaves,
       exists (select from ledger_sealed s where s.tree = b.tree and s.position >= b.size)
         or exists (select from ledger_kept k where k.tree = b.tree and k.position >= b.size) as entries
     from unnest($1::uuid[], $2::bigint[]) as b(tree, size)`,
    [trees, sizes, blockLeaves],
  );
}

/** Hashes of blocks (part 2) or leaves that archives left behind (part 3) of one tree. */
export async function pageOfHashes(tx: Transaction, part: 2 | 3, tree: string, after: number, limit: number): Promise<readonly Line[]> {
  return tx.query<Line>(
    'select position as at, line from ledger_dump where part = $1 and tree = $2 and position > $3 order by position limit $4',
    [part, tree, after, limit],
  );
}
