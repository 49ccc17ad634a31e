// Owns: the SQL of a credential's life: made, chosen, withdrawn, woken, confirmed.
import { type AccountId, type CredentialId, type CustomerId, idOf } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { Selection } from '../../rpc/operator-credentials.ts';
import { declareChange, declareNew, declareRelied, fromNow, networksAs } from '../changes/declared.ts';

export type NewCredential = {
  readonly id: CredentialId;
  readonly account: AccountId;
  readonly secret:
    | { readonly type: 'public-key'; readonly algorithm: string; readonly blob: Buffer }
    | { readonly type: 'password'; readonly hash: string };
  readonly fingerprint: string;
  readonly issuedBy: string;
  readonly livesMs: number;
  /** Usable only after so long. */
  readonly waitsMs: number;
  readonly readOnly: boolean;
  readonly networks: readonly string[];
};

/** Begin and end, or undefined when the key is already there, on this or any other account, in whatever state. */
export async function insertCredential(
  tx: Transaction,
  c: NewCredential,
): Promise<{ readonly validFrom: Date; readonly expiresAt: Date } | undefined> {
  const { secret } = c;
  declareNew(
    tx,
    { kind: 'credential', id: c.id },
    {
      account_id: c.account,
      type: secret.type,
      algorithm: secret.type === 'password' ? 'argon2id' : secret.algorithm,
      public_key: secret.type === 'password' ? null : secret.blob.toString('hex'),
      password_hash: secret.type === 'password' ? secret.hash : null,
      fingerprint: c.fingerprint,
      issued_by: c.issuedBy,
      valid_from: fromNow(c.waitsMs),
      issued_until: fromNow(c.livesMs),
      read_only: c.readOnly,
      source_networks: networksAs(c.networks),
    },
  );
  const [row] = await tx.query<{ valid_from: Date; expires_at: Date }>(
    `insert into credential (id, account_id, type, algorithm, public_key, password_hash, fingerprint, issued_by, valid_from, expires_at, read_only, source_networks)
     select $1, $2, $3, $4, $5, $6, $7, $8, n.now + $9 * interval '1 millisecond', n.now + $10 * interval '1 millisecond', $11, $12::cidr[]
     from (select clock_timestamp() as now) n on conflict do nothing returning valid_from, expires_at`,
    [
      c.id,
      c.account,
      secret.type,
      secret.type === 'password' ? 'argon2id' : secret.algorithm,
      secret.type === 'password' ? null : secret.blob,
      secret.type === 'password' ? secret.hash : null,
      c.fingerprint,
      c.issuedBy,
      c.waitsMs,
      c.livesMs,
      c.readOnly,
      c.networks,
    ],
  );
  return row && { validFrom: row.valid_from, expiresAt: row.expires_at };
}

export type FoundCredential = {
  readonly id: CredentialId;
  readonly type: string;
  readonly fingerprint: string;
  readonly state: string;
  readonly account: AccountId;
  readonly accountName: string;
  readonly customer: CustomerId | null;
  readonly expiresAt: Date;
  readonly isPending: boolean;
  readonly issuedBy: string;
  readonly readOnly: boolean;
  readonly networks: readonly string[];
};

type CredentialColumns = {
  id: string;
  type: string;
  fingerprint: string;
  state: string;
  account_id: string;
  account_name: string;
  customer_id: string | null;
  expires_at: Date;
  is_pending: boolean;
  issued_by: string;
  read_only: boolean;
  networks: readonly string[];
};

const credentialColumns = `k.id, k.type, k.fingerprint, k.state, k.account_id, a.name as account_name, a.customer_id, k.expires_at,
  k.valid_from > clock_timestamp() as is_pending, k.issued_by, k.read_only, k.source_networks::text[] as networks`;

const shaped = (row: CredentialColumns): FoundCredential => ({
  id: idOf<CredentialId>(row.id),
  type: row.type,
  fingerprint: row.fingerprint,
  state: row.state,
  account: idOf<AccountId>(row.account_id),
  accountName: row.account_name,
  customer: row.customer_id === null ? null : idOf<CustomerId>(row.customer_id),
  expiresAt: row.expires_at,
  isPending: row.is_pending,
  issuedBy: row.issued_by,
  readOnly: row.read_only,
  networks: row.networks,
});

export async function findCredentialByFingerprint(tx: Transaction, fingerprint: string): Promise<FoundCredential | undefined> {
  const [row] = await tx.query<CredentialColumns>(
    `select ${credentialColumns} from credential k join account a on a.id = k.account_id where k.fingerprint = $1`,
    [fingerprint],
  );
  return row && shaped(row);
}

/** Credentials that are not revoked yet and fit every condition, in the order of account and age. */
export async function selectCredentials(tx: Transaction, chosen: Selection): Promise<readonly FoundCredential[]> {
  const rows = await tx.query<CredentialColumns>(
    `select ${credentialColumns} from chosen_credentials($1, $2, $3, $4, $5) x(id) join credential k on k.id = x.id join account a on a.id = k.account_id
     order by a.name, k.created_at, k.id limit 20000`,
    [chosen.customer ?? null, chosen.account ?? null, chosen.fingerprint ?? null, chosen.staleBefore ?? null, chosen.usedFrom ?? null],
  );
  return rows.map(shaped);
}

export async function findCredentials(tx: Transaction, ids: readonly CredentialId[]): Promise<readonly FoundCredential[]> {
  const rows = await tx.query<CredentialColumns>(
    `select ${credentialColumns} from credential k join account a on a.id = k.account_id where k.id = any ($1::uuid[]) order by a.name, k.id`,
    [ids],
  );
  return rows.map(shaped);
}

