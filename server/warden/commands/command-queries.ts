// Owns: the SQL of commands and of what they create: customers, accounts, rights.
import {
  type AccountId,
  type AccountKind,
  type CustomerId,
  type Direction,
  type FolderId,
  idOf,
  type Plane,
  type Verb,
} from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';
import {
  declareChange,
  declareFound,
  declareNew,
  fromNow,
  instantOf,
  networksAs,
  type Purpose,
  type WritePurpose,
} from '../changes/declared.ts';
import { accountOfSelfTest, customerOfSelfTest } from '../self-test/self-test-queries.ts';

export type CommandRow = {
  readonly id: string;
  readonly operation: string;
  readonly params: unknown;
  readonly operator: string;
  readonly operatorId: string;
  readonly role: string;
  readonly isActive: boolean;
  /** The time since the command was asked for, in milliseconds. */
  readonly ageMs: number;
};

/** The two queues of commands. Plans have a queue of their own, so that no change waits for a plan. */
export type CommandsLine = 'plans' | 'others';

/**
 * The lock timeout of a command in milliseconds. When somebody else holds a lock that it needs, the command gives way
 * to the next one and is tried again.
 */
const lockMs: Readonly<Record<CommandsLine, number>> = { others: 5000, plans: 2000 };

/**
 * Takes the oldest waiting command of the operator who was served longest ago, and locks it; other wardens skip it.
 * `served` lists operators' ids, the one who was served last at the end. Returns undefined when no command waits.
 */
export async function takeCommand(tx: Transaction, line: CommandsLine, served: readonly string[]): Promise<CommandRow | undefined> {
  const [taken] = await tx.query<{ id: string }>(
    `select id from command where state = 'new' and (operation = 'plan') = $2
     order by array_position($1::uuid[], operator_id) nulls first, created_at limit 1 for update skip locked`,
    [served, line === 'plans'],
  );
  if (taken === undefined) return undefined;
  await tx.query("select set_config('lock_timeout', $1::int::text, true)", [lockMs[line]]);
  const [row] = await tx.query<{
    id: string;
    operation: string;
    params: unknown;
    operator_id: string;
    name: string;
    role: string;
    state: string;
    age_ms: number;
  }>(
    `select c.id, c.operation, c.params, c.operator_id, o.name, o.role, o.state, extract(epoch from clock_timestamp() - c.created_at)::float8 * 1000 as age_ms
     from command c join operator o on o.id = c.operator_id
     where c.id = $1`,
    [taken.id],
  );
  return (
    row && {
      id: row.id,
      operation: row.operation,
      params: row.params,
      operator: row.name,
      operatorId: row.operator_id,
      role: row.role,
      isActive: row.state === 'active',
      ageMs: row.age_ms,
    }
  );
}

export async function finishCommand(tx: Transaction, id: string, result: unknown): Promise<void> {
  await tx.query("update command set state = 'done', result = $2, finished_at = clock_timestamp() where id = $1", [
    id,
    JSON.stringify(result),
  ]);
}

/** Answers a command with an error. Does nothing when it was answered before. */
export async function failCommand(tx: Transaction, id: string, code: string, text: string): Promise<void> {
  await tx.query(
    "update command set state = 'failed', error_code = $2, error_text = $3, finished_at = clock_timestamp() where id = $1 and state = 'new'",
    [id, code, text],
  );
}

/** Inserts a customer. Returns false when the name is taken. */
export async function insertCustomer(tx: Transaction, id: CustomerId, name: string): Promise<boolean> {
  declareNew(tx, { kind: 'customer', id }, { name, allowed_proofs: null, is_self_test: false });
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
  declareNew(
    tx,
    { kind: 'folder', id: f.id },
    {
      customer_id: f.customer,
      name: f.name,
      direction: f.direction,
      publish_rule: 'on-close',
      settle_ms: f.settleMs,
      read_back: false,
      replace_allowed: f.replaceAllowed,
      directories_allowed: f.directoriesAllowed,
      window_days: f.windowDays,
      reads_max: null,
      retention_days: f.retentionDays,
    },
  );
  await tx.query(
    'insert into folder (id, customer_id, name, direction, settle_ms, replace_allowed, directories_allowed, window_days, retention_days) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)',
    [f.id, f.customer, f.name, f.direction, f.settleMs, f.replaceAllowed, f.directoriesAllowed, f.windowDays, f.retentionDays],
  );
}

