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
};

/** Verdicts that are not on the record yet, marked as if they were: the caller writes the entries in the same transaction. */
export async function takeVerdicts(tx: Transaction, limit: number): Promise<readonly Verdict[]> {
  return tx.query<Verdict>(
    `update ledger_verdict v set recorded_at = clock_timestamp()
     from (select id from ledger_verdict where recorded_at is null order by id limit $1 for update skip locked) n
     where v.id = n.id returning v.id::text, v.host, v.verdict, v.heads, v.entries, v.findings, v.text`,
    [limit],
  );
}

/** For how long nobody has said that the record is good, as far as it was read; milliseconds. Before the first verdict: since the record began. */
export async function unverifiedMs(tx: Transaction): Promise<number> {
  const [row] = await tx.query<{ ms: number | null }>(
    `select (extract(epoch from clock_timestamp() - coalesce((select max(at) from ledger_verdict where verdict in ('good', 'incomplete')),
       (select at from ledger_head order by position limit 1))) * 1000)::float8 as ms`,
  );
  return Math.max(0, row?.ms ?? 0);
}
