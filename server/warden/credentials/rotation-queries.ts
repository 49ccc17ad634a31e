// Owns: the SQL of rotations: how they are planned, begun, completed, retired and undone.
import { type AccountId, type CredentialId, type CustomerId, idOf } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';

export type Rotation = {
  readonly id: string;
  readonly deadline: Date | null;
  readonly overlapMs: number;
  readonly isUndone: boolean;
};

/**
 * Stores a rotation. With `hasDeadline` all old keys retire together, `overlapMs` milliseconds from now, and that time
 * is returned. Without it, each old key retires so long after the first use of its successor.
 */
export async function insertRotation(
  tx: Transaction,
  rotation: {
    readonly id: string;
    readonly selection: string;
    readonly reason: string;
    readonly by: string;
    readonly overlapMs: number;
    readonly hasDeadline: boolean;
  },
): Promise<Date | null> {
  const [row] = await tx.query<{ deadline: Date | null }>(
    `insert into rotation (id, selection, reason, started_by, overlap_ms, deadline)
     values ($1, $2, $3, $4, $5::bigint, case when $6 then clock_timestamp() + $5::bigint * interval '1 millisecond' end) returning deadline`,
    [rotation.id, rotation.selection, rotation.reason, rotation.by, rotation.overlapMs, rotation.hasDeadline],
  );
  return row?.deadline ?? null;
}

/** Adds a key to a rotation. Returns false when the key is in another rotation already, or is no usable public key. */
export async function insertItem(tx: Transaction, rotation: string, credential: CredentialId): Promise<boolean> {
  const rows = await tx.query(
    `insert into rotation_item (rotation_id, credential_id, former_expires_at) select $1, k.id, k.expires_at from credential k
     where k.id = $2 and k.type = 'public-key' and k.state in ('active', 'retiring') and not exists (
       select 1 from rotation_item i where i.credential_id = k.id and i.state in ('planned', 'open'))
     on conflict do nothing returning credential_id`,
    [rotation, credential],
  );
  return rows.length === 1;
}

export async function lockRotation(tx: Transaction, id: string): Promise<Rotation | undefined> {
  const [row] = await tx.query<{ id: string; deadline: Date | null; overlap_ms: number; undone_at: Date | null }>(
    'select id, deadline, overlap_ms, undone_at from rotation where id = $1 for update',
    [id],
  );
  return row && { id: row.id, deadline: row.deadline, overlapMs: row.overlap_ms, isUndone: row.undone_at !== null };
}

/**
 * Begins the overlap of up to `limit` planned keys: each of them now ends at the rotation's deadline. Returns their
 * accounts, for messages to their contacts.
 */
export async function openItems(
  tx: Transaction,
  rotation: string,
  limit: number,
): Promise<
  readonly {
    readonly account: AccountId;
    readonly accountName: string;
    readonly customer: CustomerId | null;
    readonly fingerprint: string;
  }[]
> {
  const rows = await tx.query<{ account_id: string; name: string; customer_id: string | null; fingerprint: string }>(
    `with chosen as (
       select i.credential_id from rotation_item i where i.rotation_id = $1 and i.state = 'planned' order by i.credential_id limit $2 for update),
     opened as (
       update rotation_item i set state = 'open' from chosen c where i.rotation_id = $1 and i.credential_id = c.credential_id returning i.credential_id)
     update credential k set state = 'retiring', expires_at = least(k.expires_at, r.deadline)
       from opened o, rotation r, account a
       where k.id = o.credential_id and r.id = $1 and a.id = k.account_id and k.state in ('active', 'retiring')
     returning k.account_id, a.name, a.customer_id, k.fingerprint`,
    [rotation, limit],
  );
  return rows.map((row) => ({
    account: idOf<AccountId>(row.account_id),
    accountName: row.name,
    customer: row.customer_id === null ? null : idOf<CustomerId>(row.customer_id),
    fingerprint: row.fingerprint,
  }));
}

/**
 * Opens the item of a single key. It does not change when the key ends: the caller does that, or the first use of its
 * successor.
 */
export async function openItem(tx: Transaction, rotation: string, credential: CredentialId): Promise<void> {
  await tx.query("update rotation_item set state = 'open' where rotation_id = $1 and credential_id = $2", [
    rotation,
    credential,
  ]);
}