/** Final. True when it was not revoked before. */
export async function revokeCredential(tx: Transaction, credential: CredentialId, by: string, why: string): Promise<boolean> {
  const rows = await tx.query(
    "update credential set state = 'revoked', ended_at = clock_timestamp(), ended_by = $2, ended_why = $3 where id = $1 and state <> 'revoked' returning id",
    [credential, by, why],
  );
  return rows.length === 1;
}

/** Both good until then; when it retires, or undefined when it is not in a state to retire from. */
export async function retireCredential(tx: Transaction, credential: CredentialId, afterMs: number): Promise<Date | undefined> {
  const [row] = await tx.query<{ expires_at: Date }>(
    `update credential set state = 'retiring', expires_at = least(expires_at, clock_timestamp() + $2 * interval '1 millisecond')
     where id = $1 and state in ('active', 'retiring') returning expires_at`,
    [credential, afterMs],
  );
  return row?.expires_at;
}

export async function wakeCredential(tx: Transaction, credential: CredentialId): Promise<boolean> {
  return (
    (
      await tx.query("update credential set woken_at = clock_timestamp() where id = $1 and state in ('active', 'retiring') returning id", [
        credential,
      ])
    ).length === 1
  );
}

/** It waits no longer. */
export async function confirmCredential(tx: Transaction, credential: CredentialId): Promise<boolean> {
  await declareChange(tx, [{ kind: 'credential', id: credential }], { valid_from: fromNow(0) });
  const rows = await tx.query(
    "update credential set valid_from = clock_timestamp() where id = $1 and state = 'active' and valid_from > clock_timestamp() returning id",
    [credential],
  );
  return rows.length === 1;
}

export async function setSuccessor(tx: Transaction, credential: CredentialId, successor: CredentialId): Promise<void> {
  await tx.query('update credential set successor_id = $2 where id = $1', [credential, successor]);
}

type Copied = {
  readonly from: number;
  readonly to: number;
  readonly facts: Readonly<Record<string, unknown>>;
};

/** A new key gets the caps of the one it replaces: what an operator narrowed stays narrow. */
export async function copyBudgets(tx: Transaction, from: CredentialId, to: CredentialId): Promise<void> {
  const pairs = await tx.query<Copied>(
    `select o.id as from, n.id as to, jsonb_build_object('cap_hour_bytes', o.cap_hour_bytes, 'cap_day_bytes', o.cap_day_bytes, 'cap_week_bytes', o.cap_week_bytes,
       'cap_hour_items', o.cap_hour_items, 'cap_day_items', o.cap_day_items, 'cap_week_items', o.cap_week_items, 'rate', o.rate, 'sessions_max', o.sessions_max,
       'consequence', o.consequence, 'is_share', o.is_share) as facts
     from budget o join budget n on n.direction = o.direction where o.rank = 1 and o.credential_id = $1 and n.rank = 1 and n.credential_id = $2`,
    [from, to],
  );
  for (const pair of pairs) {
    // What is copied must be what the warden wrote, like what it is copied to.
    await declareRelied(tx, { kind: 'budget', id: String(pair.from) });
    await declareChange(tx, [{ kind: 'budget', id: String(pair.to) }], pair.facts);
  }
  await tx.query(
    `update budget n set cap_hour_bytes = o.cap_hour_bytes, cap_day_bytes = o.cap_day_bytes, cap_week_bytes = o.cap_week_bytes,
       cap_hour_items = o.cap_hour_items, cap_day_items = o.cap_day_items, cap_week_items = o.cap_week_items,
       rate = o.rate, sessions_max = o.sessions_max, consequence = o.consequence, is_share = o.is_share
     from budget o where o.rank = 1 and o.credential_id = $1 and n.rank = 1 and n.credential_id = $2 and n.direction = o.direction`,
    [from, to],
  );
}

export type Due = FoundCredential & { readonly contact: string | null };

/** Credentials that were to retire and whose end has come (suspended ones too), locked; another warden passes over them. */
export async function takeRetired(tx: Transaction, limit: number): Promise<readonly FoundCredential[]> {
  const rows = await tx.query<CredentialColumns>(
    `select ${credentialColumns} from credential k join account a on a.id = k.account_id
     where k.state <> 'revoked' and k.expires_at <= clock_timestamp()
       and (k.state = 'retiring' or exists (select 1 from rotation_item i where i.credential_id = k.id and i.state = 'open')) order by k.expires_at limit $1 for update of k skip locked`,
    [limit],
  );
  return rows.map(shaped);
}

/** Credentials that end by themselves within so long and whose contact was not told; told once. */
export async function takeExpiring(tx: Transaction, withinMs: number, limit: number): Promise<readonly Due[]> {
  const rows = await tx.query<CredentialColumns & { contact: string | null }>(
    `update credential k set warned_at = clock_timestamp() from account a where a.id = k.account_id and k.id in (
       select x.id from credential x where x.state = 'active' and x.warned_at is null and x.expires_at < clock_timestamp() + $1 * interval '1 millisecond'
         and x.issued_by <> 'self-test' order by x.expires_at limit $2 for update skip locked)
     returning ${credentialColumns}, a.contact`,
    [withinMs, limit],
  );
  return rows.map((row) => ({ ...shaped(row), contact: row.contact }));
}

/** Open sessions that outlive their credential: its end was brought forward after they began. */
export async function takeOutlived(tx: Transaction, limit: number): Promise<readonly CredentialId[]> {
  const rows = await tx.query<{ id: string }>(
    `select distinct k.id from session s join credential k on k.id = s.credential_id or k.id = s.also_credential_id
     where s.state = 'open' and (k.state not in ('active', 'retiring') or k.expires_at <= clock_timestamp()) limit $1`,
    [limit],
  );
  return rows.map((row) => idOf<CredentialId>(row.id));
}