export type CustomerRow = { readonly id: CustomerId; readonly state: string; readonly allowed: readonly string[] | null };

/** Returns a customer by name. Customers of self-tests are not found, because no operator may take away what tests the controls. */
export async function findCustomer(tx: Transaction, name: string, purpose: Purpose): Promise<CustomerRow | undefined> {
  const [row] = await tx.query<{ id: string; state: string; allowed: readonly string[] | null }>(
    `select id, state, allowed_proofs as allowed from customer c where name = $1 and not ${customerOfSelfTest}`,
    [name],
  );
  const said =
    row && (await declareFound<{ allowed_proofs: readonly string[] | null }>(tx, purpose, { kind: 'customer', id: row.id }, { name }));
  return row && { id: idOf<CustomerId>(row.id), state: row.state, allowed: said === undefined ? row.allowed : said.allowed_proofs };
}

/** Sets the state of a customer. Returns false when it had this state already. */
export async function setCustomerState(tx: Transaction, id: CustomerId, state: 'active' | 'suspended'): Promise<boolean> {
  return (await tx.query('update customer set state = $2 where id = $1 and state <> $2 returning id', [id, state])).length === 1;
}

/** Returns the folders of a customer on which a new account gets its rights. */
export async function foldersOf(
  tx: Transaction,
  customer: CustomerId,
): Promise<readonly { readonly id: FolderId; readonly direction: Direction }[]> {
  const rows = await tx.query<{ id: string; direction: Direction }>('select id, direction from folder where customer_id = $1', [customer]);
  for (const { id, direction } of rows) await declareFound(tx, 'to-rely', { kind: 'folder', id }, { customer_id: customer, direction });
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
  readonly manages: boolean;
};

