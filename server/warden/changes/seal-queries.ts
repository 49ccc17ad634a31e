// Owns: the SQL of seals: what each kind of row says, in one text, and the seals beside it.
// Must never: leave a column out that decides what a session may do.
import { type AccountId, type CredentialId, type CustomerId, idOf } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { SessionFilter } from '../sessions/session-queries.ts';

/**
 * `$1`: ids as text[]. `facts` is JSON text; instants in microseconds, so that no setting of the connection shows in it. Row and seal in one
 * statement: what is read is one moment.
 */
const factsOf = {
  customer: `select id::text as id, jsonb_build_array(name, allowed_proofs, is_self_test)::text as facts,
    (select to_jsonb(s) from seal s where s.kind = 'customer' and s.row_id = customer.id::text) as seal from customer where id = any ($1::uuid[])`,
  account: `select id::text as id, jsonb_build_array(customer_id, name, kind, plane, read_only, source_networks::text[], (extract(epoch from expires_at) * 1000000)::bigint, manages, is_self_test)::text as facts,
    (select to_jsonb(s) from seal s where s.kind = 'account' and s.row_id = account.id::text) as seal
    from account where id = any ($1::uuid[])`,
  credential: `select id::text as id, jsonb_build_array(account_id, type, algorithm, encode(public_key, 'hex'), password_hash, fingerprint, issued_by,
      (extract(epoch from valid_from) * 1000000)::bigint, (extract(epoch from issued_until) * 1000000)::bigint, read_only, source_networks::text[])::text as facts,
    (select to_jsonb(s) from seal s where s.kind = 'credential' and s.row_id = credential.id::text) as seal
    from credential where id = any ($1::uuid[])`,
  rights: `select account_id::text as id, jsonb_agg(jsonb_build_array(customer_id, folder_id, verbs) order by folder_id)::text as facts,
    (select to_jsonb(s) from seal s where s.kind = 'rights' and s.row_id = folder_right.account_id::text) as seal
    from folder_right where account_id = any ($1::uuid[]) group by account_id`,
  folder: `select id::text as id, jsonb_build_array(customer_id, name, direction, publish_rule, settle_ms, read_back, replace_allowed, directories_allowed, window_days, reads_max, retention_days)::text as facts,
    (select to_jsonb(s) from seal s where s.kind = 'folder' and s.row_id = folder.id::text) as seal
    from folder where id = any ($1::uuid[])`,
  budget: `select id::text as id, jsonb_build_array(rank, direction, credential_id, account_id, customer_id, plane, cap_hour_bytes, cap_day_bytes, cap_week_bytes,
      cap_hour_items, cap_day_items, cap_week_items, rate, sessions_max, ceiling_percent, is_share, headroom_percent, consequence)::text as facts,
    (select to_jsonb(s) from seal s where s.kind = 'budget' and s.row_id = budget.id::text) as seal
    from budget where id = any ($1::bigint[])`,
  window: `select id::text as id, jsonb_build_array(account_id, (extract(epoch from opens_at) * 1000000)::bigint, (extract(epoch from closes_at) * 1000000)::bigint)::text as facts,
    (select to_jsonb(s) from seal s where s.kind = 'window' and s.row_id = activation_window.id::text) as seal
    from activation_window where id = any ($1::uuid[])`,
  'standing-window': `select id::text as id, jsonb_build_array(account_id, name, days, opens::text, closes::text, zone, (extract(epoch from valid_from) * 1000000)::bigint,
      (extract(epoch from valid_until) * 1000000)::bigint)::text as facts,
    (select to_jsonb(s) from seal s where s.kind = 'standing-window' and s.row_id = standing_window.id::text) as seal from standing_window where id = any ($1::uuid[])`,
  ticket: `select id::text as id, jsonb_build_array(account_id, encode(ticket_hash, 'hex'))::text as facts,
    (select to_jsonb(s) from seal s where s.kind = 'ticket' and s.row_id = mfa_ticket.id::text) as seal from mfa_ticket where id = any ($1::uuid[])`,
  operator: `select id::text as id, jsonb_build_array(name, role, state)::text as facts,
    (select to_jsonb(s) from seal s where s.kind = 'operator' and s.row_id = operator.id::text) as seal from operator where id = any ($1::uuid[])`,
  'operator-key': `select fingerprint as id, jsonb_build_array(operator_id, encode(public_key, 'hex'), (extract(epoch from ended_at) * 1000000)::bigint)::text as facts,
    (select to_jsonb(s) from seal s where s.kind = 'operator-key' and s.row_id = operator_key.fingerprint) as seal
    from operator_key where fingerprint = any ($1::text[])`,
  'break-glass': `select id::text as id, jsonb_build_array(operator_id, operations, hours, (extract(epoch from valid_until) * 1000000)::bigint,
      (extract(epoch from opened_at) * 1000000)::bigint, (extract(epoch from closes_at) * 1000000)::bigint, (extract(epoch from ended_at) * 1000000)::bigint)::text as facts,
    (select to_jsonb(s) from seal s where s.kind = 'break-glass' and s.row_id = break_glass.id::text) as seal
    from break_glass where id = any ($1::uuid[])`,
} as const;

export type SealKind = keyof typeof factsOf;
export type RowName = { readonly kind: SealKind; readonly id: string };
export type SealedRow = RowName & {
  readonly facts: string;
  readonly mac: Buffer | null;
  readonly sealedBy: string | null;
  readonly change: string | null;
};
const isKind = (kind: string): kind is SealKind => Object.hasOwn(factsOf, kind);

type Seal = { readonly mac: string | null; readonly sealed_by: string | null; readonly change_id: string | null };
/** As JSON shows a bytea: `\\x…`. */
const bytesOf = (hex: string | null | undefined): Buffer | null => (hex == null ? null : Buffer.from(hex.slice(2), 'hex'));

/** The rows with their seals; a row that is not there is missing from the answer. */
export async function readRows(tx: Transaction, names: readonly RowName[]): Promise<readonly SealedRow[]> {
  const rows: SealedRow[] = [];
  for (const kind of new Set(names.map((one) => one.kind))) {
    const ids = names.filter((one) => one.kind === kind).map((one) => one.id);
    for (const { id, facts, seal } of await tx.query<{ id: string; facts: string; seal: Seal | null }>(factsOf[kind], [ids]))
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
