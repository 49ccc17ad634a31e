// Owns: the SQL of the monthly tables of the record: which are missing, and making one.
// Must never: wait long for a lock, or take a lock that makes other transactions wait.
import type { Transaction } from '../../postgres/database.ts';

/** Returns the months (such as `2026-11`) of these instants that have no table. `times` are microseconds since 1970. */
export async function missingMonths(tx: Transaction, times: readonly number[]): Promise<readonly string[]> {
  const rows = await tx.query<{ month: string }>(
    `select m.month from (select distinct to_char(('epoch'::timestamptz + t * interval '1 microsecond') at time zone 'utc', 'YYYY-MM') as month from unnest($1::bigint[]) t) m
     where pg_catalog.to_regclass('public.ledger_sealed_' || replace(m.month, '-', '')) is null order by 1`,
    [times],
  );
  return rows.map((row) => row.month);
}

/**
 * Returns the months without a table among the last month, the current month and the `ahead` months that follow. The
 * month that is needed first comes first.
 */
export async function missingMonthsAhead(tx: Transaction, ahead: number): Promise<readonly string[]> {
  const rows = await tx.query<{ month: string }>(
    `select to_char(date_trunc('month', clock_timestamp() at time zone 'utc') + n * interval '1 month', 'YYYY-MM') as month from generate_series(-1, $1::int) n
     where pg_catalog.to_regclass('public.ledger_sealed_' || to_char(date_trunc('month', clock_timestamp() at time zone 'utc') + n * interval '1 month', 'YYYYMM')) is null
     order by abs(n), n desc`,
    [ahead],
  );
  return rows.map((row) => row.month);
}

/** Makes the table of a month, such as `2026-11`. Fails with `unavailable` when a lock was not free within 250 ms. */
export async function makeMonth(tx: Transaction, month: string): Promise<void> {
  await tx.query("select ledger_month(($1 || '-01')::timestamp at time zone 'utc')", [month]);
}
