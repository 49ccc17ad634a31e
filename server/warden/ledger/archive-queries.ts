// Owns: the SQL of months that leave the database for an archive.
// Must never: drop a month before its archive file is durable and is stated in the record.
import type { Transaction } from '../../postgres/database.ts';
import type { ArchiveLine, Range } from './archive-file.ts';

/**
 * Returns the first days (ISO dates, oldest first) of the months that are in the database and ended before the last
 * `online` months, of which the present month is one. The dates are parsed in a materialised step, and compared outside
 * of it: otherwise the planner may compare first, and so parse a date out of the names of all tables before it checks
 * which tables are partitions of the record, and fail on names that are no dates.
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

/** Closes a month: no entry is sealed into it any more. */
export async function closeMonth(tx: Transaction, month: string): Promise<void> {
  await tx.query('select ledger_close_month($1::date)', [month]);
}

/**
 * For the rest of the transaction, makes PostgreSQL read the pages along the index on tree and position, whatever the
 * planner's statistics say. A plan that sorts would read the whole month once for each page.
 */
async function alongTheTree(tx: Transaction): Promise<void> {
  await tx.query("select set_config('enable_bitmapscan', 'off', true), set_config('enable_sort', 'off', true)");
}

/**
 * Returns the dump lines of up to `limit` entries of one month that follow the tree and position in `after`, ordered by
 * tree and position.
 */
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

export type Archive = {
  readonly month: string;
  readonly file: string;
  readonly sha256: string;
  readonly entries: number;
};

/** Returns the archive of a month, or undefined when there is none or its file was deleted. */
export async function findArchive(tx: Transaction, month: string): Promise<Archive | undefined> {
  const [row] = await tx.query<Archive>(
    "select to_char(month, 'YYYY-MM-DD') as month, file, encode(sha256, 'hex') as sha256, entries from ledger_archive where month = $1::date and deleted_at is null",
    [month],
  );
  return row;
}

/**
 * Inserts the row of an archive and its ranges. Returns false when another warden inserted a row for this month first;
 * then the file of that warden is the archive.
 */
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

/** Returns whether there are trees of the month whose `ledger.archived` entry was not written yet. */
export async function hasUnstated(tx: Transaction, month: string): Promise<boolean> {
  const rows = await tx.query(
    'select 1 from ledger_archive_range where month = $1::date and stated_at is null limit 1',
    [month],
  );
  return rows.length > 0;
}

/**
 * Returns up to `limit` ranges whose trees have no `ledger.archived` entry yet, and marks them as stated. The caller
 * writes the entries in the same transaction.
 */
export async function takeUnstated(tx: Transaction, month: string, limit: number): Promise<readonly Range[]> {
  return tx.query<Range>(
    `update ledger_archive_range r set stated_at = clock_timestamp()
     from (select month, tree from ledger_archive_range where month = $1::date and stated_at is null order by tree limit $2 for update) n
     where (r.month, r.tree) = (n.month, n.tree) returning r.tree, r.first, r.last, r.entries`,
    [month, limit],
  );
}

/** Returns the number of trees of the month whose `ledger.archived` entry is not yet sealed and witnessed. */
export async function unwitnessedStatements(tx: Transaction, { month, sha256 }: Archive): Promise<number> {
  const [row] = await tx.query<{ n: number }>(
    `select count(*) as n from ledger_archive_range r where r.month = $1::date and not exists (
       select from ledger_sealed s where s.tree = r.tree and s.kind = 'ledger.archived' and s.number <= ledger_witnessed_number()
         and s.public ->> 'month' = to_char(r.month, 'YYYY-MM') and s.sensitive ->> 'sha256' = $2)`,
    [month, sha256],
  );
  return row?.n ?? 0;
}

/** Returns those of the named forwards whose receivers do not yet have all entries of the month. */
export async function forwardsBehind(
  tx: Transaction,
  month: string,
  forwards: readonly string[],
): Promise<readonly string[]> {
  const rows = await tx.query<{ name: string }>(
    `select f.name from ledger_forward f where f.name = any ($2::text[]) and f.number < (select max(s.number) from ledger_sealed s
       where s.at >= $1::date::timestamp at time zone 'utc' and s.at < ($1::date + interval '1 month')::timestamp at time zone 'utc')`,
    [month, forwards],
  );
  return rows.map((row) => row.name);
}

