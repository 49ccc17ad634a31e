// Owns: the SQL of seals: what each kind of row says, in one text, and the seals beside it.
// Must never: leave a column out that decides what a session may do.
import { type AccountId, type CredentialId, type CustomerId, idOf } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { SessionFilter } from '../sessions/session-queries.ts';

/** Facts are JSON text, an object by column; instants in microseconds, so that no setting of the connection shows in them. */
const micros = (column: string): string => `(extract(epoch from ${column}) * 1000000)::bigint`;
/** One row a fact: its name, and how it is read. */
const object = (facts: Readonly<Record<string, string>>): string =>
  `jsonb_build_object(${Object.entries(facts)
    .map(([name, read]) => `'${name}', ${read}`)
    .join(', ')})`;
const same = (...columns: readonly string[]): Readonly<Record<string, string>> =>
  Object.fromEntries(columns.map((column) => [column, column]));

type Source = {
  readonly table: string;
  readonly key: string;
  readonly type: 'uuid' | 'bigint' | 'text';
  readonly facts: string;
  /** One row of the answer stands for several of the table. */
  readonly isGrouped?: true;
};

/** Every kind of row that carries a seal, and what of it is sealed. A column that decides what a session may do must stand here. */
const sources = {
  customer: { table: 'customer', key: 'id', type: 'uuid', facts: object(same('name', 'allowed_proofs', 'is_self_test')) },
  account: {
    table: 'account',
    key: 'id',
    type: 'uuid',
    facts: object({
      ...same('customer_id', 'name', 'kind', 'plane', 'read_only', 'manages', 'is_self_test'),
      source_networks: 'source_networks::text[]',
      expires_at: micros('expires_at'),
    }),
  },
  credential: {
    table: 'credential',
    key: 'id',
    type: 'uuid',
    facts: object({
      ...same('account_id', 'type', 'algorithm', 'password_hash', 'fingerprint', 'issued_by', 'read_only'),
      public_key: "encode(public_key, 'hex')",
      valid_from: micros('valid_from'),
      issued_until: micros('issued_until'),
      source_networks: 'source_networks::text[]',
    }),
  },
  rights: {
    table: 'folder_right',
    key: 'account_id',
    type: 'uuid',
    facts: 'jsonb_object_agg(folder_id, jsonb_build_array(customer_id, verbs))',
    isGrouped: true,
  },
  folder: {
    table: 'folder',
    key: 'id',
    type: 'uuid',
    facts: object(
      same(
        'customer_id',
        'name',
        'direction',
        'publish_rule',
        'settle_ms',
        'read_back',
        'replace_allowed',
        'directories_allowed',
        'window_days',
        'reads_max',
        'retention_days',
      ),
    ),
  },
  budget: {
    table: 'budget',
    key: 'id',
    type: 'bigint',
    facts: object(
      same(
        'rank',
        'direction',
        'credential_id',
        'account_id',
        'customer_id',
        'plane',
        'cap_hour_bytes',
        'cap_day_bytes',
        'cap_week_bytes',
        'cap_hour_items',
        'cap_day_items',
        'cap_week_items',
        'rate',
        'sessions_max',
        'ceiling_percent',
        'is_share',
        'headroom_percent',
        'consequence',
      ),
    ),
  },
  window: {
    table: 'activation_window',
    key: 'id',
    type: 'uuid',
    facts: object({ account_id: 'account_id', opens_at: micros('opens_at'), closes_at: micros('closes_at') }),
  },
  'standing-window': {
    table: 'standing_window',
    key: 'id',
    type: 'uuid',
    facts: object({
      ...same('account_id', 'name', 'days', 'zone'),
      opens: 'opens::text',
      closes: 'closes::text',
      valid_from: micros('valid_from'),
      valid_until: micros('valid_until'),
    }),
  },
  ticket: {
    table: 'mfa_ticket',
    key: 'id',
    type: 'uuid',
    facts: object({ account_id: 'account_id', ticket_hash: "encode(ticket_hash, 'hex')" }),
  },
  operator: { table: 'operator', key: 'id', type: 'uuid', facts: object(same('name', 'role', 'state')) },
  'operator-key': {
    table: 'operator_key',
    key: 'fingerprint',
    type: 'text',
    facts: object({ operator_id: 'operator_id', public_key: "encode(public_key, 'hex')", ended_at: micros('ended_at') }),
  },
  'break-glass': {
    table: 'break_glass',
    key: 'id',
    type: 'uuid',
    facts: object({
      ...same('operator_id', 'operations', 'hours'),
      valid_until: micros('valid_until'),
      opened_at: micros('opened_at'),
      closes_at: micros('closes_at'),
      ended_at: micros('ended_at'),
    }),
  },
} as const satisfies Readonly<Record<string, Source>>;

