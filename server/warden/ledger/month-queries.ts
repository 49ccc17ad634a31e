// Owns: the SQL of the tables of months: which are missing, and making one.
// Must never: wait long for a lock, or take one behind which others wait.
import type { Transaction } from '../../postgres/database.ts';

/** Months without a table, `2026-11`, of these instants in microseconds since 1970. */
export async function missingMonths(tx: Transaction, times: readonly number[]): Promise<readonly string[]> {
  const rows = await tx.query<{ month: string }>(
    `select m.month from (select distinct to_char(('epoch'::timestamptz + t * interval '1 microsecond') at time zone 'utc', 'YYYY-MM') as month from unnest($1::bigint[]) t) m
     where pg_catalog.to_regclass('public.ledger_sealed_' || replace(m.month, '-', '')) is null order by 1`,
    [times],
  );
  return rows.map((row) => row.month);
}

/** Months without a table, of the last one, the current one and as many ahead; the one that is needed first comes first. */
export async function missingMonthsAhead(tx: Transaction, ahead: number): Promise<readonly string[]> {
  const rows = await tx.query<{ month: string }>(
    `select to_char(date_trunc('month', clock_timestamp() at time zone 'utc') + n * interval '1 month', 'YYYY-MM') as month from generate_series(-1, $1::int) n
     where pg_catalog.to_regclass('public.ledger_sealed_' || to_char(date_trunc('month', clock_timestamp() at time zone 'utc') + n * interval '1 month', 'YYYYMM')) is null
     order by abs(n), n desc`,
    [ahead],
  );
  return rows.map((row) => row.month);
}

/** `month`: `2026-11`. Fails with `unavailable` when a lock did not come within a quarter of a second. */
export async function makeMonth(tx: Transaction, month: string): Promise<void> {
  await tx.query("select ledger_month(($1 || '-01')::timestamp at time zone 'utc')", [month]);
}
