// Owns: the SQL of nodes, of what their self-tests say, and of the sessions for which a drain of one of them would
// wait.
import type { Transaction } from '../../postgres/database.ts';
import type { Result } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import { type Dated, iso } from '../reading/rows.ts';

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

export type NodeRow = {
  readonly name: string;
  readonly plane: string;
  readonly lastSeenAt: Date | null;
  readonly alive: boolean;
  readonly startedAt: Date | null;
  readonly sessions: number;
  /** The age of the node's last lease renewal in milliseconds, by the database's clock. */
  readonly lagMs: number | null;
  /** Whether the edge says that it has the native cipher; null when it does not say. */
  readonly nativeCipher: boolean | null;
  readonly drainingUntil: Date | null;
};

export async function listNodes(tx: Transaction): Promise<readonly NodeRow[]> {
  return tx.query<NodeRow>(
    `select n.name, n.plane, n.last_seen_at as "lastSeenAt", coalesce(n.last_seen_at > clock_timestamp() - interval '3 seconds', false) as alive, n.started_at as "startedAt",
       case when n.drain_start_id = n.start_id then n.drain_until end as "drainingUntil",
       (select count(*) from session s where s.node = n.name and s.state = 'open') as sessions,
       (extract(epoch from clock_timestamp() - n.last_seen_at) * 1000)::float8 as "lagMs", n.native_cipher as "nativeCipher"
     from node n order by n.name`,
  );
}

export type ControlRow = Result<OperatorToAdmin, 'status'>['controls'][number];

/** Returns the last verdicts of every node's self-test. */
export async function listControls(tx: Transaction): Promise<readonly ControlRow[]> {
  const rows = await tx.query<Dated<ControlRow, 'at' | 'since'>>(
    'select node, "check", bites, text, at, since from self_test order by node, "check"',
  );
  return rows.map((row) => ({ ...row, at: iso(row.at), since: iso(row.since) }));
}
