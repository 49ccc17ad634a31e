// Owns: the SQL that compares what is in the months of the record with what is found there through each index, month
// bound and stored column that incident reports use (decision 0051).
// Must never: count what was sealed after it began, or read by an index what it counts as the whole.
import type { Transaction } from '../postgres/database.ts';
import { beginSnapshot } from '../postgres/snapshot.ts';

/**
 * Each way, and the condition for the entries `s` that are found by it: that of an index, or one which only this index
 * serves.
 */
export const ways = [
  ['their number', 's.number > 0'],
  ['their session', 's.session_id is not null'],
  ['the beginning and the end of a session', "s.kind in ('session.opened', 'session.ended')"],
  ['their credential', 's.credential is not null'],
  ['the other credential of a login', 's.also_credential is not null'],
  ['their source', 's.source is not null'],
  ['their client', 's.client is not null'],
  ['their account', "s.account_id is not null and (s.session_id is null or s.kind = 'session.opened')"],
  ['their operator', 's.operator is not null'],
  ['the hash of a file', 's.sha256 is not null'],
  ['a failed login', "s.kind in ('login.refused', 'login.partial', 'login.strangers', 'session.refused')"],
  ['rows that were sealed again', "s.kind = 'rows.resealed'"],
  ['the name of a customer', "s.kind in ('customer.created', 'customer.renamed')"],
  ['a statement about an archive', "s.kind in ('ledger.archived', 'ledger.archive-deleted')"],
] as const;

/**
 * The time limit of one statement, in milliseconds: it reads a whole record, which takes minutes for millions of
 * entries.
 */
const statementMs = 3_600_000;

const limits = { timeoutMs: statementMs, workMemory: '256MB', signal: new AbortController().signal } as const;

/** What was sealed up to `$1`. The sum keeps the planner from going by the number. */
const upTo = 's.number + 0 <= $1';
const counts = ways.map(([, condition]) => `count(*) filter (where ${condition})`).join(', ');

/** The days of the months that there are, in UTC. */
const days = `select generate_series(m.first, m.last + interval '1 month' - interval '1 day', interval '1 day') at time zone 'utc' as day from (
  select min(to_date(substr(c.relname, 15, 6), 'YYYYMM'))::timestamp as first, max(to_date(substr(c.relname, 15, 6), 'YYYYMM'))::timestamp as last
  from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid where i.inhparent = 'public.ledger_sealed'::regclass) m`;

type Whole = { readonly total: number; readonly otherwise: number; readonly counts: readonly number[] };

export async function countWhole(tx: Transaction, number: number): Promise<Whole> {
  await beginSnapshot(tx, limits);
  await tx.query(
    "select set_config('enable_indexscan', 'off', true), set_config('enable_indexonlyscan', 'off', true), set_config('enable_bitmapscan', 'off', true)",
  );
  const [row] = await tx.query<Whole>(
    `select count(*) as total, count(*) filter (where s.sha256 is distinct from s.public ->> 'sha256') as otherwise, array[${counts}]::float8[] as counts
     from ledger_sealed s where ${upTo}`,
    [number],
  );
  return row ?? { total: 0, otherwise: 0, counts: [] };
}

export async function countBy(tx: Transaction, condition: string, number: number): Promise<number> {
  await beginSnapshot(tx, limits);
  await tx.query("select set_config('enable_seqscan', 'off', true)");
  const [row] = await tx.query<{ n: number }>(
    `select count(*) as n from ledger_sealed s where ${condition} and ${upTo}`,
    [number],
  );
  return row?.n ?? 0;
}

export async function countByDays(tx: Transaction, number: number): Promise<number> {
  await beginSnapshot(tx, limits);
  await tx.query("select set_config('enable_seqscan', 'off', true)");
  const [row] = await tx.query<{ n: number }>(
    `select coalesce(sum((select count(*) from ledger_sealed s where s.at >= d.day and s.at < d.day + interval '1 day' and ${upTo})), 0)::float8 as n from (${days}) d`,
    [number],
  );
  return row?.n ?? 0;
}

/** Returns the number of the entry that was sealed last. */
export async function numberNow(tx: Transaction): Promise<number> {
  const [row] = await tx.query<{ number: number }>('select number from ledger_state');
  return row?.number ?? 0;
}
