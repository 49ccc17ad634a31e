// Owns: the SQL of verdicts that the standing verification left.
// Must never: write a verdict.
import type { Transaction } from '../../postgres/database.ts';

type Verdict = {
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

/**
 * `wasMarked`: somebody else than the warden that leads says that it is on the record. `ageMs`: how long ago it was
 * reported, as its row says.
 */
export type TakenVerdict = Verdict & { readonly wasMarked: boolean; readonly ageMs: number };

/** Returns the numbers of the verdicts that are marked as recorded, at most `limit`, the latest ones. */
export async function markedVerdicts(tx: Transaction, limit: number): Promise<readonly string[]> {
  const rows = await tx.query<{ id: string }>(
    'select id::text from ledger_verdict where recorded_at is not null order by recorded_at desc, id desc limit $1',
    [limit],
  );
  return rows.map((row) => row.id);
}

/**
 * Returns the verdicts that are not on the record yet, and marks them as recorded: the caller writes the entries in the
 * same transaction. All but those of the numbers `known` are new, whatever their marks say; bad ones come first, so no
 * number of other rows holds one up.
 */
export async function takeVerdicts(
  tx: Transaction,
  limit: number,
  known: readonly string[],
): Promise<readonly TakenVerdict[]> {
  const rows = await tx.query<TakenVerdict>(
    `update ledger_verdict v set recorded_at = clock_timestamp()
     from (select id, recorded_at is not null as was_marked from ledger_verdict where recorded_at is null or id <> all ($2::bigint[])
       order by verdict = 'bad' desc, id limit $1 for update skip locked) n
     where v.id = n.id returning v.id::text, v.host, v.verdict, v.heads, v.entries, v.findings, v.text, v.run, v.since_head as "sinceHead",
       v.since_entry as "sinceEntry", v.since_at as "sinceAt", v.full_at as "fullAt", n.was_marked as "wasMarked",
       (extract(epoch from clock_timestamp() - v.at) * 1000)::float8 as "ageMs"`,
    [limit, known],
  );
  return [...rows].sort((a, b) => Number(a.id) - Number(b.id));
}

/** Returns what this host said last before a verdict, other than that it could not verify. */
export async function saidBefore(tx: Transaction, host: string, id: string): Promise<string | undefined> {
  const [row] = await tx.query<{ verdict: string }>(
    `select verdict from ledger_verdict where host = $1 and verdict <> 'failed' and at < (select at from ledger_verdict where id = $2::bigint)
     order by at desc limit 1`,
    [host, id],
  );
  return row?.verdict;
}

/**
 * Returns how long ago, by the rows, somebody last reported that nothing bad was found: after any run (`anyMs`), and
 * after one that read the whole record (`fullMs`), in milliseconds; null: never. `begunMs` is how long ago the record
 * began. A row with a time in the future does not count.
 */
export async function heardBefore(
  tx: Transaction,
): Promise<{ readonly anyMs: number | null; readonly fullMs: number | null; readonly begunMs: number }> {
  const [row] = await tx.query<{ any_ms: number | null; full_ms: number | null; begun_ms: number | null }>(
    `select (extract(epoch from clock_timestamp() - v.any_at) * 1000)::float8 as any_ms,
       (extract(epoch from clock_timestamp() - v.full_at) * 1000)::float8 as full_ms,
       (extract(epoch from clock_timestamp() - h.at) * 1000)::float8 as begun_ms
     from (select max(at) as any_at, max(at) filter (where run = 'full') as full_at from ledger_verdict
         where verdict in ('good', 'incomplete') and at <= clock_timestamp()) v
       left join (select at from ledger_head order by position limit 1) h on true`,
  );
  return { anyMs: row?.any_ms ?? null, fullMs: row?.full_ms ?? null, begunMs: row?.begun_ms ?? 0 };
}
