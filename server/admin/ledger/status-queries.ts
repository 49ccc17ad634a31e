// Owns: the SQL by which operators see the state of the record.
import type { Transaction } from '../../postgres/database.ts';
import type { Result } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import { verifierKeys } from './reading-queries.ts';
import { type FreezeRow, shownFreeze } from './shown-rows.ts';

type Status = Result<OperatorToAdmin, 'ledger.status'>;

/** Returns how far each receiver is, as whoever forwards wrote down last. */
async function forwardsOf(tx: Transaction, names: readonly string[]): Promise<Status['forwards']> {
  const rows = await tx.query<{
    name: string;
    number: number | null;
    sent: number | null;
    entries: number | null;
    behind_ms: number | null;
    looked_at: Date | null;
    error: string | null;
    error_at: Date | null;
  }>(
    `select n.name, f.number, f.sent, s.number - f.sent as entries, f.behind_ms, f.looked_at, f.error, f.error_at
     from unnest($1::text[]) with ordinality n(name, o) cross join ledger_state s left join ledger_forward f on f.name = n.name order by n.o`,
    [names],
  );
  return rows.map((row) => ({
    name: row.name,
    number: row.number,
    sent: row.sent,
    behindEntries: Math.max(0, row.entries ?? 0),
    behindMs: row.behind_ms ?? 0,
    lookedAt: row.looked_at?.toISOString() ?? null,
    error: row.error,
    errorAt: row.error_at?.toISOString() ?? null,
  }));
}

/** Months that are due to leave, and why they have not. */
async function archivingOf(tx: Transaction): Promise<Status['archiving']> {
  const rows = await tx.query<{
    month: string;
    due_since: Date;
    step: string;
    why: string | null;
    looked_at: Date;
    failed_at: Date | null;
  }>(
    "select to_char(month, 'YYYY-MM') as month, due_since, step, why, looked_at, failed_at from ledger_archiving order by ledger_archiving.month limit 100",
  );
  return rows.map((row) => ({
    month: row.month,
    dueSince: row.due_since.toISOString(),
    step: row.step,
    why: row.why,
    lookedAt: row.looked_at.toISOString(),
    failedAt: row.failed_at?.toISOString() ?? null,
  }));
}

const setAsideShown = 20;

/** Entries that a sealer set aside, the oldest first. */
async function setAsideOf(tx: Transaction): Promise<Status['setAside']> {
  const rows = await tx.query<{ entry: number; at: Date; why: string }>(
    'select id as entry, at, why from ledger_quarantine where isfinite(at) order by at, id limit $1',
    [setAsideShown],
  );
  return rows.map(({ entry, at, why }) => ({ entry, at: at.toISOString(), why }));
}

/**
 * Returns what the warden said last about a record that is late, as long as it still is: the alert names the witnesses
 * that are behind, with the reasons, and after how long nothing more is served.
 */
async function lateOf(tx: Transaction): Promise<Status['late']> {
  const [row] = await tx.query<{ last_at: Date; text: string; behind: string | null; stop_ms: number | null }>(
    `select a.last_at, a.text, a.facts ->> 'behind' as behind, (a.facts ->> 'stopMs')::float8 as stop_ms from ledger_state s, alert a
     where a.kind = 'ledger.late' and a.last_at > least(s.unwitnessed_since, (select min(at) from ledger_fresh where observer <> 'admin'))
     order by a.last_at desc limit 1`,
  );
  return row === undefined
    ? null
    : {
        at: row.last_at.toISOString(),
        text: row.text,
        behind: row.behind === '' ? null : row.behind,
        stopMs: row.stop_ms,
      };
}

type VerdictRow = Omit<NonNullable<Status['verified']>, 'at' | 'since'> & {
  readonly at: Date;
  readonly since_head: number | null;
  readonly since_entry: number | null;
  readonly since_at: Date | null;
  readonly full_at: Date | null;
};

function verdictOf(row: VerdictRow | undefined): Status['verified'] {
  if (row === undefined) return null;
  const { at, since_head: head, since_entry: entry, since_at: sinceAt, full_at: fullAt, ...said } = row;
  const isWhole = head === null || entry === null || sinceAt === null || fullAt === null;
  const since = isWhole ? null : { head, entry, at: sinceAt.toISOString(), fullAt: fullAt.toISOString() };
  return { ...said, at: at.toISOString(), since };
}

/**
 * The newest verdict, that of the newest full run in which nothing bad was found, and a bad one that no later full run
 * of the same host has withdrawn. Rows of a time to come are nobody's verdicts, and their numbers decide nothing.
 */
