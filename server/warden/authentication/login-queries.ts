// Owns: the SQL of logins: what is known of a name, its keys, its second factor, its ticket.
import { type AccountId, type AccountKind, type CredentialId, type CustomerId, idOf, type Plane } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';

export type AccountFacts = {
  readonly id: AccountId;
  readonly name: string;
  readonly kind: AccountKind;
  readonly plane: Plane;
  readonly customer: CustomerId | null;
  readonly readOnly: boolean;
  /** Account and customer active, not expired, and the source inside the account's networks. */
  readonly inOrder: boolean;
  readonly hasSecondFactor: boolean;
  readonly windowOpen: boolean;
  readonly ticket: { readonly id: string; readonly hash: Buffer } | null;
};

export async function findAccount(tx: Transaction, name: string, source: string): Promise<AccountFacts | undefined> {
  const [row] = await tx.query<{
    id: string;
    name: string;
    kind: AccountKind;
    plane: Plane;
    customer_id: string | null;
    read_only: boolean;
    in_order: boolean;
    has_factor: boolean;
    window_open: boolean;
    ticket_id: string | null;
    ticket_hash: Buffer | null;
  }>(
    `select a.id, a.name, a.kind, a.plane, a.customer_id, a.read_only,
       a.state = 'active' and coalesce(c.state, 'active') = 'active' and (a.expires_at is null or a.expires_at > clock_timestamp())
         and (cardinality(a.source_networks) = 0 or $2::inet <<= any (a.source_networks)) as in_order,
       exists (select 1 from second_factor f where f.account_id = a.id) as has_factor,
       exists (select 1 from activation_window w where w.account_id = a.id and w.closed_at is null and clock_timestamp() between w.opens_at and w.closes_at) as window_open,
       t.id as ticket_id, t.ticket_hash
     from account a
       left join customer c on c.id = a.customer_id
       left join lateral (select id, ticket_hash from mfa_ticket m where m.account_id = a.id and m.used_at is null and m.expires_at > clock_timestamp()
         and m.failed_trials < 5 order by m.created_at desc limit 1) t on true
     where a.name = $1`,
    [name, source],
  );
  if (row === undefined) return undefined;
  return {
    id: idOf<AccountId>(row.id),
    name: row.name,
    kind: row.kind,
    plane: row.plane,
    customer: row.customer_id === null ? null : idOf<CustomerId>(row.customer_id),
    readOnly: row.read_only,
    inOrder: row.in_order,
    hasSecondFactor: row.has_factor,
    windowOpen: row.window_open,
    ticket: row.ticket_id === null || row.ticket_hash === null ? null : { id: row.ticket_id, hash: row.ticket_hash },
  };
}

/** The usable credential of this very account with this very key. */
export async function findCredential(tx: Transaction, account: AccountId, blob: Uint8Array): Promise<CredentialId | undefined> {
  const [row] = await tx.query<{ id: string }>(
    "select id from credential where account_id = $1 and public_key = $2 and state in ('active', 'retiring') and expires_at > clock_timestamp()",
    [account, Buffer.from(blob)],
  );
  return row && idOf<CredentialId>(row.id);
}

export async function touchCredential(tx: Transaction, credential: CredentialId): Promise<void> {
  await tx.query(
    'update credential set first_used_at = coalesce(first_used_at, clock_timestamp()), last_used_at = clock_timestamp() where id = $1',
    [credential],
  );
}

export async function findSeed(
  tx: Transaction,
  account: AccountId,
): Promise<{ readonly sealed: Buffer; readonly sealedBy: string } | undefined> {
  const [row] = await tx.query<{ sealed_seed: Buffer; sealed_by: string }>(
    'select sealed_seed, sealed_by from second_factor where account_id = $1',
    [account],
  );
  return row && { sealed: row.sealed_seed, sealedBy: row.sealed_by };
}

/** True for the one caller, on whichever node, that uses this step first. */
export async function useStep(tx: Transaction, account: AccountId, step: number): Promise<boolean> {
  const rows = await tx.query('insert into totp_step (account_id, step) values ($1, $2) on conflict do nothing returning step', [
    account,
    step,
  ]);
  await tx.query("delete from totp_step where account_id = $1 and used_at < clock_timestamp() - interval '10 minutes'", [account]);
  return rows.length === 1;
}

export async function insertSecondFactor(tx: Transaction, account: AccountId, sealed: Buffer, sealedBy: string): Promise<boolean> {
  const rows = await tx.query(
    'insert into second_factor (account_id, sealed_seed, sealed_by) values ($1, $2, $3) on conflict do nothing returning account_id',
    [account, sealed, sealedBy],
  );
  return rows.length === 1;
}

export async function useTicket(tx: Transaction, ticket: string): Promise<boolean> {
  const rows = await tx.query(
    'update mfa_ticket set used_at = clock_timestamp() where id = $1 and used_at is null and expires_at > clock_timestamp() returning id',
    [ticket],
  );
  return rows.length === 1;
}

export async function countTicketFailure(tx: Transaction, ticket: string): Promise<void> {
  await tx.query('update mfa_ticket set failed_trials = failed_trials + 1 where id = $1', [ticket]);
}
