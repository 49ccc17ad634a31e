// Owns: the SQL of edge nodes and of what their leases must tell them.
import { idOf, type NodeName, type Plane, type SessionId } from '../../domain/ids.ts';
import type { SessionEnd } from '../../domain/session-ends.ts';
import type { Transaction } from '../../postgres/database.ts';

type NodeRun = {
  readonly node: NodeName;
  readonly plane: Plane;
  readonly startId: string;
  /** Whether the edge says that it uses the native cipher; null when it does not say. */
  readonly nativeCipher: boolean | null;
};

/**
 * Registers the run of a node. Returns whether it is another run than the last one. The greeting of a run that is known
 * already does not move the node's clock, because it reports no activity: only renewals of the lease move the clock by
 * which sessions are idle.
 */
export async function registerNode(tx: Transaction, run: NodeRun): Promise<boolean> {
  const [row] = await tx.query<{ is_new: boolean }>(
    `with before as (select start_id from node where name = $1)
     insert into node (name, plane, start_id, native_cipher, last_seen_at, started_at) values ($1, $2, $3, $4, clock_timestamp(), clock_timestamp())
     on conflict (name) do update set started_at = case when node.start_id = excluded.start_id then node.started_at else excluded.started_at end, plane = excluded.plane, start_id = excluded.start_id, native_cipher = excluded.native_cipher,
       last_seen_at = case when node.start_id = excluded.start_id then node.last_seen_at else excluded.last_seen_at end
     returning (select b.start_id from before b) is distinct from start_id as is_new`,
    [run.node, run.plane, run.startId, run.nativeCipher],
  );
  return row?.is_new ?? true;
}

/**
 * Marks the node as seen. Returns how many milliseconds this run may still drain; null when it was not ordered to
 * drain.
 */
export async function seeNode(tx: Transaction, node: NodeName, startId: string): Promise<number | null> {
  const [row] = await tx.query<{ drain_ms: number | null }>(
    `update node set last_seen_at = clock_timestamp() where name = $1
     returning case when drain_start_id = $2 then greatest(0, ceil(extract(epoch from drain_until - clock_timestamp()) * 1000))::float8 end as drain_ms`,
    [node, startId],
  );
  return row?.drain_ms ?? null;
}

type DrainOrder = {
  readonly node: string;
  readonly withinMs: number;
  readonly reason: string;
  readonly operator: string;
};
type Ordered = { readonly isConnected: boolean; readonly until: Date; readonly sessions: number };

/**
 * Orders the present run of a node to end; a newer order replaces an earlier one. Returns undefined when there is no
 * such node. The order has no effect when the node is not connected.
 */
export async function orderDrain(
  tx: Transaction,
  { node, withinMs, reason, operator }: DrainOrder,
): Promise<Ordered | undefined> {
  const [found] = await tx.query<{ connected: boolean }>(
    "select coalesce(last_seen_at > clock_timestamp() - interval '3 seconds', false) as connected from node where name = $1 for update",
    [node],
  );
  if (found === undefined) return undefined;
  const [row] = await tx.query<{ drain_until: Date; sessions: number }>(
    `update node set drain_start_id = start_id, drain_ordered_at = clock_timestamp(), drain_until = clock_timestamp() + $2 * interval '1 millisecond',
       drain_reason = $3, drain_ordered_by = $4 where name = $1 and $5
     returning drain_until, (select count(*) from session s where s.node = node.name and s.state = 'open') as sessions`,
    [node, withinMs, reason, operator, found.connected],
  );
  return { isConnected: row !== undefined, until: row?.drain_until ?? new Date(0), sessions: row?.sessions ?? 0 };
}

/** Returns the sessions of one node that ended after `epoch`, the oldest first; at most 2,000. */
export async function endedSince(
  tx: Transaction,
  node: NodeName,
  epoch: number,
): Promise<readonly { readonly id: SessionId; readonly epoch: number; readonly end: SessionEnd }[]> {
  const rows = await tx.query<{ id: string; ended_epoch: number; end_kind: SessionEnd }>(
    "select id, ended_epoch, coalesce(end_kind, 'doubt') as end_kind from session where node = $1 and ended_epoch > $2 order by ended_epoch limit 2000",
    [node, epoch],
  );
  return rows.map((row) => ({ id: idOf<SessionId>(row.id), epoch: row.ended_epoch, end: row.end_kind }));
}

export async function currentEpoch(tx: Transaction): Promise<number> {
  const [row] = await tx.query<{ epoch: number }>('select coalesce(max(ended_epoch), 0)::bigint as epoch from session');
  return row?.epoch ?? 0;
}

/**
 * Returns whether anybody has logged in from this address within `withinMs`. Of the self-tests only that of this node
 * counts, because each edge names the addresses of its own clients.
 */
export async function isSourceKnownAt(
  tx: Transaction,
  tester: string,
  source: string,
  withinMs: number,
): Promise<boolean> {
  const [row] = await tx.query<{ is_known: boolean }>(
    `select exists (select 1 from known_source k join account a on a.id = k.account_id where k.source = $1::inet
       and k.last_at > clock_timestamp() - $2 * interval '1 millisecond' and (not a.is_self_test or a.name = $3)) as is_known`,
    [source, withinMs, tester],
  );
  return row?.is_known === true;
}
