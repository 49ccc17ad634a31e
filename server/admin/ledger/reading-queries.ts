// Owns: the SQL by which operators read entries: a window of numbers, one entry, the entry by which a session began.
// Must never: read more numbers than it was given: how long a statement takes must not grow with the record.
import type { Transaction } from '../../postgres/database.ts';
import type { LedgerFilter, LedgerRow } from '../../rpc/operator-ledger-reading.ts';

const rowColumns = `e.number, to_char(e.at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at, e.kind, e.observer, c.name as customer, e.customer_id as "customerId",
  a.name as account, e.account_id as "accountId", e.session_id as session, e.node, e.plane, e.handle_id as handle, e.version_id as version, e.extent, e.bytes,
  e.credential, e.also_credential as "alsoCredential", host(e.source) as source, e.source_port as "sourcePort", e.client, e.operator, e.public, e.sensitive`;
const rowJoins = 'left join customer c on c.id = e.customer_id left join account a on a.id = e.account_id';

export type Window = {
  /** Numbers after the first, up to the last. */
  readonly after: number;
  readonly upTo: number;
  readonly order: 'oldest' | 'newest';
  readonly limit: number;
  /** Calls of ledger.tail are passed over. */
  readonly withoutTails: boolean;
};

/** Entries of a window that are all of what the filter says; names are known to exist. */
export async function entriesIn(tx: Transaction, window: Window, filter: LedgerFilter): Promise<readonly LedgerRow[]> {
  const { kind } = filter;
  return tx.query<LedgerRow>(
    `with opened as (
       select o.session_id from ledger_sealed o where ($11::text is not null or $12::inet is not null or $13::text is not null) and o.kind = 'session.opened'
         and ($11::text is null or o.credential = $11 or o.also_credential = $11) and ($12::inet is null or o.source <<= $12::inet)
         and ($13::text is null or position(lower($13) in lower(o.client)) > 0)),
     e as (
       select l.* from ledger_sealed l
       where l.number > $1 and l.number <= $2
         and ($5::text is null or l.kind = $5) and ($6::text is null or starts_with(l.kind, $6))
         and ($7::text is null or l.customer_id = (select x.id from customer x where x.name = $7))
         and ($8::text is null or l.account_id = (select x.id from account x where x.name = $8))
         and ($9::uuid is null or l.session_id = $9) and ($10::text is null or l.node = $10)
         and (($11::text is null and $12::inet is null and $13::text is null) or l.session_id in (select session_id from opened)
           or (($11::text is null or l.credential = $11 or l.also_credential = $11 or l.sensitive ->> 'credential' = $11) and ($12::inet is null or l.source <<= $12::inet)
             and ($13::text is null or position(lower($13) in lower(l.client)) > 0)))
         and ($14::text is null or $14 = any (string_to_array(l.operator, ' ')))
         and ($15::uuid is null or l.version_id = $15) and ($16::text is null or l.public ->> 'sha256' = $16)
         and ($17::text is null or position(lower($17) in lower(l.public::text || ' ' || l.sensitive::text)) > 0)
         and ($18::timestamptz is null or l.at >= $18) and ($19::timestamptz is null or l.at < $19)
         and not ($20 and l.kind in ('operator.asked', 'operator.answered') and l.sensitive ->> 'operation' = 'ledger.tail')
       order by case when $4 = 'oldest' then l.number end, case when $4 = 'newest' then -l.number end limit $3)
     select ${rowColumns} from e ${rowJoins} order by case when $4 = 'oldest' then e.number else -e.number end`,
    [
      window.after,
      window.upTo,
      window.limit,
      window.order,
      kind?.endsWith('*') === false ? kind : null,
      kind?.endsWith('*') === true ? kind.slice(0, -1) : null,
      filter.customer ?? null,
      filter.account ?? null,
      filter.session ?? null,
      filter.node ?? null,
      filter.credential ?? null,
      filter.source ?? null,
      filter.clientId ?? null,
      filter.operator ?? null,
      filter.version ?? null,
      filter.sha256 ?? null,
      filter.text ?? null,
      filter.since ?? null,
      filter.until ?? null,
      window.withoutTails,
    ],
  );
}

/** The newest number, and the oldest that is in the database (0: none). */
export async function bounds(tx: Transaction): Promise<{ readonly oldest: number; readonly newest: number }> {
  const [row] = await tx.query<{ oldest: number | null; newest: number }>(
    'select s.number as newest, (select l.number from ledger_sealed l order by l.number limit 1) as oldest from ledger_state s',
  );
  return { oldest: row?.oldest ?? 0, newest: row?.newest ?? 0 };
}

export type HashedTexts = {
  readonly tree: string;
  readonly position: number;
  readonly at: number;
  readonly publicText: string;
  readonly sensitiveText: string;
  readonly salt: string;
  readonly isWitnessed: boolean;
};

export async function findHashed(tx: Transaction, number: number): Promise<HashedTexts | undefined> {
  const [row] = await tx.query<HashedTexts>(
    `select l.tree, l.position, micros(l.at) as at, l.public::text as "publicText", l.sensitive::text as "sensitiveText", encode(l.salt, 'hex') as salt,
       exists (select 1 from ledger_head h join ledger_state s on h.position = s.witnessed_size - 1 where h.number >= l.number) as "isWitnessed"
     from ledger_sealed l where l.number = $1`,
    [number],
  );
  return row;
}

export async function findOpened(tx: Transaction, session: string): Promise<LedgerRow | undefined> {
  const [row] = await tx.query<LedgerRow>(
    `select ${rowColumns} from ledger_sealed e ${rowJoins} where e.session_id = $1 and e.kind = 'session.opened' order by e.number limit 1`,
    [session],
  );
  return row;
}

export async function verifierKeys(tx: Transaction): Promise<readonly string[]> {
  const rows = await tx.query<{ verifier_key: string }>('select verifier_key from ledger_key order by created_at desc limit 20');
  return rows.map((row) => row.verifier_key);
}
