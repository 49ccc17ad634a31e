// Owns: the SQL of seals: the facts of each kind of row as one text, and the seals beside them.
// Must never: leave out a column that decides what a session may do.
import type { Transaction } from '../../postgres/database.ts';

/**
 * For each kind, the query of its facts. `$1` is the kind, `$2` are the ids as text[]. The facts are JSON text with one
 * property for each column; instants are microseconds since 1970, so that no setting of the connection affects them.
 * The row and its seal are read in one statement, so that both are of one moment. Every column that decides what a
 * session may do must be among the facts.
 */
export const factsOf = {
  customer: `select id::text as id, jsonb_build_object('name', name, 'allowed_proofs', allowed_proofs, 'is_self_test', is_self_test, 'former_names', former_names)::text as facts,
    (select to_jsonb(s) from seal s where s.kind = $1 and s.row_id = customer.id::text) as seal
    from customer where id = any ($2::uuid[])`,
  account: `select id::text as id, jsonb_build_object('customer_id', customer_id, 'name', name, 'kind', kind, 'plane', plane, 'read_only', read_only, 'manages', manages,
      'starts_in', starts_in, 'is_self_test', is_self_test, 'source_networks', source_networks::text[], 'expires_at', (extract(epoch from
      expires_at) * 1000000)::bigint)::text as facts,
    (select to_jsonb(s) from seal s where s.kind = $1 and s.row_id = account.id::text) as seal
    from account where id = any ($2::uuid[])`,
  credential: `select id::text as id, jsonb_build_object('account_id', account_id, 'type', type, 'algorithm', algorithm, 'password_hash', password_hash, 'fingerprint',
      fingerprint, 'issued_by', issued_by, 'read_only', read_only, 'public_key', encode(public_key, 'hex'), 'valid_from',
      (extract(epoch from valid_from) * 1000000)::bigint, 'issued_until', (extract(epoch from issued_until) *
      1000000)::bigint, 'source_networks', source_networks::text[])::text as facts,
    (select to_jsonb(s) from seal s where s.kind = $1 and s.row_id = credential.id::text) as seal
    from credential where id = any ($2::uuid[])`,
  rights: `select r.id::text, r.facts::text, (select to_jsonb(s) from seal s where s.kind = $1 and s.row_id = r.id::text) as seal
    from (select account_id as id, jsonb_object_agg(folder_id, jsonb_build_array(customer_id, verbs)) as facts from folder_right
      where account_id = any ($2::uuid[]) group by account_id) r`,
  folder: `select id::text as id, jsonb_build_object('customer_id', customer_id, 'name', name, 'direction', direction, 'publish_rule', publish_rule, 'marker', marker, 'settle_ms',
      settle_ms, 'read_back', read_back, 'replace_allowed', replace_allowed, 'directories_allowed', directories_allowed,
      'window_days', window_days, 'reads_max', reads_max, 'retention_days', retention_days)::text as facts,
    (select to_jsonb(s) from seal s where s.kind = $1 and s.row_id = folder.id::text) as seal
    from folder where id = any ($2::uuid[])`,
  budget: `select id::text as id, jsonb_build_object('rank', rank, 'direction', direction, 'credential_id', credential_id, 'account_id', account_id, 'customer_id',
      customer_id, 'plane', plane, 'cap_hour_bytes', cap_hour_bytes, 'cap_day_bytes', cap_day_bytes, 'cap_week_bytes',
      cap_week_bytes, 'cap_hour_items', cap_hour_items, 'cap_day_items', cap_day_items, 'cap_week_items', cap_week_items,
      'rate', rate, 'sessions_max', sessions_max, 'ceiling_percent', ceiling_percent, 'is_share', is_share,
      'headroom_percent', headroom_percent, 'consequence', consequence)::text as facts,
    (select to_jsonb(s) from seal s where s.kind = $1 and s.row_id = budget.id::text) as seal
    from budget where id = any ($2::bigint[])`,
  window: `select id::text as id, jsonb_build_object('account_id', account_id, 'opens_at', (extract(epoch from opens_at) * 1000000)::bigint, 'closes_at', (extract(epoch
      from closes_at) * 1000000)::bigint)::text as facts,
    (select to_jsonb(s) from seal s where s.kind = $1 and s.row_id = activation_window.id::text) as seal
    from activation_window where id = any ($2::uuid[])`,
  'standing-window': `select id::text as id, jsonb_build_object('account_id', account_id, 'name', name, 'days', days, 'zone', zone, 'opens', opens::text, 'closes', closes::text,
      'valid_from', (extract(epoch from valid_from) * 1000000)::bigint, 'valid_until', (extract(epoch from valid_until) *
      1000000)::bigint)::text as facts,
    (select to_jsonb(s) from seal s where s.kind = $1 and s.row_id = standing_window.id::text) as seal
    from standing_window where id = any ($2::uuid[])`,
  'second-factor': `select account_id::text as id, jsonb_build_object('account_id', account_id, 'sealed_seed', encode(sha256(sealed_seed), 'hex'), 'sealed_by', sealed_by)::text as facts,
    (select to_jsonb(s) from seal s where s.kind = $1 and s.row_id = second_factor.account_id::text) as seal
    from second_factor where account_id = any ($2::uuid[])`,
  ticket: `select id::text as id, jsonb_build_object('account_id', account_id, 'ticket_hash', encode(ticket_hash, 'hex'), 'expires_at', (extract(epoch from expires_at) *
      1000000)::bigint, 'used_at', (extract(epoch from used_at) * 1000000)::bigint, 'failed_trials', failed_trials)::text as facts,
    (select to_jsonb(s) from seal s where s.kind = $1 and s.row_id = mfa_ticket.id::text) as seal
    from mfa_ticket where id = any ($2::uuid[])`,
  operator: `select id::text as id, jsonb_build_object('name', name, 'role', role, 'state', state)::text as facts,
    (select to_jsonb(s) from seal s where s.kind = $1 and s.row_id = operator.id::text) as seal
    from operator where id = any ($2::uuid[])`,
  'operator-key': `select fingerprint::text as id, jsonb_build_object('operator_id', operator_id, 'public_key', encode(public_key, 'hex'), 'ended_at', (extract(epoch from ended_at) *
      1000000)::bigint)::text as facts,
    (select to_jsonb(s) from seal s where s.kind = $1 and s.row_id = operator_key.fingerprint::text) as seal
    from operator_key where fingerprint = any ($2::text[])`,
  'break-glass': `select id::text as id, jsonb_build_object('operator_id', operator_id, 'operations', operations, 'hours', hours, 'valid_until', (extract(epoch from valid_until)
      * 1000000)::bigint, 'opened_at', (extract(epoch from opened_at) * 1000000)::bigint, 'closes_at', (extract(epoch from
      closes_at) * 1000000)::bigint, 'ended_at', (extract(epoch from ended_at) * 1000000)::bigint)::text as facts,
    (select to_jsonb(s) from seal s where s.kind = $1 and s.row_id = break_glass.id::text) as seal
    from break_glass where id = any ($2::uuid[])`,
} as const;

