// Owns: the SQL of a session's idle clock and of its end: which sessions were active, which are overdue, and which
// uploads an ended session still holds.
// Must never: wait for a lock in the renewal of a lease, or end a session as idle while its edge could not report
// activity.
import { type CustomerId, idOf, type NodeName, type SessionId } from '../../domain/ids.ts';
import type { SessionEnd } from '../../domain/session-ends.ts';
import type { Condition } from '../../postgres/beginning.ts';
import type { Transaction } from '../../postgres/database.ts';
import { lockVersions } from '../versions/version-queries.ts';
import { type RawSession, type SessionRow, sessionColumns, shapeSession } from './session-queries.ts';

/**
 * The grace period: how long after its end a session may still seal the bytes that were acknowledged to its client, in
 * milliseconds.
 */
export const graceMs = 30_000;
/**
 * How long beyond the idle life of a session its edge may be silent, in milliseconds. After that the edge is regarded
 * as gone, and the session as lost.
 */
const unheardMs = 60_000;

/** A session, and how many milliseconds ago its client last did something. */
export type Activity = { readonly session: SessionId; readonly quietMs: number };

/**
 * Moves the idle clock of open sessions forward, never backward. With `node`, only sessions of that node are touched. A
 * row that another transaction is just ending is skipped.
 */
export async function touchSessions(
  tx: Transaction,
  active: readonly Activity[],
  node: NodeName | null,
): Promise<void> {
  if (active.length === 0) return;
  await tx.query(
    `with due as (
       select s.id, x.quiet from unnest($1::uuid[], $2::float8[]) x(id, quiet) join session s on s.id = x.id
       where s.state = 'open' and ($3::text is null or s.node = $3) order by s.id for no key update of s skip locked)
     update session s set last_seen_at = greatest(s.last_seen_at, clock_timestamp() - due.quiet * interval '1 millisecond') from due where s.id = due.id`,
    [active.map((one) => one.session), active.map((one) => one.quietMs), node],
  );
}

/** Returns which of these sessions have ended, on which node they were, and why they ended. */
export async function findEnded(
  tx: Transaction,
  ids: readonly SessionId[],
): Promise<readonly { readonly id: SessionId; readonly node: NodeName; readonly end: SessionEnd }[]> {
  const rows = await tx.query<{ id: string; node: string; end_kind: SessionEnd }>(
    "select id, node, coalesce(end_kind, 'doubt') as end_kind from session where id = any ($1::uuid[]) and state = 'ended'",
    [ids],
  );
  return rows.map((row) => ({ id: idOf<SessionId>(row.id), node: idOf<NodeName>(row.node), end: row.end_kind }));
}

/**
 * The open sessions that the clock ends: their longest life, or what their proofs allow, is over; or they are idle by
 * the last report of their edge, which covers all activity up to that report; or their edge is no longer heard from.
 * `$1` is `unheardMs`.
 */
const overdue = `from session s join node n on n.name = s.node cross join (select clock_timestamp() as now) c
       cross join lateral (select s.last_seen_at + s.idle_ms * interval '1 millisecond' as idle_at) i
     where s.state = 'open' and (s.expires_at <= c.now or i.idle_at <= least(c.now, coalesce(n.last_seen_at, '-infinity')) or i.idle_at + $1 * interval '1 millisecond' <= c.now)`;

/** Finds the open sessions that the clock ends now. */
export async function findOverdue(tx: Transaction, limit: number): Promise<readonly string[]> {
  const rows = await tx.query<{ id: string }>(`select s.id ${overdue} order by s.expires_at limit $2`, [
    unheardMs,
    limit,
  ]);
  return rows.map((row) => row.id);
}

/** Locks those of the sessions that are still overdue, and returns them with the reason of their end. */
export async function takeOverdue(
  tx: Transaction,
  ids: readonly string[],
): Promise<readonly { readonly id: SessionId; readonly end: SessionEnd }[]> {
  const held = await tx.query<{ id: string }>(
    'select id from session where id = any ($1::uuid[]) order by id for no key update skip locked',
    [ids],
  );
  const rows = await tx.query<{ id: string; kind: SessionEnd }>(
    `select s.id, case
         when s.expires_at <= c.now then s.ends_as
         when i.idle_at <= n.last_seen_at then 'idle'
         else 'lost' end as kind
     ${overdue} and s.id = any ($2::uuid[]) order by s.id`,
    [unheardMs, held.map((row) => row.id)],
  );
  return rows.map((row) => ({ id: idOf<SessionId>(row.id), end: row.kind }));
}

const isOutlived = `v.upload_id is not null and v.state = 'partial' and exists (select 1 from session s
  where s.id = v.session_id and s.state = 'ended' and s.ended_at <= clock_timestamp() - $1 * interval '1 millisecond')`;

/** Sessions whose end was written in a transaction that took longer than this are found by the look at everything. */
const lateMs = 5000;

/**
 * Finds uploads that are still held by a session whose grace period is over: of the sessions that ended after `since`,
 * or of all sessions. `until` is the instant up to which ends of sessions were looked at.
 */
export async function findOutlived(
  tx: Transaction,
  since: string | null,
  limit: number,
): Promise<{ readonly until: string; readonly versions: readonly string[] }> {
  const [{ until = '' } = {}] = await tx.query<{ until: string }>(
    "select (clock_timestamp() - $1 * interval '1 millisecond')::text as until",
    [graceMs],
  );
  const rows =
    since === null
      ? await tx.query<{ id: string }>(`select v.id from version v where ${isOutlived} limit $2`, [graceMs, limit])
      : await tx.query<{ id: string }>(
          `select v.id from session s join version v on v.session_id = s.id
           where s.state = 'ended' and s.ended_at > $1::timestamptz - $4 * interval '1 millisecond' and s.ended_at <= $2::timestamptz
             and v.upload_id is not null and v.state = 'partial' limit $3`,
          [since, until, limit, lateMs],
        );
  return { until, versions: rows.map((row) => row.id) };
}

/** Releases those of the uploads that are still held so. They can be resumed as before. */
export async function releaseOutlived(tx: Transaction, ids: readonly string[]): Promise<void> {
  await tx.query(`update version v set upload_id = null where v.id = any ($2::uuid[]) and ${isOutlived}`, [
    graceMs,
    await lockVersions(tx, ids),
  ]);
}

/**
 * Returns the condition of a transaction that the session is open. With `orEnding`, a session within the grace period
 * after its end satisfies it, too.
 */
export const goesOn = (session: SessionId, orEnding: boolean): Pick<Condition, 'call' | 'values'> => ({
  call: 'session_goes_on',
  values: [session, orEnding, graceMs],
});

/**
 * A session that has ended and may still let go of its uploads: its row, and the customers of the uploads that it
 * holds.
 */
type EndingRow = Omit<SessionRow, 'now' | 'expiresInMs' | 'idleMs' | 'idleForMs'> & {
  readonly customers: readonly CustomerId[];
};

/** Finds the session of this token if it ended within the grace period. */
export async function findEnding(tx: Transaction, tokenHash: Buffer): Promise<EndingRow | undefined> {
  const [row] = await tx.query<RawSession & { customers: readonly string[] }>(
    `select ${sessionColumns},
       array(select distinct v.customer_id from version v where v.session_id = s.id and v.upload_id is not null) as customers
     from session s where s.token_hash = $1 and is_ending(s.ended_at, s.expires_at, $2)`,
    [tokenHash, graceMs],
  );
  return (
    row && {
      ...shapeSession(row),
      customers: row.customers.map((one) => idOf<CustomerId>(one)),
    }
  );
}