export type SealKind = keyof typeof sources;
export const sealKinds = Object.keys(sources) as readonly SealKind[];

/** `$1`: the kind, `$2`: ids. Row and seal in one statement: what is read is one moment. */
function factsOf(kind: SealKind): string {
  const { table, key, type, facts, isGrouped }: Source = sources[kind];
  return `select t.${key}::text as id, t.facts::text as facts, (select to_jsonb(s) from seal s where s.kind = $1 and s.row_id = t.${key}::text) as seal
    from (select ${key}, ${facts} as facts from ${table} where ${key} = any ($2::${type}[])${isGrouped === true ? ` group by ${key}` : ''}) t`;
}

export type RowName = { readonly kind: SealKind; readonly id: string };
export type SealedRow = RowName & {
  readonly facts: string;
  readonly mac: Buffer | null;
  readonly sealedBy: string | null;
  readonly change: string | null;
};
const isKind = (kind: string): kind is SealKind => Object.hasOwn(sources, kind);

type Seal = { readonly mac: string | null; readonly sealed_by: string | null; readonly change_id: string | null };
/** As JSON shows a bytea: `\\x…`. */
const bytesOf = (hex: string | null | undefined): Buffer | null => (hex == null ? null : Buffer.from(hex.slice(2), 'hex'));

/** The rows with their seals; a row that is not there is missing from the answer. */
export async function readRows(tx: Transaction, names: readonly RowName[]): Promise<readonly SealedRow[]> {
  const rows: SealedRow[] = [];
  for (const kind of new Set(names.map((one) => one.kind))) {
    const ids = names.filter((one) => one.kind === kind).map((one) => one.id);
    for (const { id, facts, seal } of await tx.query<{ id: string; facts: string; seal: Seal | null }>(factsOf(kind), [kind, ids]))
      rows.push({ kind, id, facts, mac: bytesOf(seal?.mac), sealedBy: seal?.sealed_by ?? null, change: seal?.change_id ?? null });
  }
  return rows;
}

/** From here on, what this transaction writes can be sealed by whoever knows the word. */
export async function setWord(tx: Transaction, word: string): Promise<void> {
  await tx.query("select set_config('cofferdam.sealing', $1, true)", [word]);
}

export async function rowsWrittenUnder(tx: Transaction, word: string): Promise<readonly RowName[]> {
  const rows = await tx.query<{ kind: string; row_id: string }>('select kind, row_id from seal where touched_by = $1', [word]);
  return rows.flatMap((row) => (isKind(row.kind) ? [{ kind: row.kind, id: row.row_id }] : []));
}

export async function writeSeals(
  tx: Transaction,
  rows: readonly (RowName & { readonly mac: Buffer; readonly change: string | null })[],
  sealedBy: string,
): Promise<void> {
  await tx.query(
    `update seal s set mac = n.mac, sealed_by = $5, change_id = n.change, touched_by = null
     from unnest($1::text[], $2::text[], $3::bytea[], $4::uuid[]) n(kind, id, mac, change) where s.kind = n.kind and s.row_id = n.id`,
    [rows.map((row) => row.kind), rows.map((row) => row.id), rows.map((row) => row.mac), rows.map((row) => row.change), sealedBy],
  );
}