async function verdicts(tx: Transaction): Promise<Pick<Status, 'verified' | 'fullyVerified' | 'standingBad'>> {
  const [last] = await tx.query<VerdictRow>(
    `select at, host, verdict, heads, entries, text, run, since_head, since_entry, since_at, full_at from ledger_verdict
     where at <= clock_timestamp() order by at desc limit 1`,
  );
  const [full] = await tx.query<VerdictRow>(
    `select at, host, verdict, heads, entries, text, run, since_head, since_entry, since_at, full_at from ledger_verdict
     where run = 'full' and verdict in ('good', 'incomplete') and at <= clock_timestamp() order by at desc limit 1`,
  );
  const [bad] = await tx.query<VerdictRow>(
    `select at, host, verdict, heads, entries, text, run, since_head, since_entry, since_at, full_at from ledger_verdict b
     where verdict = 'bad' and not exists (select from ledger_verdict f where f.host = b.host and f.run = 'full' and f.verdict in ('good', 'incomplete')
       and f.at > b.at and f.at <= clock_timestamp()) order by at desc limit 1`,
  );
  return { verified: verdictOf(last), fullyVerified: verdictOf(full), standingBad: verdictOf(bad) };
}

export async function ledgerStatus(tx: Transaction, forwards: readonly string[]): Promise<Status> {
  const [row] = await tx.query<{
    era: number;
    entries: number;
    checkpoint: string | null;
    checkpoint_at: Date | null;
    witnessed_size: number;
    witnessed_at: Date | null;
    unwitnessed_ms: number | null;
    unsealed: number;
    unsealed_ms: number | null;
    heads: number;
    trees: number;
    epoch: number | null;
    epoch_at: Date | null;
  }>(
    `select s.era, s.number as entries, s.checkpoint, s.checkpoint_at, s.witnessed_size, s.witnessed_at,
       (extract(epoch from clock_timestamp() - s.unwitnessed_since) * 1000)::float8 as unwitnessed_ms, f.n as unsealed,
       (extract(epoch from clock_timestamp() - f.oldest) * 1000)::float8 as unsealed_ms,
       coalesce((select t.size from ledger_tree t where t.tree = 'ffffffff-ffff-ffff-ffff-ffffffffffff'), 0) as heads,
       (select count(*) from ledger_tree t where t.tree <> 'ffffffff-ffff-ffff-ffff-ffffffffffff') as trees, e.position as epoch, e.at as epoch_at
     from ledger_state s cross join (select count(*) as n, min(at) filter (where observer <> 'admin') as oldest from ledger_fresh) f
       left join lateral (select h.position, h.at from ledger_head h where h.epoch = h.position order by h.position desc limit 1) e on true`,
  );
  if (row === undefined) throw new Error('the ledger has no state');
  const keys = await verifierKeys(tx);
  const [freeze] = await tx.query<FreezeRow>(
    'select id, at, why, text, facts from ledger_freeze where released_at is null order by at limit 1',
  );
  const months = await tx.query<{ month: string; entries: number }>(
    `select substr(c.relname, 15, 4) || '-' || substr(c.relname, 19, 2) as month, greatest(c.reltuples, 0)::bigint as entries
     from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid where i.inhparent = 'public.ledger_sealed'::regclass
       and substr(c.relname, 15, 6) <= to_char(clock_timestamp() at time zone 'utc', 'YYYYMM') order by 1`,
  );
  return {
    era: row.era,
    entries: row.entries,
    unsealed: row.unsealed,
    heads: row.heads,
    trees: row.trees,
    checkpoint: row.checkpoint,
    checkpointAt: row.checkpoint_at?.toISOString() ?? null,
    witnessedSize: row.witnessed_size,
    witnessedAt: row.witnessed_at?.toISOString() ?? null,
    epoch:
      row.epoch === null || row.epoch_at === null
        ? null
        : { head: row.epoch, at: row.epoch_at.toISOString(), isWitnessed: row.epoch < row.witnessed_size },
    unsealedMs: Math.max(0, Math.round(row.unsealed_ms ?? 0)),
    unwitnessedMs: Math.max(0, Math.round(row.unwitnessed_ms ?? 0)),
    late: await lateOf(tx),
    verifierKeys: keys,
    months: [...months],
    archiving: await archivingOf(tx),
    ...(await verdicts(tx)),
    forwards: await forwardsOf(tx, forwards),
    setAside: await setAsideOf(tx),
    freeze: freeze === undefined ? null : shownFreeze(freeze),
  };
}
