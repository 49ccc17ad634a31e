// Owns: the SQL of sessions.
import type { SessionPurpose } from '../../domain/authentication-policy.ts';
import {
  type AccountId,
  type CredentialId,
  type CustomerId,
  idOf,
  type NodeName,
  type Plane,
  type SessionId,
} from '../../domain/ids.ts';
import type { SessionEnd } from '../../domain/session-ends.ts';
import type { SessionFilter } from '../../domain/session-filter.ts';
import type { Transaction } from '../../postgres/database.ts';
import { wireBytesPerSecondMax } from '../../rpc/edge-words.ts';
import type { ReadHandle } from '../versions/version-queries.ts';
import type { ScopedRow } from './session-scope.ts';

type NewSession = {
  readonly id: SessionId;
  readonly tokenHash: Buffer;
  readonly account: AccountId;
  readonly credential: CredentialId;
  readonly alsoCredential: CredentialId | null;
  readonly purpose: SessionPurpose;
  readonly readOnly: boolean;
  readonly window: string | null;
  readonly node: NodeName;
  readonly startId: string;
  readonly sourceAddress: string;
  readonly sourcePort: number;
  readonly client: string;
  readonly sessionIdentifier: Buffer;
  readonly keyExchange: string;
  readonly hostKeyAlgorithm: string;
  /** Milliseconds since 1970. */
  readonly endsAt: number;
  readonly endsAs: 'expired' | 'window';
  readonly idleLifeMs: number;
  readonly scope: { readonly text: string; readonly mac: Buffer };
};

/**
 * Writes the row of a session. Returns its life in milliseconds; undefined when its end has come already, and then no
 * session is made.
 */
export async function insertSession(tx: Transaction, session: NewSession): Promise<number | undefined> {
  const [row] = await tx.query<{ life_ms: number }>(
    `insert into session (id, token_hash, account_id, credential_id, node, start_id, source_address, source_port, client_identification, started_at, expires_at,
       idle_ms, session_identifier, key_exchange, host_key_algorithm, also_credential_id, purpose, read_only, window_id, scope, scope_mac, ends_as)
     select $1, $2, $3, $4, $5, $6, $7, $8, $9, n.now, n.ends, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21
     from (select clock_timestamp() as now, to_timestamp($10::float8 / 1000) as ends) n where n.now < n.ends
     returning (extract(epoch from expires_at - started_at) * 1000)::float8 as life_ms`,
    [
      session.id,
      session.tokenHash,
      session.account,
      session.credential,
      session.node,
      session.startId,
      session.sourceAddress,
      session.sourcePort,
      session.client,
      session.endsAt,
      session.idleLifeMs,
      session.sessionIdentifier,
      session.keyExchange,
      session.hostKeyAlgorithm,
      session.alsoCredential,
      session.purpose,
      session.readOnly,
      session.window,
      session.scope.text,
      session.scope.mac,
      session.endsAs,
    ],
  );
  return row?.life_ms;
}

/** Returns those of the customers that are not suspended. */
export async function activeCustomers(tx: Transaction, customers: readonly string[]): Promise<ReadonlySet<string>> {
  if (customers.length === 0) return new Set();
  const rows = await tx.query<{ id: string }>(
    "select id from customer where id = any ($1::uuid[]) and state = 'active'",
    [customers],
  );
  return new Set(rows.map((row) => row.id));
}

/**
 * The row of a session. Its columns repeat what the sealed scope says; a column may also have become narrower since (an
 * earlier end).
 */
export type SessionRow = {
  readonly id: SessionId;
  readonly account: string;
  readonly credential: string;
  readonly alsoCredential: string | null;
  readonly node: string;
  readonly purpose: string;
  readonly window: string | null;
  readonly scope: string | null;
  readonly scopeMac: Buffer | null;
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly expiresInMs: number;
  readonly idleMs: number;
  readonly idleForMs: number;
};

/** The columns that every query of a session's row selects first. */
export const sessionColumns =
  's.id, s.node, s.credential_id, s.also_credential_id, s.purpose, s.account_id, s.window_id, s.scope, s.scope_mac';
