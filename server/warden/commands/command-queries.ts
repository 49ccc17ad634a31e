// Owns: the SQL of commands and of what they create: customers, accounts, keys, tickets, windows.
import {
  type AccountId,
  type AccountKind,
  type CredentialId,
  type CustomerId,
  type Direction,
  type FolderId,
  idOf,
  type Plane,
  type Verb,
} from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';

export type CommandRow = {
  readonly id: string;
  readonly operation: string;
  readonly params: unknown;
  readonly operator: string;
  readonly role: string;
  readonly isActive: boolean;
};

/** The oldest waiting command, locked; another warden passes over it. */
export async function takeCommand(tx: Transaction): Promise<CommandRow | undefined> {
  const [row] = await tx.query<{ id: string; operation: string; params: unknown; name: string; role: string; state: string }>(
    `select c.id, c.operation, c.params, o.name, o.role, o.state from command c join operator o on o.id = c.operator_id
     where c.state = 'new' order by c.created_at limit 1 for update of c skip locked`,
  );
  return (
    row && {
      id: row.id,
      operation: row.operation,
      params: row.params,
      operator: row.name,
      role: row.role,
      isActive: row.state === 'active',
    }
  );
}

export async function finishCommand(tx: Transaction, id: string, result: unknown): Promise<void> {
  await tx.query("update command set state = 'done', result = $2, finished_at = clock_timestamp() where id = $1", [
    id,
    JSON.stringify(result),
  ]);
}

export async function failCommand(tx: Transaction, id: string, code: string, text: string): Promise<void> {
  await tx.query(
    "update command set state = 'failed', error_code = $2, error_text = $3, finished_at = clock_timestamp() where id = $1 and state = 'new'",
    [id, code, text],
  );
}

export async function insertCustomer(tx: Transaction, id: CustomerId, name: string): Promise<boolean> {
  return (await tx.query('insert into customer (id, name) values ($1, $2) on conflict do nothing returning id', [id, name])).length === 1;
}

export type NewFolder = {
  readonly id: FolderId;
  readonly customer: CustomerId;
  readonly name: string;
  readonly direction: Direction;
  readonly settleMs: number;
  readonly windowDays: number | null;
  readonly retentionDays: number | null;
  readonly replaceAllowed: boolean;
  readonly directoriesAllowed: boolean;
};

export async function insertFolder(tx: Transaction, f: NewFolder): Promise<void> {
  await tx.query(
    'insert into folder (id, customer_id, name, direction, settle_ms, replace_allowed, directories_allowed, window_days, retention_days) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)',
    [f.id, f.customer, f.name, f.direction, f.settleMs, f.replaceAllowed, f.directoriesAllowed, f.windowDays, f.retentionDays],
  );
}

export async function findCustomer(
  tx: Transaction,
  name: string,
): Promise<{ readonly id: CustomerId; readonly state: string } | undefined> {
  const [row] = await tx.query<{ id: string; state: string }>('select id, state from customer where name = $1', [name]);
  return row && { id: idOf<CustomerId>(row.id), state: row.state };
}

export async function setCustomerState(tx: Transaction, id: CustomerId, state: 'active' | 'suspended'): Promise<boolean> {
  return (await tx.query('update customer set state = $2 where id = $1 and state <> $2 returning id', [id, state])).length === 1;
}

export async function foldersOf(
  tx: Transaction,
  customer: CustomerId,
): Promise<readonly { readonly id: FolderId; readonly direction: Direction }[]> {
  const rows = await tx.query<{ id: string; direction: Direction }>('select id, direction from folder where customer_id = $1', [customer]);
  return rows.map((row) => ({ id: idOf<FolderId>(row.id), direction: row.direction }));
}

export type NewAccount = {
  readonly id: AccountId;
  readonly name: string;
  readonly customer: CustomerId | null;
  readonly kind: AccountKind;
  readonly plane: Plane;
  readonly contact: string | null;
  readonly isDemo: boolean;
};

export async function insertAccount(tx: Transaction, a: NewAccount): Promise<boolean> {
  const rows = await tx.query(
    'insert into account (id, name, customer_id, kind, plane, contact, is_demo) values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing returning id',
    [a.id, a.name, a.customer, a.kind, a.plane, a.contact, a.isDemo],
  );
  return rows.length === 1;
}

export async function insertRight(
  tx: Transaction,
  account: AccountId,
  customer: CustomerId,
  folder: FolderId,
  verbs: readonly Verb[],
): Promise<void> {
  await tx.query('insert into folder_right (account_id, customer_id, folder_id, verbs) values ($1, $2, $3, $4)', [
    account,
    customer,
    folder,
    verbs,
  ]);
}

