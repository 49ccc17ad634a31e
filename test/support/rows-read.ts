// Owns: how many rows a database has read, for tests of what something costs.
import type { TestDatabase } from './database.ts';

/**
 * Rows of all tables that were read so far, by whatever way. What this connection read is told at once: later it would
 * count for whichever pass runs then.
 */
export async function rowsRead(sql: TestDatabase): Promise<ReadonlyMap<string, number>> {
  await sql.query('select pg_stat_force_next_flush()');
  await sql.query('select pg_stat_clear_snapshot()');
  const found = await sql.query<{ table: string; n: string }>(
    `select t.relname as table, coalesce(t.seq_tup_read, 0) + coalesce(i.n, 0) as n from pg_stat_user_tables t
       left join (select relid, sum(idx_tup_read) as n from pg_stat_user_indexes group by relid) i using (relid)`,
  );
  return new Map(found.map(({ table, n }) => [table, Number(n)]));
}
