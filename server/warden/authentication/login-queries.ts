// Owns: the SQL of logins: what is known of a user name, its keys and passwords, and whether it has a second factor or
// a ticket.
import {
  type AccountId,
  type AccountKind,
  type CredentialId,
  type CustomerId,
  idOf,
  type Plane,
} from '../../domain/ids.ts';
import type { Restrictions } from '../../domain/restrictions.ts';
import type { Transaction } from '../../postgres/database.ts';

export type AccountFacts = {
  readonly id: AccountId;
  readonly name: string;
  readonly kind: AccountKind;
  readonly customer: CustomerId | null;
  /** Whether both the account and its customer are active. */
  readonly isActive: boolean;
  readonly restrictions: Restrictions;
  /** The rows of the authentication policy that the customer allows; null when it allows all. */
  readonly allowed: readonly string[] | null;
  readonly hasSecondFactor: boolean;
  readonly window: { readonly id: string; readonly until: number } | null;
  readonly ticket: { readonly id: string; readonly hash: Buffer } | null;
};

const millis = (date: Date | null): number | null => date?.getTime() ?? null;

/** Finds the account of a user name. `now` is the database's time of the look-up, in milliseconds since 1970. */
export async function findAccount(
  tx: Transaction,
  name: string,
): Promise<{ readonly account: AccountFacts | undefined; readonly now: number }> {
  const [row] = await tx.query<{
    now: Date;
    id: string | null;
    name: string;
    kind: AccountKind;
    plane: Plane;
    customer_id: string | null;
    is_active: boolean;
    read_only: boolean;
    networks: readonly string[];
    expires_at: Date | null;
    allowed_proofs: readonly string[] | null;
    has_factor: boolean;
    window_id: string | null;
    window_closes: Date | null;
    ticket_id: string | null;
    ticket_hash: Buffer | null;
  }>(
    `select n.now, a.id, a.name, a.kind, a.plane, a.customer_id, a.state = 'active' and coalesce(c.state, 'active') = 'active' as is_active,
       a.read_only, a.source_networks::text[] as networks, a.expires_at, c.allowed_proofs,
       exists (select 1 from second_factor f where f.account_id = a.id and f.sealed_seed is not null) as has_factor,
       w.id as window_id, w.closes_at as window_closes, t.id as ticket_id, t.ticket_hash
     from (select clock_timestamp() as now) n
       left join account a on a.name = $1
       left join customer c on c.id = a.customer_id
       left join lateral open_window(a.id, n.now) w on a.kind = 'machine'
       left join lateral (select id, ticket_hash from mfa_ticket m where m.account_id = a.id and m.ticket_hash is not null and m.used_at is null and m.expires_at > n.now
         and m.failed_trials < 5 order by m.created_at desc limit 1) t on true`,
    [name],
  );
  if (row === undefined) throw new Error('no row for a name');
  const now = row.now.getTime();
  if (row.id === null) return { account: undefined, now };
  return {
    now,
    account: {
      id: idOf<AccountId>(row.id),
      name: row.name,
      kind: row.kind,
      customer: row.customer_id === null ? null : idOf<CustomerId>(row.customer_id),
      isActive: row.is_active,
      restrictions: {
        networks: row.networks.length === 0 ? [] : [row.networks],
        planes: [row.plane],
        readOnly: row.read_only,
        until: millis(row.expires_at),
      },
      allowed: row.allowed_proofs,
      hasSecondFactor: row.has_factor,
      window:
        row.window_id === null || row.window_closes === null
          ? null
          : { id: row.window_id, until: row.window_closes.getTime() },
      ticket: row.ticket_id === null || row.ticket_hash === null ? null : { id: row.ticket_id, hash: row.ticket_hash },
    },
  };
}

type UsableCredential = {
  readonly id: CredentialId;
  readonly account: AccountId;
  readonly passwordHash: string | null;
  readonly restrictions: Restrictions;
};

const byName = { fingerprint: 'fingerprint = $1', ids: 'id = any ($1::uuid[])' } as const;

async function usable(
  tx: Transaction,
  by: keyof typeof byName,
  name: string | readonly string[],
  dormantMs: number,
): Promise<readonly UsableCredential[]> {
  const text = byName[by];
  const rows = await tx.query<{
    id: string;
    account_id: string;
    password_hash: string | null;
    expires_at: Date;
    read_only: boolean;
    networks: readonly string[];
  }>(
    `select id, account_id, password_hash, expires_at, read_only, source_networks::text[] as networks from credential
     where ${text} and state in ('active', 'retiring') and expires_at > clock_timestamp() and valid_from <= clock_timestamp()
       and greatest(last_used_at, woken_at, valid_from) > clock_timestamp() - $2 * interval '1 millisecond'`,
    [name, dormantMs],
  );
  return rows.map((row) => ({
    id: idOf<CredentialId>(row.id),
    account: idOf<AccountId>(row.account_id),
    passwordHash: row.password_hash,
    restrictions: {
      networks: row.networks.length === 0 ? [] : [row.networks],
      planes: ['partner', 'internal'],
      readOnly: row.read_only,
      until: row.expires_at.getTime(),
    },
  }));
}

/**
 * Finds a credential by its name (a fingerprint or `password:…`), if it can be used now: it is active or retiring, its
 * validity has begun and has not expired, and it is not dormant. `account` in the result says whose it is.
 */
export async function findUsable(
  tx: Transaction,
  fingerprint: string,
  dormantMs: number,
): Promise<UsableCredential | undefined> {
  return (await usable(tx, 'fingerprint', fingerprint, dormantMs))[0];
}

/** Returns those of the credentials that can be used now. */
export const findUsableAmong = (
  tx: Transaction,
  ids: readonly CredentialId[],
  dormantMs: number,
): Promise<readonly UsableCredential[]> => usable(tx, 'ids', ids, dormantMs);

/**
 * Records the use of a credential in its row. The first use of a successor marks the item of its rotation as moved and,
 * when the rotation has no deadline, begins the overlap after which the replaced credential expires.
 */
export async function touchCredential(tx: Transaction, credential: CredentialId, source: string): Promise<void> {
  const [row] = await tx.query<{ moved: boolean }>(
    `update credential set first_used_at = coalesce(first_used_at, statement_timestamp()), first_used_from = coalesce(first_used_from, $2::inet),
       last_used_at = statement_timestamp(), last_used_from = $2::inet, proved_at = coalesce(proved_at, statement_timestamp()) where id = $1 returning first_used_at = last_used_at as moved`,
    [credential, source],
  );
  // Only a first use can complete a rotation, so all other logins are spared the second statement.
  if (row?.moved !== true) return;
  const moved = await tx.query<{ credential_id: string; overlap_ms: number; deadline: Date | null }>(
    `update rotation_item i set moved_at = clock_timestamp() from rotation r
     where i.successor_id = $1 and i.moved_at is null and r.id = i.rotation_id and i.state in ('open', 'retired')
     returning i.credential_id, r.overlap_ms, r.deadline`,
    [credential],
  );
  for (const one of moved)
    if (one.deadline === null)
      await tx.query(
        `update credential set state = 'retiring', expires_at = least(expires_at, clock_timestamp() + $2 * interval '1 millisecond')
         where id = $1 and state in ('active', 'retiring')`,
        [one.credential_id, one.overlap_ms],
      );
}