export type RawSession = {
  readonly id: string;
  readonly node: string;
  readonly credential_id: string;
  readonly also_credential_id: string | null;
  readonly purpose: string;
  readonly account_id: string;
  readonly window_id: string | null;
  readonly scope: string | null;
  readonly scope_mac: Buffer | null;
};
export const shapeSession = (row: RawSession): Omit<SessionRow, 'now' | 'expiresInMs' | 'idleMs' | 'idleForMs'> => ({
  id: idOf<SessionId>(row.id),
  account: row.account_id,
  credential: row.credential_id,
  alsoCredential: row.also_credential_id,
  node: row.node,
  purpose: row.purpose,
  window: row.window_id,
  scope: row.scope,
  scopeMac: row.scope_mac,
});

/** Finds the open session of a token hash, if its account, customer and credentials are still good. */
export async function findOpenSession(tx: Transaction, tokenHash: Buffer): Promise<SessionRow | undefined> {
  const [row] = await tx.query<RawSession & { now: number; expires_in: number; idle_ms: number; idle_for: number }>(
    `select ${sessionColumns}, s.idle_ms,
       (extract(epoch from clock_timestamp()) * 1000)::float8 as now,
       (extract(epoch from s.expires_at - clock_timestamp()) * 1000)::float8 as expires_in,
       (extract(epoch from clock_timestamp() - s.last_seen_at) * 1000)::float8 as idle_for
     from session s join account a on a.id = s.account_id join credential k on k.id = s.credential_id left join customer c on c.id = a.customer_id
     where s.token_hash = $1 and s.state = 'open' and s.expires_at > clock_timestamp() and a.state = 'active'
       and (a.expires_at is null or a.expires_at > clock_timestamp())
       and coalesce(c.state, 'active') = 'active' and k.state in ('active', 'retiring') and k.expires_at > clock_timestamp()
       and (s.also_credential_id is null or exists (select 1 from credential k2 where k2.id = s.also_credential_id and k2.state in ('active', 'retiring') and k2.expires_at > clock_timestamp()))`,
    [tokenHash],
  );
  return (
    row && {
      ...shapeSession(row),
      now: row.now,
      expiresInMs: row.expires_in,
      idleMs: row.idle_ms,
      idleForMs: row.idle_for,
    }
  );
}

/**
 * Returns a page of the open sessions in the order of their accounts. The rows are returned as they stand, without
 * regard to the state of what they rely on.
 */
export async function pageOfOpenSessions(
  tx: Transaction,
  after: { readonly account: string; readonly id: SessionId } | null,
  limit: number,
): Promise<readonly (ScopedRow & { readonly tokenHash: Buffer })[]> {
  return tx.query<ScopedRow & { readonly tokenHash: Buffer }>(
    `select id, account_id as account, credential_id as credential, also_credential_id as "alsoCredential", node, purpose, window_id as window, scope,
       scope_mac as "scopeMac", token_hash as "tokenHash"
     from session where state = 'open' and ($1::uuid is null or (account_id, id) > ($1, $2)) order by account_id, id limit $3`,
    [after?.account ?? null, after?.id ?? null, limit],
  );
}

type EndedSession = {
  readonly id: SessionId;
  readonly account: AccountId;
  readonly customer: CustomerId | null;
  readonly node: NodeName;
  readonly plane: Plane;
  readonly end: SessionEnd;
};
/** The sessions that were ended, and the read handles that were closed with them. */
type Ended = { readonly sessions: readonly EndedSession[]; readonly handles: readonly ReadHandle[] };

const conditions = {
  session: 's.id = $3',
  account: 's.account_id = $3',
  customer:
    's.account_id in (select id from account where customer_id = $3 union select account_id from folder_right where customer_id = $3)',
  credential: '(s.credential_id = $3 or s.also_credential_id = $3)',
  window: 's.window_id = $3',
  enrolmentOf: "s.account_id = $3 and s.purpose = 'enrolment'",
  node: 's.node = $3 and s.start_id <> $4',
  overdue: 's.id = any ($3::uuid[])',
} as const;