export async function countPlanned(tx: Transaction, rotation: string): Promise<number> {
  const [row] = await tx.query<{ n: number }>(
    "select count(*) as n from rotation_item where rotation_id = $1 and state = 'planned'",
    [rotation],
  );
  return row?.n ?? 0;
}

/**
 * Finds the account's oldest key in a rotation (or the given key) that has no successor yet, and locks the items of the
 * account. A revoked successor counts as none.
 */
export async function findUnreplaced(
  tx: Transaction,
  account: AccountId,
  only: { readonly rotation?: string | undefined; readonly credential?: CredentialId | undefined },
): Promise<{ readonly rotation: string; readonly credential: CredentialId } | undefined> {
  const keys = await tx.query<{ id: string }>('select id from credential where account_id = $1', [account]);
  await tx.query(
    'select 1 from rotation_item where credential_id = any ($1::uuid[]) order by rotation_id, credential_id for update',
    [keys.map((key) => key.id)],
  );
  const [row] = await tx.query<{ rotation_id: string; credential_id: string }>(
    `select i.rotation_id, i.credential_id from rotation_item i join credential k on k.id = i.credential_id
     where k.account_id = $1 and i.state in ('planned', 'open') and ($2::uuid is null or i.rotation_id = $2) and ($3::uuid is null or k.id = $3)
       and not exists (select 1 from credential s where s.id = i.successor_id and s.state <> 'revoked')
     order by k.created_at limit 1`,
    [account, only.rotation ?? null, only.credential ?? null],
  );
  return row && { rotation: row.rotation_id, credential: idOf<CredentialId>(row.credential_id) };
}

/** Returns whether the key is already a successor in this rotation, because an interrupted run is being repeated. */
export async function isStaged(tx: Transaction, rotation: string, fingerprint: string): Promise<boolean> {
  const rows = await tx.query(
    'select 1 from rotation_item i join credential k on k.id = i.successor_id where i.rotation_id = $1 and k.id = credential_named($2)',
    [rotation, fingerprint],
  );
  return rows.length > 0;
}

export async function stage(
  tx: Transaction,
  rotation: string,
  credential: CredentialId,
  successor: CredentialId,
): Promise<void> {
  await tx.query(
    'update rotation_item set successor_id = $3, staged_at = clock_timestamp() where rotation_id = $1 and credential_id = $2',
    [rotation, credential, successor],
  );
}

/**
 * Returns the old keys of a rotation that have not retired: those whose account has moved to its successor or, with
 * `withLaggards`, all. It locks none of them: whoever takes a key away locks its budget first, and then looks whether
 * it is revoked already. Must be called after `lockRotation`, so that the rotation is not undone meanwhile.
 */
export async function findUnfinished(
  tx: Transaction,
  rotation: string,
  withLaggards: boolean,
): Promise<readonly CredentialId[]> {
  const rows = await tx.query<{ credential_id: string }>(
    "select credential_id from rotation_item where rotation_id = $1 and state in ('planned', 'open') and ($2 or moved_at is not null) order by credential_id",
    [rotation, withLaggards],
  );
  return rows.map((row) => idOf<CredentialId>(row.credential_id));
}

/** Marks the key as retired in whatever rotation it is. */
export async function markRetired(tx: Transaction, credential: CredentialId): Promise<void> {
  await tx.query(
    "update rotation_item set state = 'retired', retired_at = clock_timestamp() where credential_id = $1 and state in ('planned', 'open')",
    [credential],
  );
}

/** Undoes a rotation: old keys that have not retired become again what they were. Returns how many there were. */
export async function undoRotation(tx: Transaction, rotation: string, by: string): Promise<number> {
  const rows = await tx.query(
    `with undone as (
       update rotation_item set state = 'undone' where rotation_id = $1 and state in ('planned', 'open') returning credential_id, former_expires_at)
     update credential k set state = case when k.state = 'suspended' then k.state else 'active' end, expires_at = u.former_expires_at, successor_id = null
       from undone u where k.id = u.credential_id and k.state <> 'revoked' returning k.id`,
    [rotation],
  );
  await tx.query('update rotation set undone_at = clock_timestamp(), undone_by = $2 where id = $1', [rotation, by]);
  return rows.length;
}