export type SealKind = keyof typeof factsOf;
export const sealKinds = Object.keys(factsOf) as readonly SealKind[];
export type RowName = { readonly kind: SealKind; readonly id: string };
export type SealedRow = RowName & {
  readonly facts: string;
  readonly mac: Buffer | null;
  readonly sealedBy: string | null;
  readonly change: string | null;
  /** Who made the row, when it was made without a change. */
  readonly maker: string | null;
  /** How often the row was sealed. An earlier state of the row has a smaller generation. */
  readonly generation: number;
};
const isKind = (kind: string): kind is SealKind => Object.hasOwn(factsOf, kind);

type Seal = {
  readonly mac: string | null;
  readonly sealed_by: string | null;
  readonly change_id: string | null;
  readonly maker: string | null;
  readonly generation: number;
};
/** Reads a bytea in the form that JSON shows: `\\x…`. */
const bytesOf = (hex: string | null | undefined): Buffer | null =>
  hex == null ? null : Buffer.from(hex.slice(2), 'hex');

/** Returns these rows with their seals. A row that does not exist is missing from the result. */
export async function readRows(tx: Transaction, names: readonly RowName[]): Promise<readonly SealedRow[]> {
  const rows: SealedRow[] = [];
  for (const kind of new Set(names.map((one) => one.kind))) {
    const ids = names.filter((one) => one.kind === kind).map((one) => one.id);
    for (const { id, facts, seal } of await tx.query<{ id: string; facts: string; seal: Seal | null }>(factsOf[kind], [
      kind,
      ids,
    ]))
      rows.push({
        kind,
        id,
        facts,
        mac: bytesOf(seal?.mac),
        sealedBy: seal?.sealed_by ?? null,
        change: seal?.change_id ?? null,
        maker: seal?.maker ?? null,
        generation: seal?.generation ?? 0,
      });
  }
  return rows;
}

/**
 * Returns the present MACs of these rows, by kind and id. A row without a seal, or one that was written since it was
 * sealed, is left out. Only the seals are read, not the rows.
 */
export async function macsOf(
  tx: Transaction,
  names: readonly RowName[],
): Promise<readonly (RowName & { readonly mac: Buffer })[]> {
  const rows = await tx.query<{ kind: string; row_id: string; mac: Buffer }>(
    `select s.kind, s.row_id, s.mac from unnest($1::text[], $2::text[]) n(kind, id) join seal s on s.kind = n.kind and s.row_id = n.id where s.mac is not null`,
    [names.map((one) => one.kind), names.map((one) => one.id)],
  );
  return rows.flatMap(({ kind, row_id: id, mac }) => (isKind(kind) ? [{ kind, id, mac }] : []));
}

