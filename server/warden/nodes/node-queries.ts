// Owns: the SQL of edge nodes and of what their leases must tell them.
import { idOf, type NodeName, type Plane, type SessionId } from '../../domain/ids.ts';
import type { SessionEnd } from '../../domain/session-ends.ts';
import type { Database, Transaction } from '../../postgres/database.ts';

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

type Ended = { readonly id: SessionId; readonly epoch: number; readonly end: SessionEnd };
type RawEnded = { readonly id: string; readonly ended_epoch: number; readonly end_kind: SessionEnd };
const shape = (row: RawEnded): Ended => ({
  id: idOf<SessionId>(row.id),
  epoch: row.ended_epoch,
  end: row.end_kind,
});
/** The sessions of the node `$1` that ended after the epoch `$2`. */
const endedAfter =
  "select id, ended_epoch, coalesce(end_kind, 'doubt') as end_kind from session where node = $1 and ended_epoch > $2 order by ended_epoch limit 2000";

/** Returns the sessions of one node that ended after `epoch`, the oldest first; at most 2,000. */
export async function endedSince(tx: Transaction, node: NodeName, epoch: number): Promise<readonly Ended[]> {
  return (await tx.query<RawEnded>(endedAfter, [node, epoch])).map(shape);
}

/** What a renewal of a lease brings: how long the run may still drain, and the sessions that ended. */
export type Renewal = { readonly drainWithinMs: number | null; readonly rows: readonly Ended[] };

/**
 * Renews the lease of a node that has no activity to report, in one statement. Its commit does not wait for the disk:
 * a crash takes back at most the last moment of a node's clock, on which nothing but the idleness of sessions rests.
 */
export async function renewQuietly(
  database: Pick<Database, 'call'>,
  { node, startId, after }: { readonly node: NodeName; readonly startId: string; readonly after: number },
): Promise<Renewal> {
  const rows = await database.call<{ drain_ms: number | null } & (RawEnded | { readonly id: null })>(
    `with quick as materialized (select set_config('synchronous_commit', 'off', true)),
     seen as (update node set last_seen_at = clock_timestamp() from quick where name = $1
       returning case when drain_start_id = $3 then greatest(0, ceil(extract(epoch from drain_until - clock_timestamp()) * 1000))::float8 end as drain_ms)
     select d.drain_ms, e.id, e.ended_epoch, e.end_kind from (select (select drain_ms from seen) as drain_ms) d left join (${endedAfter}) e on true order by e.ended_epoch`,
    [node, after, startId],
  );
  return {
    drainWithinMs: rows[0]?.drain_ms ?? null,
    rows: rows.flatMap((row) => (row.id === null ? [] : [shape(row)])),
  };
}

/** Returns the newest epoch: of each node the newest, which its index ends with. */
export async function currentEpoch(tx: Transaction): Promise<number> {
  const [row] = await tx.query<{ epoch: number }>(
    `select coalesce(max(e.epoch), 0)::bigint as epoch
     from node n cross join lateral (select max(s.ended_epoch) as epoch from session s where s.node = n.name) e`,
  );
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
