// Owns: the SQL of months that leave the database.
// Must never: take a month out before its file is durable and stands in the record.
import type { Transaction } from '../../postgres/database.ts';
import type { ArchiveLine, Range } from './archive-file.ts';

/**
 * First days of months that are in the database and ended before the last `online` months, oldest first. ISO dates. The names of the months first, by
 * themselves: a planner that filters all tables by date before it looks whose they are meets names that are none.
 */
export async function monthsToArchive(tx: Transaction, online: number): Promise<readonly string[]> {
  const rows = await tx.query<{ month: string }>(
    `with x as materialized (
       select to_date(substr(c.relname, 15, 6), 'YYYYMM') as m from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid
       where i.inhparent = 'public.ledger_sealed'::regclass)
     select to_char(m, 'YYYY-MM-DD') as month from x where m + interval '1 month' <= date_trunc('month', clock_timestamp() at time zone 'utc') - ($1 - 1) * interval '1 month' order by m`,
    [online],
  );
  return rows.map((row) => row.month);
}

/** From now on no entry is sealed into this month. */
export async function closeMonth(tx: Transaction, month: string): Promise<void> {
  await tx.query('select ledger_close_month($1::date)', [month]);
}

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

/** False: another warden was first, and its file is the one. */
export async function insertArchive(tx: Transaction, archive: Archive, ranges: readonly Range[]): Promise<boolean> {
  const rows = await tx.query(
    "insert into ledger_archive (month, file, sha256, entries) values ($1::date, $2, decode($3, 'hex'), $4) on conflict do nothing returning month",
    [archive.month, archive.file, archive.sha256, archive.entries],
  );
  if (rows.length === 0) return false;
  await tx.query(
    'insert into ledger_archive_range (month, tree, first, last, entries) select $1::date, r.* from unnest($2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[]) r',
    [
      archive.month,
      ranges.map((one) => one.tree),
      ranges.map((one) => one.first),
      ranges.map((one) => one.last),
      ranges.map((one) => one.entries),
    ],
  );
  return true;
}

/** Ranges whose trees were not told yet, marked as told: the caller writes the entries in the same transaction. */
export async function takeUnstated(tx: Transaction, month: string, limit: number): Promise<readonly Range[]> {
  return tx.query<Range>(
    `update ledger_archive_range r set stated_at = clock_timestamp()
     from (select month, tree from ledger_archive_range where month = $1::date and stated_at is null order by tree limit $2 for update) n
     where (r.month, r.tree) = (n.month, n.tree) returning r.tree, r.first, r.last, r.entries`,
    [month, limit],
  );
}

/** How many trees of the month have no sealed and witnessed entry about it yet. */
export async function unwitnessedStatements(tx: Transaction, { month, sha256 }: Archive): Promise<number> {
  const [row] = await tx.query<{ n: number }>(
    `select count(*) as n from ledger_archive_range r where r.month = $1::date and not exists (
       select from ledger_sealed s where s.tree = r.tree and s.kind = 'ledger.archived' and s.number <= ledger_witnessed_number()
         and s.public ->> 'month' = to_char(r.month, 'YYYY-MM') and s.sensitive ->> 'sha256' = $2)`,
    [month, sha256],
  );
  return row?.n ?? 0;
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

/** A month of millions of entries is counted once more before it goes. */
const dropMs = 20 * 60_000;
/** Looks for a moment in which nobody reads the record: for some seconds, and again with the next pass. */
const dropTries = 150;

/** Null: it is gone. Otherwise why it stays. Fails with `unavailable` when the record was read without a pause. */
export async function dropMonth(tx: Transaction, month: string): Promise<string | null> {
  // A transaction of the role has a bound of its own, which is shorter; the statement is all that this one does.
  await tx.query(
    `select set_config('statement_timeout', $1::int::text, true),
       case when current_setting('server_version_num')::int >= 170000 then set_config('transaction_timeout', '0', true) end`,
    [dropMs],
  );
  const [row] = await tx.query<{ why: string | null }>('select ledger_drop_month($1::date, $2) as why', [month, dropTries]);
  return row === undefined ? 'the database gave no answer' : row.why;
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

/** False: it was marked before. The caller writes the entry in the same transaction. */
export async function markDeletionStated(tx: Transaction, month: string): Promise<boolean> {
  const rows = await tx.query(
    'update ledger_archive set deletion_stated_at = clock_timestamp() where month = $1::date and deletion_stated_at is null returning month',
    [month],
  );
  return rows.length === 1;
}

/** The record says that this archive is deleted: sealed and witnessed. */
export async function isDeletionWitnessed(tx: Transaction, { month, file }: Archive): Promise<boolean> {
  const rows = await tx.query(
    `select 1 from ledger_sealed s where s.tree = '00000000-0000-0000-0000-000000000000' and s.kind = 'ledger.archive-deleted' and s.number <= ledger_witnessed_number()
       and s.sensitive ->> 'month' = to_char($1::date, 'YYYY-MM') and s.sensitive ->> 'file' = $2 limit 1`,
    [month, file],
  );
  return rows.length === 1;
}

export async function markDeleted(tx: Transaction, month: string): Promise<void> {
  await tx.query('update ledger_archive set deleted_at = clock_timestamp() where month = $1::date and deleted_at is null', [month]);
}

/** How far a month is that is due; `why`: it does not go on by itself at once. Returns for how long it has been due, milliseconds. */
export async function noteProgress(
  tx: Transaction,
  { month, step, why, isFailure, online }: { month: string; step: string; why: string | null; isFailure: boolean; online: number },
): Promise<number> {
  const [row] = await tx.query<{ due_ms: number }>(
    `insert into ledger_archiving as a (month, due_since, step, why, looked_at, failed_at)
       values ($1::date, ($1::date + $5::int * interval '1 month') at time zone 'utc', $2, $3, clock_timestamp(), case when $4 then clock_timestamp() end)
     on conflict (month) do update set step = excluded.step, why = excluded.why, looked_at = excluded.looked_at, failed_at = excluded.failed_at
     returning (extract(epoch from clock_timestamp() - due_since) * 1000)::float8 as due_ms`,
    [month, step, why, isFailure, online],
  );
  return row?.due_ms ?? 0;
}

/** Nothing is said any more of months that are not due, or have left. */
export async function forgetProgress(tx: Transaction, due: readonly string[]): Promise<void> {
  await tx.query('delete from ledger_archiving where month <> all ($1::date[])', [due]);
}
