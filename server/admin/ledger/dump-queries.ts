// Owns: the SQL that reads the record for verification, page by page: rows that never change, up to the state at the
// start.
// Must never: leave out a row that could be forged. Only rows that were sealed since the start are skipped.
import type { Transaction } from '../../postgres/database.ts';

export type Bound = { readonly heads: number; readonly number: number };

/** Returns the number of heads and of sealed entries at the start of a verification. */
export async function boundOf(tx: Transaction): Promise<Bound> {
  const [row] = await tx.query<Bound>(
    "select coalesce((select size from ledger_tree where tree = 'ffffffff-ffff-ffff-ffff-ffffffffffff'), 0) as heads, number from ledger_state",
  );
  if (row === undefined) throw new Error('the ledger has no state');
  return row;
}

/**
 * Returns a mark that changes whenever a month leaves the database. What was read before and after such a change does
 * not belong together.
 */
export async function monthsMark(tx: Transaction): Promise<string> {
  const [row] = await tx.query<{ mark: string }>(
    `select (select count(*) from ledger_leaf) || '/' || (select count(*) from ledger_kept) || '/'
       || (select count(*) from ledger_archive a where pg_catalog.to_regclass('public.ledger_sealed_' || to_char(a.month, 'YYYYMM')) is null) as mark`,
  );
  return row?.mark ?? '';
}

/** A line of a dump. `at` is the position of its head, leaf or entry, or the index of its block. */
export type Line = { readonly at: number; readonly line: string };

export async function pageOfHeads(
  tx: Transaction,
  after: number,
  bound: Bound,
  limit: number,
): Promise<readonly Line[]> {
  return tx.query<Line>(
    'select position as at, line from ledger_dump where part = 1 and position > $1 and position < $2 order by position limit $3',
    [after, bound.heads, limit],
  );
}

export async function pageOfBlocks(
  tx: Transaction,
  after: { readonly tree: string; readonly index: number },
  limit: number,
): Promise<readonly (Line & { readonly tree: string })[]> {
  return tx.query<Line & { readonly tree: string }>(
    'select tree, position as at, line from ledger_dump where part = 2 and (tree, position) > ($1, $2) order by tree, position limit $3',
    [after.tree, after.index, limit],
  );
}

/** Returns leaf hashes that the months in archives left behind. */
export async function pageOfLeaves(
  tx: Transaction,
  after: { readonly tree: string; readonly index: number },
  limit: number,
): Promise<readonly (Line & { readonly tree: string })[]> {
  return tx.query<Line & { readonly tree: string }>(
    'select tree, position as at, line from ledger_dump where part = 3 and (tree, position) > ($1, $2) order by tree, position limit $3',
    [after.tree, after.index, limit],
  );
}

/** Returns the tree after `after` in order, or undefined after the last one. */
export async function nextTree(tx: Transaction, after: string | null): Promise<string | undefined> {
  const [row] = await tx.query<{ tree: string }>(
    `select tree from ((select tree from ledger_sealed where $1::uuid is null or tree > $1::uuid order by tree limit 1)
       union all (select tree from ledger_kept where $1::uuid is null or tree > $1::uuid order by tree limit 1)) t order by tree limit 1`,
    [after],
  );
  return row?.tree;
}

/** Returns entries of one tree. `size` is the size of that tree at the bound. */
export async function pageOfEntries(
  tx: Transaction,
  tree: string,
  after: number,
  size: number,
  bound: Bound,
  limit: number,
): Promise<readonly Line[]> {
  return tx.query<Line>(
    `select d.position as at, d.line from ledger_dump d where d.part = 4 and d.tree = $1 and d.position > $2
       and not (d.position >= $3 and (d.line::json #>> '{entry,2}')::bigint > $4 and (d.line::json #>> '{entry,2}')::bigint <= (select number from ledger_state))
     order by d.position limit $5`,
    [tree, after, size, bound.number, limit],
  );
}