/** Everything that decides what a session of this account may do, by name. Its window and credentials are named by the login. */
export async function rowsBehind(tx: Transaction, account: string, credentials: readonly string[]): Promise<readonly RowName[]> {
  const rows = await tx.query<{ kind: string; id: string }>(
    `with mine as (select r.customer_id, r.folder_id from folder_right r where r.account_id = $1)
     select 'account' as kind, $1::text as id union all select 'rights', $1::text where exists (select 1 from mine)
     union all select 'credential', c::text from unnest($2::uuid[]) c
     union all select distinct 'customer', customer_id::text from mine union all select 'folder', folder_id::text from mine
     union all select 'customer', customer_id::text from account where id = $1 and customer_id is not null and customer_id not in (select customer_id from mine)
     union all select 'budget', b.id::text from budget b where b.rank >= 4 or (b.rank = 1 and b.credential_id = any ($2::uuid[])) or (b.rank = 2 and b.account_id = $1)
       or (b.rank = 3 and b.customer_id in (select customer_id from mine))`,
    [account, credentials],
  );
  return rows.flatMap((row) => (isKind(row.kind) ? [{ kind: row.kind, id: row.id }] : []));
}

/** Which kind of window this is, if it is one. */
export async function windowKind(tx: Transaction, id: string): Promise<SealKind> {
  return (await tx.query('select 1 from standing_window where id = $1', [id])).length === 1 ? 'standing-window' : 'window';
}

/** A page of rows that carry a seal, or should, in a fixed order. */
export async function pageOfSeals(tx: Transaction, after: RowName | null, limit: number): Promise<readonly RowName[]> {
  const rows = await tx.query<{ kind: string; row_id: string }>(
    'select kind, row_id from seal where $1::text is null or (kind, row_id) > ($1, $2) order by kind, row_id limit $3',
    [after?.kind ?? null, after?.id ?? null, limit],
  );
  return rows.flatMap((row) => (isKind(row.kind) ? [{ kind: row.kind, id: row.row_id }] : []));
}

/** Whose sessions rely on this row; undefined: everybody's, or nobody's. */
export async function scopeOfRow(tx: Transaction, { kind, id }: RowName): Promise<SessionFilter | undefined> {
  if (kind === 'credential') return { credential: idOf<CredentialId>(id) };
  if (kind === 'account' || kind === 'rights') return { account: idOf<AccountId>(id) };
  if (kind === 'customer') return { customer: idOf<CustomerId>(id) };
  if (kind === 'window' || kind === 'standing-window') return { window: id };
  if (kind !== 'folder' && kind !== 'budget') return undefined;
  const [row] = await tx.query<{ credential_id: string | null; account_id: string | null; customer_id: string | null }>(
    kind === 'folder'
      ? 'select null as credential_id, null as account_id, customer_id from folder where id = $1'
      : 'select credential_id, account_id, customer_id from budget where id = $1',
    [id],
  );
  if (row === undefined) return undefined;
  if (row.credential_id !== null) return { credential: idOf<CredentialId>(row.credential_id) };
  if (row.account_id !== null) return { account: idOf<AccountId>(row.account_id) };
  return row.customer_id === null ? undefined : { customer: idOf<CustomerId>(row.customer_id) };
}

export async function installationId(tx: Transaction): Promise<{ readonly id: string; readonly isSealed: boolean }> {
  const [row] = await tx.query<{ id: string; is_sealed: boolean }>('select id, sealed_at is not null as is_sealed from installation');
  if (row === undefined) throw new Error('the installation has no name');
  return { id: row.id, isSealed: row.is_sealed };
}

export async function markSealed(tx: Transaction): Promise<void> {
  await tx.query('update installation set sealed_at = clock_timestamp() where sealed_at is null');
}