/** Inserts an account. Returns false when the name is taken. */
export async function insertAccount(tx: Transaction, a: NewAccount): Promise<boolean> {
  declareNew(
    tx,
    { kind: 'account', id: a.id },
    {
      customer_id: a.customer,
      name: a.name,
      kind: a.kind,
      plane: a.plane,
      read_only: false,
      source_networks: [],
      expires_at: null,
      manages: a.manages,
      is_self_test: false,
    },
  );
  const rows = await tx.query(
    'insert into account (id, name, customer_id, kind, plane, contact, is_demo, manages) values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing returning id',
    [a.id, a.name, a.customer, a.kind, a.plane, a.contact, a.isDemo, a.manages],
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
  declareNew(tx, { kind: 'rights', id: account }, { [folder]: [customer, verbs] });
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
  readonly hasPassword: boolean;
  /** The source networks to which the account is bound. An empty list means any source. */
  readonly networks: readonly string[];
  readonly readOnly: boolean;
  readonly manages: boolean;
  readonly contact: string | null;
  readonly expiresAt: Date | null;
};

/** The facts of an account's verified row. */
type AccountFacts = {
  readonly customer_id: string | null;
  readonly kind: AccountKind;
  readonly source_networks: readonly string[];
  readonly read_only: boolean;
  readonly manages: boolean;
  /** Microseconds since 1970. */
  readonly expires_at: number | null;
};

/**
 * Returns an account by name, or undefined. Sealed columns are those of the verified row, unless `purpose` is `to-tell`.
 * Accounts of self-tests are not found.
 */
export async function findAccountByName(tx: Transaction, name: string, purpose: Purpose): Promise<AccountRow | undefined> {
  const [row] = await tx.query<{
    id: string;
    customer_id: string | null;
    kind: AccountKind;
    has_factor: boolean;
    has_password: boolean;
    networks: readonly string[];
    read_only: boolean;
    manages: boolean;
    contact: string | null;
    expires_at: Date | null;
  }>(
    `select a.id, a.customer_id, a.kind, exists (select 1 from second_factor f where f.account_id = a.id and f.sealed_seed is not null) as has_factor, a.source_networks::text[] as networks, a.read_only, a.manages, a.contact, a.expires_at,
       exists (select 1 from credential k where k.account_id = a.id and k.type = 'password' and k.state <> 'revoked') as has_password
     from account a where a.name = $1 and not ${accountOfSelfTest}`,
    [name],
  );
  if (row === undefined) return undefined;
  const said = await declareFound<AccountFacts>(tx, purpose, { kind: 'account', id: row.id }, { name });
  const customer = said === undefined ? row.customer_id : said.customer_id;
  return {
    id: idOf<AccountId>(row.id),
    customer: customer === null ? null : idOf<CustomerId>(customer),
    kind: said?.kind ?? row.kind,
    hasFactor: row.has_factor,
    hasPassword: row.has_password,
    networks: said?.source_networks ?? row.networks,
    readOnly: said?.read_only ?? row.read_only,
    manages: said?.manages ?? row.manages,
    contact: row.contact,
    expiresAt: said === undefined ? row.expires_at : instantOf(said.expires_at),
  };
}

export async function countDemoAccounts(tx: Transaction): Promise<number> {
  const [row] = await tx.query<{ n: number }>('select count(*) as n from account where is_demo');
  return row?.n ?? 0;
}

export async function isSessionOpen(tx: Transaction, id: string): Promise<boolean> {
  return (await tx.query("select 1 from session where id = $1 and state = 'open'", [id])).length === 1;
}

/** Sets the state of an account. Returns false when it had this state already. */
export async function setAccountState(tx: Transaction, id: AccountId, state: 'active' | 'suspended'): Promise<boolean> {
  return (await tx.query('update account set state = $2 where id = $1 and state <> $2 returning id', [id, state])).length === 1;
}

/** Sets the end of an account to `inMs` from now; null removes it. Returns the new end. */
export async function setAccountEnd(tx: Transaction, id: AccountId, inMs: number | null, purpose: WritePurpose): Promise<Date | null> {
  await declareChange(tx, [{ kind: 'account', id }], { expires_at: inMs === null ? null : fromNow(inMs) }, purpose);
  const [row] = await tx.query<{ expires_at: Date | null }>(
    "update account set expires_at = clock_timestamp() + $2::float8 * interval '1 millisecond' where id = $1 returning expires_at",
    [id, inMs],
  );
  return row?.expires_at ?? null;
}

export type AccountChange = {
  readonly networks?: readonly string[] | undefined;
  readonly readOnly?: boolean | undefined;
  readonly manages?: boolean | undefined;
  readonly contact?: string | undefined;
};

export async function changeAccount(tx: Transaction, id: AccountId, change: AccountChange, purpose: WritePurpose): Promise<void> {
  const facts = {
    ...(change.networks === undefined ? {} : { source_networks: networksAs(change.networks) }),
    ...(change.readOnly === undefined ? {} : { read_only: change.readOnly }),
    ...(change.manages === undefined ? {} : { manages: change.manages }),
  };
  await declareChange(tx, [{ kind: 'account', id }], facts, purpose);
  await tx.query(
    `update account set source_networks = coalesce($2::cidr[], source_networks), read_only = coalesce($3, read_only), manages = coalesce($4, manages),
       contact = coalesce($5, contact) where id = $1`,
    [id, change.networks ?? null, change.readOnly ?? null, change.manages ?? null, change.contact ?? null],
  );
}

export async function setAllowedProofs(
  tx: Transaction,
  customer: CustomerId,
  allow: readonly string[] | null,
  purpose: WritePurpose,
): Promise<void> {
  await declareChange(tx, [{ kind: 'customer', id: customer }], { allowed_proofs: allow }, purpose);
  await tx.query('update customer set allowed_proofs = $2 where id = $1', [customer, allow]);
}
