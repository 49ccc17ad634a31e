// Owns: the SQL of the sessions for which a drain of one node would wait.
import type { Transaction } from '../postgres/database.ts';
import type { Result } from '../rpc/operation.ts';
import type { OperatorToAdmin } from '../rpc/operator-admin.ts';

type Row = Result<OperatorToAdmin, 'node.drain-plan'>['sessions'][number];

export async function listSessionsOfNode(tx: Transaction, node: string, limit: number): Promise<readonly Row[]> {
  const rows = await tx.query<Omit<Row, 'startedAt'> & { readonly startedAt: Date }>(
    `select s.id as session, a.name as account, host(s.source_address) || ':' || s.source_port as source, s.started_at as "startedAt", up.uploads, down.downloads
     from session s join account a on a.id = s.account_id,
       lateral (select count(*) as uploads from version v where v.session_id = s.id and v.state = 'partial' and v.upload_id is not null) up,
       lateral (select count(*) as downloads from download d where d.session_id = s.id and d.closed_at is null) down
     where s.node = $1 and s.state = 'open' and not a.is_self_test order by up.uploads + down.downloads desc, s.started_at limit $2`,
    [node, limit],
  );
  return rows.map((row) => ({ ...row, startedAt: row.startedAt.toISOString() }));
}