/**
 * The statement timeout of `dropMonth`, in milliseconds: the function counts all entries of the month once more before
 * it drops them, and there may be millions.
 */
const dropMs = 20 * 60_000;
/**
 * The number of attempts to get the lock at a moment when nobody reads the record, 20 to 50 ms apart: about five
 * seconds in all. When all of them fail, the next pass tries again.
 */
const dropTries = 150;

/**
 * Drops a month. Returns null when the month is gone, and otherwise the reason why it stays. Fails with `unavailable`
 * when readers of the record left no moment for the lock.
 */
export async function dropMonth(tx: Transaction, month: string): Promise<string | null> {
  // The role has a transaction timeout that is shorter than `dropMs`. It is switched off here, because this transaction
  // consists of this statement alone.
  await tx.query(
    `select set_config('statement_timeout', $1::int::text, true),
       case when current_setting('server_version_num')::int >= 170000 then set_config('transaction_timeout', '0', true) end`,
    [dropMs],
  );
  const [row] = await tx.query<{ why: string | null }>('select ledger_drop_month($1::date, $2) as why', [
    month,
    dropTries,
  ]);
  return row === undefined ? 'the database gave no answer' : row.why;
}

/**
 * Returns the archives of months that ended before the last `keptMonths` months, of which the present month is one. A
 * month that is still in the database is left out, because it would be archived again.
 */
export async function archivesToDelete(tx: Transaction, keptMonths: number): Promise<readonly Archive[]> {
  return tx.query<Archive>(
    `select to_char(month, 'YYYY-MM-DD') as month, file, encode(sha256, 'hex') as sha256, entries from ledger_archive
     where deleted_at is null and month + interval '1 month' <= date_trunc('month', clock_timestamp() at time zone 'utc') - ($1 - 1) * interval '1 month'
       and pg_catalog.to_regclass('public.ledger_sealed_' || to_char(month, 'YYYYMM')) is null order by month`,
    [keptMonths],
  );
}

/**
 * Marks that the deletion of an archive is stated in the record. Returns false when it was marked before. The caller
 * writes the entry in the same transaction.
 */
export async function markDeletionStated(tx: Transaction, month: string): Promise<boolean> {
  const rows = await tx.query(
    'update ledger_archive set deletion_stated_at = clock_timestamp() where month = $1::date and deletion_stated_at is null returning month',
    [month],
  );
  return rows.length === 1;
}

/** Returns whether the entry about the deletion of this archive is sealed and witnessed. */
export async function isDeletionWitnessed(tx: Transaction, { month, file }: Archive): Promise<boolean> {
  const rows = await tx.query(
    `select 1 from ledger_sealed s where s.tree = '00000000-0000-0000-0000-000000000000' and s.kind = 'ledger.archive-deleted' and s.number <= ledger_witnessed_number()
       and s.sensitive ->> 'month' = to_char($1::date, 'YYYY-MM') and s.sensitive ->> 'file' = $2 limit 1`,
    [month, file],
  );
  return rows.length === 1;
}

export async function markDeleted(tx: Transaction, month: string): Promise<void> {
  await tx.query(
    'update ledger_archive set deleted_at = clock_timestamp() where month = $1::date and deleted_at is null',
    [month],
  );
}

/**
 * Writes down which step a due month has reached; `why` is the reason why it does not go on at once, or null. Returns
 * for how many milliseconds the month has been due.
 */
export async function noteProgress(
  tx: Transaction,
  {
    month,
    step,
    why,
    isFailure,
    online,
  }: { month: string; step: string; why: string | null; isFailure: boolean; online: number },
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

/**
 * Deletes the progress rows of all months except those in `due`, so that nothing is reported of a month that is not due
 * or has left.
 */
export async function forgetProgress(tx: Transaction, due: readonly string[]): Promise<void> {
  await tx.query('delete from ledger_archiving where month <> all ($1::date[])', [due]);
}