function conditionOf(filter: SessionFilter): { readonly text: string; readonly values: readonly unknown[] } {
  if ('session' in filter) return { text: conditions.session, values: [filter.session] };
  if ('account' in filter) return { text: conditions.account, values: [filter.account] };
  if ('customer' in filter) return { text: conditions.customer, values: [filter.customer] };
  if ('enrolmentOf' in filter) return { text: conditions.enrolmentOf, values: [filter.enrolmentOf] };
  if ('window' in filter) return { text: conditions.window, values: [filter.window] };
  if ('credential' in filter) return { text: conditions.credential, values: [filter.credential] };
  if ('node' in filter) return { text: conditions.node, values: [filter.node, filter.exceptStartId] };
  return { text: conditions.overdue, values: [filter.overdue] };
}

/** Returns the reason that the client is told, according to the filter by which its session was ended. */
export function endOf(filter: SessionFilter): SessionEnd {
  if ('session' in filter) return 'operator';
  if ('account' in filter) return 'account';
  if ('enrolmentOf' in filter) return 'enrolment';
  if ('customer' in filter) return 'customer';
  if ('window' in filter) return 'window';
  if ('credential' in filter) return 'credential';
  return 'node' in filter ? 'lost' : filter.as;
}

/**
 * Ends every open session that matches the filter, and closes its downloads. A session keeps its uploads for the grace
 * period, in which the edge seals their tails (`ending-queries.ts`).
 */
export async function endSessions(
  tx: Transaction,
  filter: SessionFilter,
  reason: string,
  end: SessionEnd,
): Promise<Ended> {
  const { text, values } = conditionOf(filter);
  const rows = await tx.query<{
    id: string;
    account_id: string;
    node: string;
    customer_id: string | null;
    plane: Plane;
  }>(
    `with ended as (
       update session s set state = 'ended', ended_at = clock_timestamp(), end_reason = $1, end_kind = $2, ended_epoch = nextval('revocation_epoch')
       where s.state = 'open' and ${text} returning s.id, s.account_id, s.node)
     select e.id, e.account_id, e.node, a.customer_id, a.plane from ended e join account a on a.id = e.account_id`,
    [reason, end, ...values],
  );
  const ids = rows.map((row) => row.id);
  const handles: ReadHandle[] = [];
  if (ids.length > 0) {
    const closed = await tx.query<{ id: string; session_id: string }>(
      'update download set closed_at = clock_timestamp() where session_id = any ($1::uuid[]) and closed_at is null returning id, session_id',
      [ids],
    );
    for (const one of closed) handles.push({ download: one.id, session: idOf<SessionId>(one.session_id) });
  }
  const sessions = rows.map((row) => ({
    id: idOf<SessionId>(row.id),
    account: idOf<AccountId>(row.account_id),
    customer: row.customer_id === null ? null : idOf<CustomerId>(row.customer_id),
    node: idOf<NodeName>(row.node),
    plane: row.plane,
    end,
  }));
  return { sessions, handles };
}

type Moved = { readonly bytesIn: number; readonly bytesOut: number };

/**
 * Stores how many bytes the edge says a session moved, but never more than the wire can have carried since the session
 * was opened. Returns what was stored.
 */
export async function recordTransferred(tx: Transaction, session: SessionId, moved: Moved): Promise<Moved> {
  const [row] = await tx.query<{ bytes_in: number; bytes_out: number }>(
    `update session set bytes_in = least($2::bigint, could_have_moved(started_at, $4)), bytes_out = least($3::bigint, could_have_moved(started_at, $4))
     where id = $1 returning bytes_in, bytes_out`,
    [session, moved.bytesIn, moved.bytesOut, wireBytesPerSecondMax],
  );
  return { bytesIn: row?.bytes_in ?? 0, bytesOut: row?.bytes_out ?? 0 };
}

export async function isSessionOpen(tx: Transaction, id: string): Promise<boolean> {
  return (await tx.query("select 1 from session where id = $1 and state = 'open'", [id])).length === 1;
}
