// Owns: the SQL of what is stored about key exchanges: the counters of each account, and the identifier of a session.
import type { AccountId, SessionId } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';

export async function countKeyExchange(
  tx: Transaction,
  account: AccountId,
  isPostQuantum: boolean,
  client: string,
): Promise<void> {
  await tx.query(
    `insert into key_exchange_use as u (account_id, with_mlkem, without_mlkem, last_without_at, last_without_client)
     values ($1, case when $2 then 1 else 0 end, case when $2 then 0 else 1 end, case when $2 then null else clock_timestamp() end, case when $2 then null else $3 end)
     on conflict (account_id) do update set with_mlkem = u.with_mlkem + excluded.with_mlkem, without_mlkem = u.without_mlkem + excluded.without_mlkem,
       last_without_at = coalesce(excluded.last_without_at, u.last_without_at), last_without_client = coalesce(excluded.last_without_client, u.last_without_client)`,
    [account, isPostQuantum, client],
  );
}

/** Returns the session identifier of an open session (RFC 4253 section 7.2). */
export async function findSessionIdentifier(tx: Transaction, session: SessionId): Promise<Buffer | undefined> {
  const [row] = await tx.query<{ identifier: Buffer | null }>(
    `select session_identifier as identifier from session where id = $1 and state = 'open'`,
    [session],
  );
  return row?.identifier ?? undefined;
}
