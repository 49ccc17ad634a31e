// Owns: the SQL of months that leave the database.
// Must never: take a month out before its file is durable and stands in the record.
import type { Transaction } from '../../postgres/database.ts';

/** First days of months that are in the database and ended before the last `online` months, oldest first. ISO dates. */
export async function monthsToArchive(tx: Transaction, online: number): Promise<readonly string[]> {
  const rows = await tx.query<{ month: string }>(
    `select to_char(m, 'YYYY-MM-DD') as month from (
       select to_date(substr(c.relname, 15, 6), 'YYYYMM') as m from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid
       where i.inhparent = 'public.ledger_sealed'::regclass) x
     where m + interval '1 month' <= date_trunc('month', clock_timestamp() at time zone 'utc') - ($1 - 1) * interval '1 month' order by m`,
    [online],
  );
  return rows.map((row) => row.month);
}

export type ArchiveLine = { readonly tree: string; readonly position: number; readonly line: string };

/** For the rest of the transaction pages are read along the index that has their order, whatever the planner believes: never the month for each of them. */
async function alongTheTree(tx: Transaction): Promise<void> {
  await tx.query("select set_config('enable_bitmapscan', 'off', true), set_config('enable_sort', 'off', true)");
}

/** Lines of a dump: entries of one month behind a place, in the order of tree and position. */
export async function pageOfMonth(
  tx: Transaction,
  month: string,
  after: { tree: string; position: number },
  limit: number,
): Promise<readonly ArchiveLine[]> {
  await alongTheTree(tx);
  return tx.query<ArchiveLine>(
    `select s.tree, s.position, ledger_line(s) as line from ledger_sealed s
     where s.at >= $1::date::timestamp at time zone 'utc' and s.at < ($1::date + interval '1 month')::timestamp at time zone 'utc'
       and (s.tree, s.position) > ($2, $3) order by s.tree, s.position limit $4`,
    [month, after.tree, after.position, limit],
  );
}

export type Archive = { readonly month: string; readonly file: string; readonly sha256: string; readonly entries: number };

export async function findArchive(tx: Transaction, month: string): Promise<Archive | undefined> {
  const [row] = await tx.query<Archive>(
    "select to_char(month, 'YYYY-MM-DD') as month, file, encode(sha256, 'hex') as sha256, entries from ledger_archive where month = $1::date and deleted_at is null",
    [month],
  );
  return row;
}

export async function insertArchive(tx: Transaction, archive: Archive): Promise<void> {
  await tx.query("insert into ledger_archive (month, file, sha256, entries) values ($1::date, $2, decode($3, 'hex'), $4)", [
    archive.month,
    archive.file,
    archive.sha256,
    archive.entries,
  ]);
}

/** Forwards among these whose receivers do not have all entries of the month yet. */
export async function forwardsWithin(tx: Transaction, month: string, forwards: readonly string[]): Promise<readonly string[]> {
  const rows = await tx.query<{ name: string }>(
    `select f.name from ledger_forward f where f.name = any ($2::text[]) and f.number < (select max(s.number) from ledger_sealed s
       where s.at >= $1::date::timestamp at time zone 'utc' and s.at < ($1::date + interval '1 month')::timestamp at time zone 'utc')`,
    [month, forwards],
  );
  return rows.map((row) => row.name);
}

export async function dropMonth(tx: Transaction, month: string): Promise<void> {
  await tx.query('select ledger_drop_month($1::date)', [month]);
}

/** Archives whose retention has ended. A month that is still in the database is archived again otherwise. */
export async function archivesToDelete(tx: Transaction, retention: number): Promise<readonly Archive[]> {
  return tx.query<Archive>(
    `select to_char(month, 'YYYY-MM-DD') as month, file, encode(sha256, 'hex') as sha256, entries from ledger_archive
     where deleted_at is null and month + interval '1 month' <= date_trunc('month', clock_timestamp() at time zone 'utc') - ($1 - 1) * interval '1 month'
       and pg_catalog.to_regclass('public.ledger_sealed_' || to_char(month, 'YYYYMM')) is null order by month`,
    [retention],
  );
}

export async function markDeleted(tx: Transaction, month: string): Promise<void> {
  await tx.query('update ledger_archive set deleted_at = clock_timestamp() where month = $1::date', [month]);
}