/**
 * Sets the word under which the triggers mark every row that this transaction writes from now on. Whoever knows the
 * word can find these rows (`rowsWrittenUnder`) and seal them.
 */
export async function setWord(tx: Transaction, word: string): Promise<void> {
  await tx.query("select set_config('cofferdam.sealing', $1, true)", [word]);
}

/** Returns the rows that the triggers marked with this word. */
export async function rowsWrittenUnder(tx: Transaction, word: string): Promise<readonly RowName[]> {
  const rows = await tx.query<{ kind: string; row_id: string }>('select kind, row_id from seal where touched_by = $1', [
    word,
  ]);
  return rows.flatMap((row) => (isKind(row.kind) ? [{ kind: row.kind, id: row.row_id }] : []));
}

/** Returns whether a row with this name was ever sealed, whether or not it is still there. */
export async function hasSeal(tx: Transaction, { kind, id }: RowName): Promise<boolean> {
  return (await tx.query('select 1 from seal where kind = $1 and row_id = $2', [kind, id])).length === 1;
}

type NewSeal = Pick<SealedRow, 'kind' | 'id' | 'change' | 'maker' | 'generation'> & { readonly mac: Buffer };

export async function writeSeals(tx: Transaction, rows: readonly NewSeal[], sealedBy: string): Promise<void> {
  await tx.query(
    `update seal s set mac = n.mac, sealed_by = $7, change_id = n.change, maker = n.maker, generation = n.generation, touched_by = null
     from unnest($1::text[], $2::text[], $3::bytea[], $4::uuid[], $5::text[], $6::bigint[]) n(kind, id, mac, change, maker, generation)
     where s.kind = n.kind and s.row_id = n.id`,
    [
      rows.map((row) => row.kind),
      rows.map((row) => row.id),
      rows.map((row) => row.mac),
      rows.map((row) => row.change),
      rows.map((row) => row.maker),
      rows.map((row) => row.generation),
      sealedBy,
    ],
  );
}

/**
 * A row as an entry names it: its kind, its id, its generation, the identifier of the seal (`markOf`), and for a budget
 * its scope and direction. Without an identifier no seal of this generation is valid.
 */
export type ResealedRow = readonly [kind: string, id: string, generation: number, mark?: string, budgetName?: string];
/**
 * An altered row from which something was taken away: it has no seal of this generation. `from` is the generation of
 * its last good state, which may be narrowed once more when somebody has put it back.
 */
export type NarrowedRow = readonly [kind: string, id: string, generation: number, from: number];
type Resealed<Number> = {
  readonly number: Number;
  readonly rows: readonly ResealedRow[];
  readonly narrowed: readonly NarrowedRow[] | null;
};

/**
 * Returns the entries about rows that were sealed again, sealed after `number` or not sealed yet. `number` is null for
 * an entry that is not sealed.
 */
export async function resealedSince(tx: Transaction, number: number): Promise<readonly Resealed<number | null>[]> {
  return tx.query(
    `select number, sensitive -> 'rows' as rows, sensitive -> 'narrowed' as narrowed from ledger_sealed where kind = 'rows.resealed' and number > $1
     union all select null, sensitive -> 'rows', sensitive -> 'narrowed' from ledger_fresh where kind = 'rows.resealed' order by 1`,
    [number],
  );
}

/**
 * Returns up to `limit` of the sealed entries about rows that were sealed again, with a number above `number`, oldest
 * first.
 */
export async function resealedAgain(
  tx: Transaction,
  number: number,
  limit: number,
): Promise<readonly Resealed<number>[]> {
  return tx.query(
    "select number, sensitive -> 'rows' as rows, sensitive -> 'narrowed' as narrowed from ledger_sealed where kind = 'rows.resealed' and number > $1 order by number limit $2",
    [number, limit],
  );
}

/**
 * Notifies every warden at the commit that a row was sealed again. They read then which one (`resealed-elsewhere.ts`).
 */
export async function tellResealed(tx: Transaction): Promise<void> {
  await tx.query("select pg_notify('cofferdam_answer', 'resealed')");
}

/**
 * Returns the names of all rows that decide what a session of this account may do with these credentials. The window
 * and the ticket of a login are not included, and neither is what belongs to rights that were taken away.
 */
