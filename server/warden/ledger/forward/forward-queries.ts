// Owns: the SQL of forwarding: how far each receiver has come, the next entries, and how late it is.
// Must never: read an entry before it is sealed, or out of the order of numbers.
import type { ForwardedEntry } from '../../../domain/ledger/syslog.ts';
import type { Transaction } from '../../../postgres/database.ts';

/**
 * The position of a forward: the last entry that its receiver has confirmed, and the newest sealed entry at that
 * moment.
 */
export type ForwardPosition = { readonly number: number; readonly sealed: number };

/** Returns the position of a forward. A new forward begins after the newest sealed entry. */
export async function findForward(tx: Transaction, name: string): Promise<ForwardPosition> {
  await tx.query(
    'insert into ledger_forward (name, number, sent) select $1, number, number from ledger_state on conflict (name) do nothing',
    [name],
  );
  const [row] = await tx.query<ForwardPosition>(
    'select f.number, s.number as sealed from ledger_forward f cross join ledger_state s where f.name = $1',
    [name],
  );
  if (row === undefined) throw new Error('a forward has no row');
  return row;
}

/** Returns up to `limit` sealed entries with a number above `number`, in order. */
export async function entriesAfter(tx: Transaction, number: number, limit: number): Promise<readonly ForwardedEntry[]> {
  return tx.query<ForwardedEntry>(
    `select s.tree, s.position, s.number, micros(s.at) as at, s.kind, s.observer, s.customer_id as customer, s.account_id as account, s.session_id as session,
       s.node, s.plane, s.handle_id as handle, s.version_id as version, s.extent, s.bytes, s.public::text as "publicText", s.credential,
       s.also_credential as "alsoCredential", host(s.source) as source, s.source_port as "sourcePort", s.client, s.operator, s.sensitive::text as "sensitiveText",
       encode(s.leaf, 'hex') as leaf, c.name as "customerName", a.name as "accountName"
     from (select * from ledger_sealed where number > $1 order by number limit $2) s
       left join customer c on c.id = s.customer_id left join account a on a.id = s.account_id
     order by s.number`,
    [number, limit],
  );
}

export type Behind = { readonly entries: number; readonly ms: number };

/** Returns how many sealed entries follow `number`, and the age of the first of them in milliseconds. */
export async function behind(tx: Transaction, number: number): Promise<Behind> {
  const [row] = await tx.query<{ entries: number; ms: number | null }>(
    `select s.number - $1::bigint as entries,
       (select (extract(epoch from clock_timestamp() - e.at) * 1000)::float8 from ledger_sealed e where e.number > $1 order by e.number limit 1) as ms
     from ledger_state s`,
    [number],
  );
  return { entries: Math.max(0, row?.entries ?? 0), ms: Math.max(0, Math.round(row?.ms ?? 0)) };
}

export type ForwardRow = {
  readonly name: string;
  readonly number: number;
  readonly sent: number;
  readonly behindMs: number;
  readonly error: string | null;
};

/**
 * Saves how far a forward has come, and returns the position that stands there now. The numbers never decrease, because
 * another warden may have come further meanwhile.
 */
export async function saveForward(tx: Transaction, row: ForwardRow): Promise<ForwardPosition> {
  const [saved] = await tx.query<ForwardPosition>(
    `update ledger_forward set number = greatest(number, $2), sent = greatest(number, $2, $3), behind_ms = $4, looked_at = clock_timestamp(),
       error = $5, error_at = case when $5::text is null then null when error is not null then error_at else clock_timestamp() end
     where name = $1 returning number, (select s.number from ledger_state s) as sealed`,
    [row.name, row.number, row.sent, row.behindMs, row.error],
  );
  if (saved === undefined) throw new Error('a forward has no row');
  return saved;
}
