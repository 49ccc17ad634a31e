// Owns: the SQL of what operators changed.
import { passingOperations } from '../../domain/command-life.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { Result } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import { iso } from '../reading/rows.ts';

type ReportRow = Result<OperatorToAdmin, 'report.changes'>['changes'][number];

/**
 * Returns what operators changed since a time: signed changes, and commands that needed no second operator. Newest
 * first; `after` is the last row of the previous page.
 */
export async function listChangesDone(
  tx: Transaction,
  since: string,
  after: { readonly at: string; readonly id: string } | null,
  limit: number,
): Promise<readonly ReportRow[]> {
  const rows = await tx.query<Omit<ReportRow, 'at'> & { at: Date }>(
    `select * from (
       select c.id, date_trunc('milliseconds', coalesce(c.decided_at, c.proposed_at)) as at, c.operation, p.name as by, case when c.state = 'applied' then d.name end as "approvedBy", c.break_glass_id as "breakGlass",
         case when c.state = 'proposed' and c.expires_at <= clock_timestamp() then 'expired' when c.state = 'rejected' then 'rejected by ' || d.name else c.state end as outcome,
         coalesce(c.reason, '') as reason, left(c.document::jsonb ->> 'params', 2000) as params
       from change c join operator p on p.id = c.proposer_id left join operator d on d.id = c.decided_by
       union all
       select m.id, date_trunc('milliseconds', m.created_at), m.operation, o.name, null, null, case m.state when 'done' then 'done' when 'new' then 'waiting' else m.error_code end,
         coalesce(m.params ->> 'reason', ''), left(m.params::text, 2000)
       from command m join operator o on o.id = m.operator_id where m.operation <> all ($5)
     ) x where at >= $1 and ($2::timestamptz is null or (at, id) < ($2, $3::uuid)) order by at desc, id desc limit $4`,
    [since, after?.at ?? null, after?.id ?? null, limit, passingOperations],
  );
  return rows.map((row) => ({ ...row, at: iso(row.at) }));
}
