// Owns: the SQL of the life of a credential: how it is created, selected, withdrawn, woken and confirmed.
import { type AccountId, type CredentialId, type CustomerId, idOf } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';
import { now } from '../../postgres/now.ts';
import type { Selection } from '../../rpc/operators/credential.ts';
import {
  declareChange,
  declareFound,
  declareNew,
  declareRelied,
  fromNow,
  networksAs,
  type Purpose,
} from '../seals/declared.ts';
import { accountOfSelfTest } from '../testers/tester.ts';

type NewCredential = {
  readonly id: CredentialId;
  readonly account: AccountId;
  readonly secret:
    | { readonly type: 'public-key'; readonly algorithm: string; readonly blob: Buffer }
    | { readonly type: 'password'; readonly hash: string };
  readonly fingerprint: string;
  readonly issuedBy: string;
  readonly livesMs: number;
  /** How many milliseconds pass before the credential can be used. */
  readonly waitsMs: number;
  readonly readOnly: boolean;
  readonly networks: readonly string[];
  /** Whether its holder signed the request with the key itself. */
  readonly isProved: boolean;
};

/**
 * Stores a credential. Returns when it begins and ends; undefined when the key is registered already, for this account
 * or another one. A key counts as registered in every state, unless it was revoked before anybody proved to have it.
 */
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
    `insert into credential (id, account_id, type, algorithm, public_key, password_hash, fingerprint, issued_by, valid_from, expires_at, read_only, source_networks, proved_at)
     select $1, $2, $3, $4, $5, $6, $7, $8, n.now + $9 * interval '1 millisecond', n.now + $10 * interval '1 millisecond', $11, $12::cidr[], case when $13 then n.now end
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
      c.isProved,
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
  readonly isSelfTest: boolean;
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
  is_self_test: boolean;
};

const credentialColumns = `k.id, k.type, k.fingerprint, k.state, k.account_id, a.name as account_name, a.customer_id, k.expires_at,
  k.valid_from > clock_timestamp() as is_pending, k.issued_by, k.read_only, k.source_networks::text[] as networks, ${accountOfSelfTest} as is_self_test`;

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
  isSelfTest: row.is_self_test,
});

/**
 * Finds a credential by its name, together with its account. The names of both, and the customer, are declared for
 * `purpose`.
 */
export async function findCredentialByFingerprint(
  tx: Transaction,
  fingerprint: string,
  purpose: Purpose,
): Promise<FoundCredential | undefined> {
  const [row] = await tx.query<CredentialColumns>(
    `select ${credentialColumns} from credential k join account a on a.id = k.account_id where k.id = credential_named($1)`,
    [fingerprint],
  );
  if (row === undefined) return undefined;
  const { id, account_id: account, account_name: name, customer_id: customer } = row;
  const said = await declareFound<CredentialFacts>(
    tx,
    purpose,
    { kind: 'credential', id },
    { fingerprint, account_id: account },
  );
  await declareFound(tx, purpose, { kind: 'account', id: account }, { name, customer_id: customer });
  if (said === undefined) return shaped(row);
  return shaped({ ...row, issued_by: said.issued_by, read_only: said.read_only, networks: said.source_networks });
}

/** The facts by which callers decide later. They are taken from the verified row. */
type CredentialFacts = {
  readonly issued_by: string;
  readonly read_only: boolean;
  readonly source_networks: readonly string[];
};

/**
 * Returns the credentials that are not revoked and fulfil every condition, in the order of account and age; at most
 * 20,000.
 */
export async function selectCredentials(tx: Transaction, chosen: Selection): Promise<readonly FoundCredential[]> {
  const rows = await tx.query<CredentialColumns>(
    `select ${credentialColumns} from chosen_credentials($1, $2, $3, $4, $5) x(id) join credential k on k.id = x.id join account a on a.id = k.account_id
     order by a.name, k.created_at, k.id limit 20000`,
    [
      chosen.customer ?? null,
      chosen.account ?? null,
      chosen.fingerprint ?? null,
      chosen.staleBefore ?? null,
      chosen.usedFrom ?? null,
    ],
  );
  return rows.map(shaped);
}

export async function findCredentials(
  tx: Transaction,
  ids: readonly CredentialId[],
): Promise<readonly FoundCredential[]> {
  const rows = await tx.query<CredentialColumns>(
    `select ${credentialColumns} from credential k join account a on a.id = k.account_id where k.id = any ($1::uuid[]) order by a.name, k.id`,
    [ids],
  );
  return rows.map(shaped);
}

/** Finds this key when another account than `notOf` holds it and nobody has ever proved to have it. */
export async function findUnproved(
  tx: Transaction,
  fingerprint: string,
  notOf: AccountId,
): Promise<CredentialId | undefined> {
  const [row] = await tx.query<{ id: string }>(
    "select id from credential where fingerprint = $1 and type = 'public-key' and proved_at is null and state <> 'revoked' and account_id <> $2",
    [fingerprint, notOf],
  );
  return row && idOf<CredentialId>(row.id);
}

/**
 * Returns whether nobody has proved this key up to now; its row is then locked. The lock does not wait for logins,
 * which hold the row against deletion while they wait for budgets that this withdrawal has locked.
 */
export async function isUnproved(tx: Transaction, credential: CredentialId): Promise<boolean> {
  return (
    (await tx.query('select 1 from credential where id = $1 and proved_at is null for no key update', [credential]))
      .length === 1
  );
}

/** Revokes a credential for good. Returns false when it was revoked before. */
export async function revokeCredential(
  tx: Transaction,
  credential: CredentialId,
  by: string,
  why: string,
): Promise<boolean> {
  const rows = await tx.query(
    "update credential set state = 'revoked', ended_at = clock_timestamp(), ended_by = $2, ended_why = $3 where id = $1 and state <> 'revoked' returning id",
    [credential, by, why],
  );
  return rows.length === 1;
}

/**
 * Lets a credential retire: it and its successor are both good until the returned time. Returns undefined when the
 * credential is neither active nor retiring.
 */
export async function retireCredential(
  tx: Transaction,
  credential: CredentialId,
  afterMs: number,
): Promise<Date | undefined> {
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
      await tx.query(
        "update credential set woken_at = clock_timestamp() where id = $1 and state in ('active', 'retiring') returning id",
        [credential],
      )
    ).length === 1
  );
}

/** Makes a key usable at once that still waits for the end of its delay. Returns false when it does not wait. */
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

/** Gives a new key the budgets of the key that it replaces, so that what an operator narrowed stays narrow. */
export async function copyBudgets(tx: Transaction, from: CredentialId, to: CredentialId): Promise<void> {
  const pairs = await tx.query<Copied>(
    `select o.id as from, n.id as to, jsonb_build_object('cap_hour_bytes', o.cap_hour_bytes, 'cap_day_bytes', o.cap_day_bytes, 'cap_week_bytes', o.cap_week_bytes,
       'cap_hour_items', o.cap_hour_items, 'cap_day_items', o.cap_day_items, 'cap_week_items', o.cap_week_items, 'rate', o.rate, 'sessions_max', o.sessions_max,
       'consequence', o.consequence, 'is_share', o.is_share) as facts
     from budget o join budget n on n.direction = o.direction where o.rank = 1 and o.credential_id = $1 and n.rank = 1 and n.credential_id = $2`,
    [from, to],
  );
  for (const pair of pairs) {
    // The budget that is copied must be what the warden wrote, and so must the one to which it is copied.
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

const idsOf = (rows: readonly { readonly id: string }[]): readonly string[] => rows.map((row) => row.id);

const isRetired = `k.state <> 'revoked' and k.expires_at <= ${now}
  and (k.state = 'retiring' or exists (select 1 from rotation_item i where i.credential_id = k.id and i.state = 'open'))`;

/** Finds credentials that were to retire and whose end has come, including suspended ones. */
export async function findRetired(tx: Transaction, limit: number): Promise<readonly string[]> {
  return idsOf(
    await tx.query<{ id: string }>(
      `select d.id from (
         select k.id, k.expires_at from credential k where k.state = 'retiring' and k.expires_at <= ${now}
         union
         select k.id, k.expires_at from rotation_item i join credential k on k.id = i.credential_id
         where i.state = 'open' and k.state <> 'revoked' and k.expires_at <= ${now}
       ) d order by d.expires_at limit $1`,
      [limit],
    ),
  );
}

/** Locks and returns those of the credentials that are still due. Rows that another warden has locked are left out. */
export async function takeRetired(tx: Transaction, ids: readonly string[]): Promise<readonly FoundCredential[]> {
  const held = idsOf(
    await tx.query<{ id: string }>(
      'select id from credential where id = any ($1::uuid[]) order by id for no key update skip locked',
      [ids],
    ),
  );
  const rows = await tx.query<CredentialColumns>(
    `select ${credentialColumns} from credential k join account a on a.id = k.account_id
     where k.id = any ($1::uuid[]) and ${isRetired} order by k.expires_at`,
    [held],
  );
  return rows.map(shaped);
}

const isExpiring = `k.state = 'active' and k.warned_at is null and k.expires_at < ${now} + $2 * interval '1 millisecond' and k.issued_by <> 'self-test'`;

/** Finds credentials that expire within `withinMs` and whose contact has not been told. */
export async function findExpiring(tx: Transaction, withinMs: number, limit: number): Promise<readonly string[]> {
  return idsOf(
    await tx.query<{ id: string }>(`select k.id from credential k where ${isExpiring} order by k.expires_at limit $1`, [
      limit,
      withinMs,
    ]),
  );
}

/** Marks those of the credentials that are still due as told, so that each contact is told once, and returns them. */
export async function takeExpiring(tx: Transaction, ids: readonly string[], withinMs: number): Promise<readonly Due[]> {
  const rows = await tx.query<CredentialColumns & { contact: string | null }>(
    `with held as (select id from credential where id = any ($1::uuid[]) order by id for no key update skip locked)
     update credential k set warned_at = clock_timestamp() from account a, held h where a.id = k.account_id and k.id = h.id and ${isExpiring}
     returning ${credentialColumns}, a.contact`,
    [ids, withinMs],
  );
  return rows.map((row) => ({ ...shaped(row), contact: row.contact }));
}

const isOver = "(k.state not in ('active', 'retiring') or k.expires_at <= clock_timestamp())";

/**
 * Finds credentials that have ended while a session that relies on them is open, because their end was brought forward
 * after the session began.
 */
export async function findOutlived(tx: Transaction, limit: number): Promise<readonly string[]> {
  return idsOf(
    await tx.query<{ id: string }>(
      `select distinct k.id from session s join credential k on k.id = any (array[s.credential_id, s.also_credential_id])
       where s.state = 'open' and ${isOver} limit $1`,
      [limit],
    ),
  );
}

/**
 * Returns those of the credentials that still are at their end: one may have been woken while its budgets were being
 * locked.
 */
export async function stillOver(tx: Transaction, ids: readonly string[]): Promise<readonly CredentialId[]> {
  const rows = await tx.query<{ id: string }>(
    `select k.id from credential k where k.id = any ($1::uuid[]) and ${isOver} order by k.id`,
    [ids],
  );
  return rows.map((row) => idOf<CredentialId>(row.id));
}

/**
 * Resumes a suspended credential: as `retiring` when it is in an open rotation, otherwise as `active`. Returns false
 * when it was not suspended.
 */
export async function resumeCredential(tx: Transaction, credential: CredentialId): Promise<boolean> {
  return (
    (
      await tx.query(
        "update credential set state = case when exists (select 1 from rotation_item i where i.credential_id = $1 and i.state = 'open') then 'retiring' else 'active' end where id = $1 and state = 'suspended' returning id",
        [credential],
      )
    ).length === 1
  );
}
