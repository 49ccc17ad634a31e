// Owns: the SQL of accounts.
import {
  type AccountId,
  type AccountKind,
  type CustomerId,
  type FolderId,
  idOf,
  type Plane,
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
} from '../seals/declared.ts';
import { accountOfSelfTest } from '../testers/tester.ts';

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
      starts_in: null,
    },
  );
  const rows = await tx.query(
    'insert into account (id, name, customer_id, kind, plane, contact, is_demo, manages) values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing returning id',
    [a.id, a.name, a.customer, a.kind, a.plane, a.contact, a.isDemo, a.manages],
  );
  return rows.length === 1;
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
 * Returns an account by name, or undefined. Sealed columns are those of the verified row, unless `purpose` is
 * `to-tell`. Accounts of self-tests are not found.
 */
export async function findAccountByName(
  tx: Transaction,
  name: string,
  purpose: Purpose,
): Promise<AccountRow | undefined> {
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

/** Sets the state of an account. Returns false when it had this state already. */
export async function setAccountState(tx: Transaction, id: AccountId, state: 'active' | 'suspended'): Promise<boolean> {
  return (
    (await tx.query('update account set state = $2 where id = $1 and state <> $2 returning id', [id, state])).length ===
    1
  );
}

/** Sets the end of an account to `inMs` from now; null removes it. Returns the new end. */
export async function setAccountEnd(
  tx: Transaction,
  id: AccountId,
  inMs: number | null,
  purpose: WritePurpose,
): Promise<Date | null> {
  await declareChange(tx, [{ kind: 'account', id }], { expires_at: inMs === null ? null : fromNow(inMs) }, purpose);
  const [row] = await tx.query<{ expires_at: Date | null }>(
    "update account set expires_at = clock_timestamp() + $2::float8 * interval '1 millisecond' where id = $1 returning expires_at",
    [id, inMs],
  );
  return row?.expires_at ?? null;
}

type AccountChange = {
  readonly networks?: readonly string[] | undefined;
  readonly readOnly?: boolean | undefined;
  readonly manages?: boolean | undefined;
  readonly contact?: string | undefined;
  /** A folder, or the root; null is what is usual. */
  readonly startsIn?: FolderId | 'root' | null | undefined;
};

export async function changeAccount(
  tx: Transaction,
  id: AccountId,
  change: AccountChange,
  purpose: WritePurpose,
): Promise<void> {
  const facts = {
    ...(change.networks === undefined ? {} : { source_networks: networksAs(change.networks) }),
    ...(change.readOnly === undefined ? {} : { read_only: change.readOnly }),
    ...(change.manages === undefined ? {} : { manages: change.manages }),
    ...(change.startsIn === undefined ? {} : { starts_in: change.startsIn }),
  };
  await declareChange(tx, [{ kind: 'account', id }], facts, purpose);
  await tx.query(
    `update account set source_networks = coalesce($2::cidr[], source_networks), read_only = coalesce($3, read_only), manages = coalesce($4, manages),
       contact = coalesce($5, contact), starts_in = case when $6 then $7 else starts_in end where id = $1`,
    [
      id,
      change.networks ?? null,
      change.readOnly ?? null,
      change.manages ?? null,
      change.contact ?? null,
      change.startsIn !== undefined,
      change.startsIn ?? null,
    ],
  );
}
