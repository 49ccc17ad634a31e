// Owns: the SQL with which operators read entries: a window of numbers, one entry, the entry that opened a session.
// Must never: read more numbers than the window it was given, because the duration of a statement must not grow with
// the record.
import type { Transaction } from '../../postgres/database.ts';
import type { LedgerFilter, LedgerRow } from '../../rpc/operators/ledger-entries.ts';
import { shownKeys, signersOf } from './shown-rows.ts';

const rowColumns = `e.number, to_char(e.at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at, e.kind, e.observer, c.name as customer, e.customer_id as "customerId",
  a.name as account, e.account_id as "accountId", e.session_id as session, e.node, e.plane, e.handle_id as handle, e.version_id as version, e.extent, e.bytes,
  e.credential, e.also_credential as "alsoCredential", host(e.source) as source, e.source_port as "sourcePort", e.client, e.operator, e.public, e.sensitive`;
const rowJoins = 'left join customer c on c.id = e.customer_id left join account a on a.id = e.account_id';

type Window = {
  /** The window: numbers above `after`, up to and including `upTo`. */
  readonly after: number;
  readonly upTo: number;
  readonly order: 'oldest' | 'newest';
  readonly limit: number;
  /** Whether the entries about calls of `ledger.tail` are left out. */
  readonly withoutTails: boolean;
};

/**
 * The condition that a filter sets for the entry `l`, with the parameters `$3` to `$18`. A condition whose parameter is
 * null is removed when the statement is planned.
 */
const fitting = `($3::text is null or l.kind = $3 or starts_with(l.kind, $3 || '.')) and ($4::text is null or starts_with(l.kind, $4))
    and ($5::text is null or l.customer_id = (select x.id from customer x where x.name = $5 or $5 = any (x.former_names) limit 1))
    and ($6::text is null or l.account_id = (select x.id from account x where x.name = $6))
    and ($7::uuid is null or l.session_id = $7) and ($8::text is null or l.node = $8)
    and (($9::text is null and $10::inet is null and $11::text is null) or l.session_id in (select session_id from opened)
      or (($9::text is null or l.credential = $9 or l.also_credential = $9 or l.sensitive ->> 'credential' = $9) and ($10::inet is null or l.source <<= $10::inet)
        and ($11::text is null or strpos(lower(l.client), lower($11)) > 0)))
    and ($12::text is null or $12 = any (string_to_array(l.operator, ' ')))
    and ($13::uuid is null or l.version_id = $13) and ($14::text is null or l.sha256 = $14)
    and ($15::text is null or strpos(lower(l.public::text || ' ' || l.sensitive::text), lower($15)) > 0)
    and ($16::timestamptz is null or l.at >= $16) and ($17::timestamptz is null or l.at < $17)
    and not ($18 and l.kind in ('operator.asked', 'operator.answered') and l.sensitive ->> 'operation' = 'ledger.tail')`;
/** The sessions that were opened with this credential, from this network, by this client. */
const selected = `opened as (
    select o.session_id from ledger o where ($9::text is not null or $10::inet is not null or $11::text is not null) and o.kind = 'session.opened'
      and ($9::text is null or o.credential = $9 or o.also_credential = $9) and ($10::inet is null or o.source <<= $10::inet)
      and ($11::text is null or strpos(lower(o.client), lower($11)) > 0))`;

const valuesOf = (filter: LedgerFilter, withoutTails: boolean): readonly unknown[] => {
  const { kind } = filter;
  const isBeginning = kind?.endsWith('*') === true;
  return [
    isBeginning ? null : (kind ?? null),
    isBeginning ? kind.slice(0, -1) : null,
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
    withoutTails,
  ];
};

/**
 * Returns the sealed entries of a window that match the whole filter. The names in the filter must be known to exist.
 */
export async function entriesIn(tx: Transaction, window: Window, filter: LedgerFilter): Promise<readonly LedgerRow[]> {
  return tx.query<LedgerRow>(
    `with ${selected}, e as (
       select l.* from ledger_sealed l where l.number > $1 and l.number <= $2 and ${fitting}
       order by case when $20 = 'oldest' then l.number else -l.number end limit $19)
     select ${rowColumns} from e ${rowJoins} order by case when $20 = 'oldest' then e.number else -e.number end`,
    [window.after, window.upTo, ...valuesOf(filter, window.withoutTails), window.limit, window.order],
  );
}

/** Returns the entries that are not sealed yet, newest first. */
export async function freshEntries(
  tx: Transaction,
  filter: LedgerFilter,
  limit: number,
): Promise<readonly LedgerRow[]> {
  return tx.query<LedgerRow>(
    `with ${selected}, e as (
       select l.* from ledger l where l.number is null and $1::int is null and $2::int is null and ${fitting} order by l.id desc limit $19)
     select ${rowColumns} from e ${rowJoins} order by e.id desc`,
    [null, null, ...valuesOf(filter, false), limit],
  );
}

/** Returns the newest number, and the oldest one that is in the database, or 0 when there is none. */
export async function bounds(tx: Transaction): Promise<{ readonly oldest: number; readonly newest: number }> {
  const [row] = await tx.query<{ oldest: number | null; newest: number }>(
    'select s.number as newest, (select l.number from ledger_sealed l order by l.number limit 1) as oldest from ledger_state s',
  );
  return { oldest: row?.oldest ?? 0, newest: row?.newest ?? 0 };
}

type HashedTexts = {
  readonly tree: string;
  readonly position: number;
  /** The time of the entry, in microseconds since 1970. */
  readonly at: number;
  readonly publicText: string;
  readonly sensitiveText: string;
  readonly salt: string;
  readonly isWitnessed: boolean;
};

/**
 * Returns the texts that were hashed for a sealed entry, its salt, and whether it is witnessed; undefined when it is
 * not in the database.
 */
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

/** The keys of this gateway for those who verify the record. Anybody who owns the database may have planted others. */
export async function verifierKeys(tx: Transaction): Promise<string[]> {
  const [state] = await tx.query<{ checkpoint: string | null }>(
    'select left(checkpoint, 4096) as checkpoint from ledger_state',
  );
  const checkpoint = state?.checkpoint ?? null;
  const rows = await tx.query<{ verifier_key: string }>(
    'select left(verifier_key, 256) as verifier_key from ledger_key order by id = any ($1::text[]) desc, created_at desc limit 1000',
    [signersOf(checkpoint)],
  );
  return shownKeys(
    rows.map((row) => row.verifier_key),
    checkpoint,
  );
}
