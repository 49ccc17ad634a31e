// Owns: the SQL of looking at single entries of the record.
// Must never: leave an entry out of what it was asked for, but for the limit that the caller names.
import type { PlacedEntry } from '../../domain/ledger/leaf.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { Params } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operator-admin.ts';

export type EntryFilter = Params<OperatorToAdmin, 'ledger.search'>['filter'];
export type EntryRow = {
  readonly number: number | null;
  readonly at: Date;
  readonly kind: string;
  readonly observer: string;
  readonly customer: string | null;
  readonly account: string | null;
  readonly session: string | null;
  readonly node: string | null;
  readonly credential: string | null;
  readonly source: string | null;
  readonly client: string | null;
  readonly operator: string | null;
  readonly version: string | null;
  readonly extent: number | null;
  readonly bytes: number | null;
  readonly public: Readonly<Record<string, unknown>>;
  readonly sensitive: Readonly<Record<string, unknown>>;
};

const entryColumns = `l.number, l.at, l.kind, l.observer, coalesce(c.name::text, l.customer_id::text) as customer, coalesce(a.name::text, l.account_id::text) as account, l.session_id as session, l.node,
  l.credential, host(l.source) as source, l.client, l.operator, l.version_id as version, l.extent, l.bytes, l.public, l.sensitive`;
const entryJoins = 'left join customer c on c.id = l.customer_id left join account a on a.id = l.account_id';
/** $1 to $15; what is not asked for is gone when the statement is planned. */
const fitting = `($1::text is null or l.kind = $1 or l.kind like $1 || '.%') and ($2::text is null or l.customer_id = (select id from customer where name = $2)) and ($3::text is null or l.account_id = (select id from account where name = $3))
  and ($4::uuid is null or l.session_id = $4) and ($5::text is null or l.node = $5) and ($6::inet is null or l.source <<= $6) and ($7::text is null or strpos(lower(l.client), lower($7)) > 0)
  and ($8::text is null or l.credential = $8 or l.also_credential = $8) and ($9::text is null or (l.operator is not null and $9 = any (string_to_array(l.operator, ' ')))) and ($10::uuid is null or l.version_id = $10)
  and ($11::text is null or l.sha256 = $11) and ($12::text is null or strpos(lower(l.public::text || l.sensitive::text), lower($12)) > 0)
  and ($13::timestamptz is null or l.at >= $13) and ($14::timestamptz is null or l.at < $14)`;
const valuesOf = (f: EntryFilter): unknown[] =>
  [
    f.kind,
    f.customer,
    f.account,
    f.session,
    f.node,
    f.source,
    f.client,
    f.credential,
    f.operator,
    f.version,
    f.sha256,
    f.text,
    f.since,
    f.until,
  ].map((one) => one ?? null);

/** Sealed entries before a number (null: from the newest on), newest first. */
export async function searchSealed(
  tx: Transaction,
  filter: EntryFilter,
  before: number | null,
  limit: number,
): Promise<readonly EntryRow[]> {
  return tx.query<EntryRow>(
    `select ${entryColumns} from ledger_sealed l ${entryJoins} where ${fitting} and ($15::bigint is null or l.number < $15) order by l.number desc limit $16`,
    [...valuesOf(filter), before, limit],
  );
}

/** Entries that have no number yet, newest first. */
export async function searchFresh(tx: Transaction, filter: EntryFilter, limit: number): Promise<readonly EntryRow[]> {
  return tx.query<EntryRow>(
    `select ${entryColumns} from (select null::bigint as number, f.*, f.public ->> 'sha256' as sha256 from ledger_fresh f) l ${entryJoins} where ${fitting} and $15::bigint is null order by l.id desc limit $16`,
    [...valuesOf(filter), null, limit],
  );
}

/** Sealed entries behind a number, oldest first. */
export async function tailSealed(tx: Transaction, filter: EntryFilter, after: number, limit: number): Promise<readonly EntryRow[]> {
  return tx.query<EntryRow>(
    `select ${entryColumns} from ledger_sealed l ${entryJoins} where ${fitting} and l.number > $15 order by l.number limit $16`,
    [...valuesOf(filter), after, limit],
  );
}

export async function newestNumber(tx: Transaction): Promise<number> {
  return (await tx.query<{ number: number }>('select number from ledger_state'))[0]?.number ?? 0;
}

export type WholeEntry = { readonly placed: PlacedEntry; readonly salt: Buffer; readonly leaf: Buffer };

export async function findEntry(tx: Transaction, number: number): Promise<WholeEntry | undefined> {
  const [row] = await tx.query<PlacedEntry & { readonly salt: Buffer; readonly leaf: Buffer }>(
    `select l.tree, l.position, l.number, micros(l.at) as at, l.kind, l.observer, l.customer_id as customer, l.account_id as account, l.session_id as session, l.node, l.plane,
       l.handle_id as handle, l.version_id as version, l.extent, l.bytes, l.public::text as "publicText", l.credential, l.also_credential as "alsoCredential",
       host(l.source) as source, l.source_port as "sourcePort", l.client, l.operator, l.sensitive::text as "sensitiveText", l.salt, l.leaf
     from ledger_sealed l where l.number = $1`,
    [number],
  );
  if (row === undefined) return undefined;
  const { salt, leaf, ...placed } = row;
  return { placed, salt, leaf };
}

/** How the session of an entry was opened. */
export async function findOpening(tx: Transaction, session: string): Promise<EntryRow | undefined> {
  const [row] = await tx.query<EntryRow>(
    `select ${entryColumns} from ledger l ${entryJoins} where l.session_id = $1 and l.kind = 'session.opened' limit 1`,
    [session],
  );
  return row;
}

export async function namesOf(
  tx: Transaction,
  entry: PlacedEntry,
): Promise<{ readonly customer: string | null; readonly account: string | null }> {
  const [row] = await tx.query<{ customer: string | null; account: string | null }>(
    'select (select name::text from customer where id = $1) as customer, (select name::text from account where id = $2) as account',
    [entry.customer, entry.account],
  );
  return row ?? { customer: null, account: null };
}