export async function rowsBehind(
  tx: Transaction,
  account: string,
  credentials: readonly string[],
): Promise<readonly RowName[]> {
  const rows = await tx.query<{ kind: string; id: string }>(
    `with mine as (select r.customer_id, r.folder_id from folder_right r where r.account_id = $1 and r.verbs <> '{}')
     select 'account' as kind, $1::text as id union all select 'rights', $1::text where exists (select 1 from folder_right r where r.account_id = $1)
     union all select 'credential', c::text from unnest($2::uuid[]) c
     union all select 'second-factor', $1::text where exists (select 1 from second_factor where account_id = $1)
     union all select distinct 'customer', customer_id::text from mine union all select 'folder', folder_id::text from mine
     union all select 'customer', customer_id::text from account where id = $1 and customer_id is not null and customer_id not in (select customer_id from mine)
     union all select 'budget', b.id::text from budget b where b.rank >= 4 or (b.rank = 1 and b.credential_id = any ($2::uuid[])) or (b.rank = 2 and b.account_id = $1)
       or (b.rank = 3 and b.customer_id in (select customer_id from mine))`,
    [account, credentials],
  );
  return rows.flatMap((row) => (isKind(row.kind) ? [{ kind: row.kind, id: row.id }] : []));
}

/** Returns of which kind the window with this id is: `standing-window`, or otherwise `window`. */
export async function windowKind(tx: Transaction, id: string): Promise<SealKind> {
  return (await tx.query('select 1 from standing_window where id = $1', [id])).length === 1
    ? 'standing-window'
    : 'window';
}

/** Returns a page of the rows that have an entry in `seal`, valid or not, in a fixed order. */
export async function pageOfSeals(tx: Transaction, after: RowName | null, limit: number): Promise<readonly RowName[]> {
  const rows = await tx.query<{ kind: string; row_id: string }>(
    'select kind, row_id from seal where $1::text is null or (kind, row_id) > ($1, $2) order by kind, row_id limit $3',
    [after?.kind ?? null, after?.id ?? null, limit],
  );
  return rows.flatMap((row) => (isKind(row.kind) ? [{ kind: row.kind, id: row.row_id }] : []));
}

/** For each kind, the query of rows that have no entry in `seal`. `$1` is the kind, `$2` the limit. */
const unsealedOf = {
  customer: `select r.id::text as id from customer r where not exists (select 1 from seal s where s.kind = $1 and s.row_id = r.id::text) limit $2`,
  account: `select r.id::text as id from account r where not exists (select 1 from seal s where s.kind = $1 and s.row_id = r.id::text) limit $2`,
  credential: `select r.id::text as id from credential r where not exists (select 1 from seal s where s.kind = $1 and s.row_id = r.id::text) limit $2`,
  rights: `select distinct r.account_id::text as id from folder_right r
    where not exists (select 1 from seal s where s.kind = $1 and s.row_id = r.account_id::text) limit $2`,
  folder: `select r.id::text as id from folder r where not exists (select 1 from seal s where s.kind = $1 and s.row_id = r.id::text) limit $2`,
  budget: `select r.id::text as id from budget r where not exists (select 1 from seal s where s.kind = $1 and s.row_id = r.id::text) limit $2`,
  window: `select r.id::text as id from activation_window r where not exists (select 1 from seal s where s.kind = $1 and s.row_id = r.id::text) limit $2`,
  'standing-window': `select r.id::text as id from standing_window r where not exists (select 1 from seal s where s.kind = $1 and s.row_id = r.id::text) limit $2`,
  'second-factor': `select r.account_id::text as id from second_factor r where not exists (select 1 from seal s where s.kind = $1 and s.row_id = r.account_id::text) limit $2`,
  ticket: `select r.id::text as id from mfa_ticket r where not exists (select 1 from seal s where s.kind = $1 and s.row_id = r.id::text) limit $2`,
  operator: `select r.id::text as id from operator r where not exists (select 1 from seal s where s.kind = $1 and s.row_id = r.id::text) limit $2`,
  'operator-key': `select r.fingerprint::text as id from operator_key r where not exists (select 1 from seal s where s.kind = $1 and s.row_id = r.fingerprint::text) limit $2`,
  'break-glass': `select r.id::text as id from break_glass r where not exists (select 1 from seal s where s.kind = $1 and s.row_id = r.id::text) limit $2`,
} as const satisfies Readonly<Record<SealKind, string>>;

/**
 * Returns rows of the sealed kinds that have no entry in `seal`. The triggers make one for every row, so such a row was
 * written by somebody who went past them.
 */
export async function unsealedRows(tx: Transaction, limit: number): Promise<readonly RowName[]> {
  const found: RowName[] = [];
  for (const kind of sealKinds)
    for (const { id } of await tx.query<{ id: string }>(unsealedOf[kind], [kind, limit])) found.push({ kind, id });
  return found;
}

export async function installationId(tx: Transaction): Promise<{ readonly id: string }> {
  const [row] = await tx.query<{ id: string }>('select id from installation');
  if (row === undefined) throw new Error('the database has no id of the installation');
  return row;
}
