// Owns: the SQL of sessions that operators may read.
import type { Transaction } from '../../postgres/database.ts';
import type { Result } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import { type Dated, iso, isoOrNull } from '../reading/rows.ts';

type SessionRow = Result<OperatorToAdmin, 'session.list'>['sessions'][number];

export async function listSessions(tx: Transaction, all: boolean, limit: number): Promise<readonly SessionRow[]> {
  const rows = await tx.query<Dated<SessionRow, 'startedAt' | 'lastSeenAt' | 'endedAt'>>(
    `select s.id as session, a.name as account, c.name as customer, s.node, host(s.source_address) || ':' || s.source_port as source,
       coalesce(s.client_identification, '') as client, s.state, s.started_at as "startedAt", s.last_seen_at as "lastSeenAt", s.ended_at as "endedAt", s.end_reason as "endReason"
     from session s join account a on a.id = s.account_id left join customer c on c.id = a.customer_id
     where $1 or s.state = 'open' order by s.started_at desc limit $2`,
    [all, limit],
  );
  return rows.map((row) => ({
    ...row,
    startedAt: iso(row.startedAt),
    lastSeenAt: iso(row.lastSeenAt),
    endedAt: isoOrNull(row.endedAt),
  }));
}