export type AccountRow = {
  readonly id: AccountId;
  readonly customer: CustomerId | null;
  readonly kind: AccountKind;
  readonly hasFactor: boolean;
};

export async function findAccountByName(tx: Transaction, name: string): Promise<AccountRow | undefined> {
  const [row] = await tx.query<{ id: string; customer_id: string | null; kind: AccountKind; has_factor: boolean }>(
    'select a.id, a.customer_id, a.kind, exists (select 1 from second_factor f where f.account_id = a.id) as has_factor from account a where a.name = $1',
    [name],
  );
  return (
    row && {
      id: idOf<AccountId>(row.id),
      customer: row.customer_id === null ? null : idOf<CustomerId>(row.customer_id),
      kind: row.kind,
      hasFactor: row.has_factor,
    }
  );
}

export type NewCredential = {
  readonly id: CredentialId;
  readonly account: AccountId;
  readonly algorithm: string;
  readonly blob: Buffer;
  readonly fingerprint: string;
  readonly issuedBy: string;
  readonly days: number;
};

/** The expiry, or undefined when the key is already there, on this or any other account. */
export async function insertCredential(tx: Transaction, c: NewCredential): Promise<Date | undefined> {
  const [row] = await tx.query<{ expires_at: Date }>(
    `insert into credential (id, account_id, type, algorithm, public_key, fingerprint, issued_by, expires_at)
     values ($1, $2, 'public-key', $3, $4, $5, $6, clock_timestamp() + $7 * interval '1 day') on conflict do nothing returning expires_at`,
    [c.id, c.account, c.algorithm, c.blob, c.fingerprint, c.issuedBy, c.days],
  );
  return row?.expires_at;
}

/** A newer ticket replaces the ones before it. */
export async function insertTicket(
  tx: Transaction,
  id: string,
  account: AccountId,
  hash: Buffer,
  issuedBy: string,
  hours: number,
): Promise<Date> {
  await tx.query(
    'update mfa_ticket set expires_at = clock_timestamp() where account_id = $1 and used_at is null and expires_at > clock_timestamp()',
    [account],
  );
  const [row] = await tx.query<{ expires_at: Date }>(
    "insert into mfa_ticket (id, account_id, ticket_hash, issued_by, expires_at) values ($1, $2, $3, $4, clock_timestamp() + $5 * interval '1 hour') returning expires_at",
    [id, account, hash, issuedBy, hours],
  );
  return row?.expires_at ?? new Date(0);
}

export async function insertWindow(
  tx: Transaction,
  id: string,
  account: AccountId,
  hours: number,
  openedBy: string,
  reason: string,
): Promise<Date> {
  const [row] = await tx.query<{ closes_at: Date }>(
    `insert into activation_window (id, account_id, opens_at, closes_at, opened_by, reason)
     select $1, $2, now, now + $3 * interval '1 hour', $4, $5 from clock_timestamp() as now returning closes_at`,
    [id, account, hours, openedBy, reason],
  );
  return row?.closes_at ?? new Date(0);
}

export async function closeWindows(tx: Transaction, account: AccountId): Promise<number> {
  return (
    await tx.query(
      'update activation_window set closed_at = clock_timestamp() where account_id = $1 and closed_at is null and closes_at > clock_timestamp() returning id',
      [account],
    )
  ).length;
}

export async function countDemoAccounts(tx: Transaction): Promise<number> {
  const [row] = await tx.query<{ n: number }>('select count(*) as n from account where is_demo');
  return row?.n ?? 0;
}

export async function findCredentialByFingerprint(
  tx: Transaction,
  fingerprint: string,
): Promise<
  { readonly id: CredentialId; readonly state: string; readonly account: string; readonly customer: CustomerId | null } | undefined
> {
  const [row] = await tx.query<{ id: string; state: string; account_id: string; customer_id: string | null }>(
    'select k.id, k.state, k.account_id, a.customer_id from credential k join account a on a.id = k.account_id where k.fingerprint = $1',
    [fingerprint],
  );
  return (
    row && {
      id: idOf<CredentialId>(row.id),
      state: row.state,
      account: row.account_id,
      customer: row.customer_id === null ? null : idOf<CustomerId>(row.customer_id),
    }
  );
}

export async function isSessionOpen(tx: Transaction, id: string): Promise<boolean> {
  return (await tx.query("select 1 from session where id = $1 and state = 'open'", [id])).length === 1;
}
