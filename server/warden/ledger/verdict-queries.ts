// Owns: the SQL of verdicts that the standing verification left.
// Must never: write a verdict.
import type { Transaction } from '../../postgres/database.ts';

export type Verdict = {
  readonly id: string;
  readonly host: string;
  readonly verdict: 'good' | 'bad' | 'incomplete' | 'failed';
  readonly heads: number;
  readonly entries: number;
  readonly findings: number;
  readonly text: string;
  readonly run: 'full' | 'since';
  readonly sinceHead: number | null;
  readonly sinceEntry: number | null;
  readonly sinceAt: Date | null;
  readonly fullAt: Date | null;
};

/** `wasMarked`: somebody else than the warden that leads says that it is on the record. */
export type TakenVerdict = Verdict & { readonly wasMarked: boolean };

/** Returns the number of the newest verdict that is marked as recorded; 0 when there is none. */
export async function newestRecorded(tx: Transaction): Promise<number> {
  const [row] = await tx.query<{ id: number }>(
    'select coalesce(max(id), 0)::bigint as id from ledger_verdict where recorded_at is not null',
  );
  return row?.id ?? 0;
}

/**
 * Returns the verdicts that are not on the record yet, and marks them as recorded: the caller writes the entries in the
 * same transaction. Those that came after number `newest` are among them, whatever their marks say.
 */
export async function takeVerdicts(tx: Transaction, limit: number, newest: number): Promise<readonly TakenVerdict[]> {
  return tx.query<TakenVerdict>(
    `update ledger_verdict v set recorded_at = clock_timestamp()
     from (select id, recorded_at is not null as was_marked from ledger_verdict where recorded_at is null or id > $2 order by id limit $1 for update skip locked) n
     where v.id = n.id returning v.id::text, v.host, v.verdict, v.heads, v.entries, v.findings, v.text, v.run, v.since_head as "sinceHead",
       v.since_entry as "sinceEntry", v.since_at as "sinceAt", v.full_at as "fullAt", n.was_marked as "wasMarked"`,
    [limit, newest],
  );
}

/**
 * For how long nobody has said that the record is good, as far as it was read; milliseconds. Before the first verdict: since the record began. `fullMs`: after
 * a run that read all of it.
 */
export async function unverifiedMs(tx: Transaction): Promise<{ readonly anyMs: number; readonly fullMs: number }> {
  const [row] = await tx.query<{ any_ms: number | null; full_ms: number | null }>(
    `select (extract(epoch from clock_timestamp() - coalesce(v.any_at, h.at)) * 1000)::float8 as any_ms,
       (extract(epoch from clock_timestamp() - coalesce(v.full_at, h.at)) * 1000)::float8 as full_ms
     from (select max(at) as any_at, max(at) filter (where run = 'full') as full_at from ledger_verdict where verdict in ('good', 'incomplete')) v
       left join (select at from ledger_head order by position limit 1) h on true`,
  );
  return { anyMs: Math.max(0, row?.any_ms ?? 0), fullMs: Math.max(0, row?.full_ms ?? 0) };
}
