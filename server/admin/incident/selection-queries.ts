// Owns: the SQL that turns a selection into questions to the record: accounts, operators' traces, sessions, failed
// logins, the time span of the record.
import { parseNetwork } from '../../domain/addresses.ts';
import type { Snapshot } from '../../postgres/snapshot.ts';
import type { IncidentRow } from '../../rpc/operators/incident.ts';
import { archivedMonths } from './archive-queries.ts';

/** The parameters of every statement about entries of a selection, in this order. */
export type Chosen = {
  /** The ids of the chosen sessions; null when the entries are not chosen by sessions. */
  readonly sessions: readonly string[] | null;
  readonly node: string | null;
  readonly since: string | null;
  /** What was open when the window began; null when nothing was, or when the window has no beginning. */
  readonly open: OpenHandles | null;
  /** The end of the window, which is never later than the time at which the answer was asked for. */
  readonly until: string;
  readonly account: string | null;
  /** What was asked by, in words that name nobody (`kindOfSelection`). */
  readonly subject: string;
  /** What an entry of no session must name to belong to the selection; null when only entries of sessions belong. */
  readonly marks: Marks | null;
};
/**
 * The fields that an entry must name itself; null means any value. The account, the node and the time are those of
 * `Chosen`.
 */
export type Marks = {
  readonly credential: string | null;
  readonly source: string | null;
  readonly clients: readonly string[] | null;
  readonly operators: readonly string[] | null;
};
/**
 * The files that sessions of the selection had open when its window began. Whoever held such a handle had the keys that
 * were released on it before, and could go on sending or writing without leaving another entry: what was done on it
 * before the window belongs to the selection as well.
 */
type OpenHandles = {
  readonly handles: readonly string[] /** When the first of them was opened. */;
  readonly from: string;
};

/** Returns the instant from which on entries can belong to the selection; null: at any time. */
export const beginOf = ({ since, open }: Pick<Chosen, 'since' | 'open'>): string | null => open?.from ?? since;

export const chosenValues = (chosen: Chosen): readonly unknown[] => [
  chosen.sessions,
  chosen.node,
  beginOf(chosen),
  chosen.until,
  chosen.account,
  chosen.open?.handles ?? null,
  chosen.since,
];

/**
 * Whether the time of the entry `l` is in the window, or its handle was open when the window began, with the same
 * parameters.
 */
export const inWindow =
  '($3::timestamptz is null or l.at >= $3) and ($6::uuid[] is null or l.at >= $7 or coalesce(l.handle_id = any ($6), false)) and ($4::timestamptz is null or l.at < $4)';
/**
 * The condition for the entries `l` of the selection, with these parameters. A condition whose parameter is null is
 * removed when the statement is planned.
 */
export const selected = `($1::uuid[] is null or l.session_id = any ($1)) and ($2::text is null or l.node = $2) and ($5::uuid is null or l.account_id = $5) and ${inWindow}`;

/** How a credential came to be usable. A key that an intruder had somebody register was perhaps never used. */
const made = "('credential.added', 'credential.confirmed', 'credential.woken', 'credential.resumed')";
/**
 * The condition for the entries `l` that belong to the selection without a session, with the parameters `chosenValues`
 * and then those of `markValues`: failed logins that name everything that was asked for, such as those with a stolen
 * key; how the credential that was asked for came to be usable; and what an operator did when the question is about an
 * operator. An address is compared as a range as well as by containment, as in `eachSession`.
 */
const marked = `l.session_id is null and $8::boolean and ($9::text is null or l.credential = $9 or l.also_credential = $9) and ($10::inet is null or (l.source >= $10 and l.source <= set_masklen(broadcast($10::inet), case family($10::inet) when 4 then 32 else 128 end) and l.source <<= $10)) and ($11::text[] is null or l.client = any ($11)) and case when $12::text[] is null then l.kind in ('login.refused', 'login.partial', 'session.refused') or ($9 is not null and l.kind in ${made}) else l.operator = any ($12) end and ($2::text is null or l.node = $2) and ($5::uuid is null or l.account_id = $5) and ${inWindow}`;
const markValues = ({ marks }: Chosen): readonly unknown[] => [
  marks !== null,
  marks?.credential ?? null,
  marks?.source ?? null,
  marks?.clients ?? null,
  marks?.operators ?? null,
];
/**
 * The condition for every entry `l` that belongs to the selection, with the parameters of `belongingValues`. Scopes,
 * packs, slices and assurances have this one definition.
 */
export const belongs = `((${selected}) or (${marked}))`;
export const belongingValues = (chosen: Chosen): readonly unknown[] => [...chosenValues(chosen), ...markValues(chosen)];

/**
 * Whether a field of the entry `l` that is a count has another form. What it counts is unknown then, and the answer
 * says of how many entries.
 */
export const oddCount = `case l.kind when 'login.strangers' then is_odd_count(l.public, 'attempts')
  when 'session.ended' then is_odd_count(l.public, 'bytesIn') or is_odd_count(l.public, 'bytesOut')
  when 'folder.listed' then is_odd_count(l.public, 'names')
  when 'folder.changed' then is_odd_count(l.public, 'held') or is_odd_count(l.public, 'settling')
  when 'upload.opened' then is_odd_count(l.public, 'storedBytes') when 'upload.interrupted' then is_odd_count(l.public, 'storedBytes')
  when 'upload.closed' then is_odd_count(l.public, 'extentCount') when 'download.opened' then is_odd_count(l.public, 'extentCount') else false end`;

/** `odd`: how many of the entries have a count of another form. */
type OfCustomer = {
  readonly customer: string | null;
  readonly customerId: string | null;
  readonly entries: number;
  readonly odd: number;
};

/**
 * Calls `onRow` with the number of entries of the chosen sessions for each customer, and for the entries of no
 * customer.
 */
export async function eachCustomerOfSessions(
  snapshot: Snapshot,
  chosen: Chosen,
  onRow: (row: OfCustomer) => void,
): Promise<number> {
  return snapshot.each<OfCustomer>(
    `select c.name::text as customer, n.* from (select l.customer_id as "customerId", count(*) as entries, count(*) filter (where ${oddCount}) as odd from ledger l where ${selected} group by 1) n
       left join customer c on c.id = n."customerId"`,
    chosenValues(chosen),
    onRow,
  );
}

/**
 * Calls `onRow` for each entry that belongs to the selection without a session, in the order of customers and of time.
 */
export async function eachTrace(
  snapshot: Snapshot,
  chosen: Chosen,
  onRow: (row: IncidentRow<'traces'>) => void,
): Promise<number> {
  if (chosen.sessions === null || chosen.marks === null) return 0;
  return snapshot.each(
    `select c.name::text as customer, l.customer_id as "customerId", l.at, l.kind, a.name::text as account, fields_in(l.public) as facts
     from ledger l left join customer c on c.id = l.customer_id left join account a on a.id = l.account_id
     where ($1::uuid[] is not null) and ${marked} order by c.name::text collate "C" nulls last, l.customer_id, l.at, l.id`,
    belongingValues(chosen),
    onRow,
  );
}

/**
 * Returns which of the selectors occur nowhere in the record, and in no row of the catalogue. It is asked only when
 * nothing was found: a slip of the pen finds nothing, too.
 */
export async function unknownSelectors(
  snapshot: Snapshot,
  question: SessionQuestion,
): Promise<readonly ('credential' | 'source' | 'client' | 'session')[]> {
  const { credential, source, clients, session } = question;
  const [row] = await snapshot.query<{ credential: boolean; source: boolean; session: boolean }>(
    `select $1::text is null or exists (select from credential where fingerprint = $1) or exists (select from ledger l where l.credential = $1)
         or exists (select from ledger l where l.also_credential = $1) as credential,
       $2::inet is null or exists (select from ledger l where l.source >= $2 and l.source <= set_masklen(broadcast($2::inet), case family($2::inet) when 4 then 32 else 128 end) and l.source <<= $2) as source,
       $3::uuid is null or exists (select from session where id = $3) or exists (select from ledger l where l.session_id = $3) as session`,
    [credential, source, session],
  );
  return [
    ...(row?.credential === false ? (['credential'] as const) : []),
    ...(row?.source === false ? (['source'] as const) : []),
    ...(clients?.length === 0 ? (['client'] as const) : []),
    ...(row?.session === false ? (['session'] as const) : []),
  ];
}

/**
 * The selection counts as a small part of the record when the record has more than this number of entries for each
 * chosen session. That is ten times what a session usually leaves.
 */
const entriesPerFewSession = 400;

/**
 * Prepares the steps that read the entries of a selection. The planner expects entries of every chosen session in every
 * month, so for a thousand sessions it would read whole months. When the chosen sessions are a small part of the
 * record, it is made to use their index, and parallel workers are switched off: the two steps that run at a time use
 * the whole machine, and rows from workers are copied once more. Returns true when the sessions are a small part.
 */
export async function goBySessions(snapshot: Snapshot, sessions: readonly string[] | null): Promise<boolean> {
  const [row] = await snapshot.query<{ few: boolean }>(
    `select s.few, set_config('enable_seqscan', case when s.few then 'off' else 'on' end, true), set_config('max_parallel_workers_per_gather', case when s.few then '0' else '2' end, true)
     from (select coalesce($1::bigint * $2 < sum(c.reltuples), false) as few from pg_catalog.pg_inherits i
       join pg_catalog.pg_class c on c.oid = i.inhrelid where i.inhparent = 'public.ledger_sealed'::regclass) s`,
    [sessions?.length ?? null, entriesPerFewSession],
  );
  return row?.few === true;
}

/** The path of a file `f` below its folder. Most files are in no directory. */
export const pathInFolder = `case when f.directory_id is null then '/' || f.name else (with recursive up as (
    select f.directory_id as id, '/' || f.name::text as path union all select d.parent_id, '/' || d.name || up.path from up join directory d on d.id = up.id)
  select path from up where id is null) end`;

/** The sessions that were open at the instant `$3`, on the node `$2` where one is named. */
const openSessions = `select o.session_id from ledger o where o.kind = 'session.opened' and o.session_id is not null and o.at < $3 and ($2::text is null or o.node = $2)
         and not exists (select from ledger e where e.session_id = o.session_id and e.kind = 'session.ended' and e.at < $3)`;

/** The entries that say that a handle is not open any more. */
const closings = "('download.closed', 'upload.closed', 'upload.interrupted')";

/**
 * Returns which handles were open at `since`, on this node or by this account where one is named: of the chosen
 * sessions, or of every session that had begun and not ended then. A handle is open as long as no entry says that it
 * was closed.
 */
export async function openHandles(
  snapshot: Snapshot,
  { sessions, node, account, since }: Pick<Chosen, 'sessions' | 'node' | 'account'> & { readonly since: string },
): Promise<OpenHandles | null> {
  const [row] = await snapshot.query<{ handles: readonly string[] | null; from: Date | null }>(
    `select array_agg(h.handle_id) as handles, min(h.at) as from from (
       select l.handle_id, min(l.at) as at from ledger l
       where case when $1::uuid[] is null then l.session_id in (${openSessions}) else l.session_id = any ($1) end
         and l.handle_id is not null and l.at < $3 and ($2::text is null or l.node = $2) and ($4::uuid is null or l.account_id = $4)
       group by l.handle_id having not bool_or(l.kind in ${closings})) h`,
    [sessions, node, since, account],
  );
  return row?.handles == null || row.from === null ? null : { handles: row.handles, from: row.from.toISOString() };
}

/** Returns whether an edge of this name exists or existed. */
export async function isKnownNode(snapshot: Snapshot, name: string): Promise<boolean> {
  return (await snapshot.query('select 1 from node where name = $1', [name])).length > 0;
}

export async function isKnownOperator(snapshot: Snapshot, name: string): Promise<boolean> {
  return (await snapshot.query('select 1 from operator where name = $1', [name])).length > 0;
}

export async function findAccountId(snapshot: Snapshot, name: string): Promise<string | undefined> {
  const [row] = await snapshot.query<{ id: string }>('select id from account where name = $1', [name]);
  return row?.id;
}

export type Span = { readonly now: string; readonly oldestOnline: string | null };

/**
 * Returns the present time and the time before which months are in archives or deleted (`oldestOnline`); null when the
 * database has the whole record.
 */
export async function spanOfRecord(snapshot: Snapshot): Promise<Span> {
  const [row] = await snapshot.query<{ now: Date; oldest: Date | null }>(
    `with online as materialized (
       select to_date(substr(c.relname, 15, 6), 'YYYYMM') as month from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid
       where i.inhparent = 'public.ledger_sealed'::regclass),
       archived as materialized (${archivedMonths})
     select clock_timestamp() as now, greatest(
       (select (max(a.month) + interval '1 month') at time zone 'utc' from archived a where a.month not in (select o.month from online o)),
       -- More is gone than archives hold: the first table that has entries counts, for those of months are made ahead.
       case when (select min(s.number) from ledger_sealed s) - 1 > (select whole_number(coalesce(sum(a.entries), 0)) from archived a where a.month not in (select o.month from online o)) then (select o.month::timestamp at time zone 'utc' from online o where exists (
         select from ledger_sealed s where s.at >= o.month::timestamp at time zone 'utc' and s.at < (o.month + interval '1 month') at time zone 'utc') order by o.month limit 1) end) as oldest`,
  );
  return { now: (row?.now ?? new Date()).toISOString(), oldestOnline: row?.oldest?.toISOString() ?? null };
}

/** Returns every client identification in the record that contains `part`. */
export async function clientsLike(snapshot: Snapshot, part: string): Promise<readonly string[]> {
  const rows = await snapshot.query<{ client: string }>(
    'select c.client from (select distinct client from ledger where client is not null) c where strpos(lower(c.client), lower($1)) > 0',
    [part],
  );
  return rows.map((row) => row.client);
}

/** Returns every spelling of the acting operators in the record that includes this operator. */
export async function spellingsOf(snapshot: Snapshot, operator: string): Promise<readonly string[]> {
  const rows = await snapshot.query<{ operator: string }>(
    `with recursive walk as (
       (select l.operator from ledger_sealed l where l.operator is not null order by l.operator limit 1)
       union all
       select (select l.operator from ledger_sealed l where l.operator > walk.operator order by l.operator limit 1) from walk where walk.operator is not null
     )
     select operator from walk where $1 = any (string_to_array(operator, ' '))
     union select f.operator from ledger_fresh f where $1 = any (string_to_array(f.operator, ' '))`,
    [operator],
  );
  return rows.map((row) => row.operator);
}

type Touched = {
  readonly accounts: readonly string[];
  readonly accountsSince: readonly Date[];
  readonly credentials: readonly string[];
  readonly credentialsSince: readonly Date[];
};

/**
 * Returns the accounts and credentials that an operator's actions concerned before `until`, each with the time of the
 * first action.
 */
export async function touchedBy(
  snapshot: Snapshot,
  spellings: readonly string[],
  until: string | null,
): Promise<Touched> {
  const rows = await snapshot.query<{ account: string | null; credential: string | null; since: Date }>(
    `select l.account_id as account, l.credential, min(l.at) as since from ledger l
     where l.operator = any ($1::text[]) and l.operator is not null and ($2::timestamptz is null or l.at < $2) and (l.account_id is not null or l.credential is not null)
     group by 1, 2`,
    [spellings, until],
  );
  const accounts = rows.filter((row) => row.account !== null);
  const credentials = rows.filter((row) => row.credential !== null);
  return {
    accounts: accounts.map((row) => row.account ?? ''),
    accountsSince: accounts.map((row) => row.since),
    credentials: credentials.map((row) => row.credential ?? ''),
    credentialsSince: credentials.map((row) => row.since),
  };
}

export type SessionQuestion = {
  readonly credential: string | null;
  readonly source: string | null;
  readonly client: string | null;
  /** The client identifications as the record spells them. */
  readonly clients: readonly string[] | null;
  readonly session: string | null;
  readonly node: string | null;
  readonly account: string | null;
  readonly since: string | null;
  readonly until: string | null;
  readonly touched: Touched | null;
  /** Only these sessions; null means any session. */
  readonly among: readonly string[] | null;
};
/**
 * Returns the sessions that left an entry on a node in a period, or were open there when it began. The entries are
 * found by their time, so that not everything that sessions ever did is examined.
 */
export async function sessionsOnNode(
  snapshot: Snapshot,
  node: string,
  since: string,
  until: string | null,
): Promise<readonly string[]> {
  const rows = await snapshot.query<{ session_id: string }>(
    `select l.session_id from ledger l where l.session_id is not null and l.node = $2 and l.at >= $3 and ($1::timestamptz is null or l.at < $1)
     union ${openSessions}`,
    [until, node, since],
  );
  return rows.map((row) => row.session_id);
}

export type FoundSession = IncidentRow<'sessions'> & { readonly accountId: string | null };

/**
 * Calls `onRow` for each session that was opened in a way that fits and was open at some time in the window, oldest
 * first. An address is compared as a range as well as by containment: behind row-level security only the comparison by
 * order may use an index.
 */
export async function eachSession(
  snapshot: Snapshot,
  question: SessionQuestion,
  onRow: (row: FoundSession) => void,
): Promise<number> {
  const { credential, source, clients, session, node, account, since, until, touched, among } = question;
  return snapshot.each<FoundSession>(
    `select o.session_id as session, o.account_id as "accountId", a.name::text as account, c.name::text as customer, o.node, o.plane, o.credential,
       o.also_credential as "alsoCredential", host(o.source) as source, o.source_port as "sourcePort", o.client, fields_in(o.public) as opened, o.at as start,
       e.at as "end", e.public ->> 'reason' as reason, count_in(e.public, 'bytesIn') as "bytesIn", count_in(e.public, 'bytesOut') as "bytesOut"
     from ledger o
       left join ledger e on e.session_id = o.session_id and e.kind = 'session.ended'
       left join account a on a.id = o.account_id left join customer c on c.id = o.customer_id
     where o.kind = 'session.opened' and o.session_id is not null
       and ($1::text is null or o.credential = $1 or o.also_credential = $1)
       and ($2::inet is null or (o.source >= $2 and o.source <= set_masklen(broadcast($2::inet), case family($2::inet) when 4 then 32 else 128 end) and o.source <<= $2))
       and ($3::text[] is null or o.client = any ($3))
       and ($4::uuid is null or o.session_id = $4) and ($5::text is null or o.node = $5) and ($6::uuid is null or o.account_id = $6)
       and ($8::timestamptz is null or o.at < $8)
       -- What a session left after its end (a file that settles, what a false end would hide) is of it as well.
       and ($7::timestamptz is null or e.at is null or e.at >= $7
         or exists (select from ledger l where l.session_id = o.session_id and l.at >= $7 and ($8::timestamptz is null or l.at < $8)))
       and ($9::uuid[] is null or ((o.account_id = any ($9) or o.credential = any ($11::text[]) or o.also_credential = any ($11::text[])) and (
         exists (select 1 from unnest($9::uuid[], $10::timestamptz[]) t(id, since) where t.id = o.account_id and o.at >= t.since)
         or exists (select 1 from unnest($11::text[], $12::timestamptz[]) t(id, since) where t.id in (o.credential, o.also_credential) and o.at >= t.since))))
       and ($13::uuid[] is null or o.session_id = any ($13))
     order by o.at, o.session_id`,
    [
      credential,
      source,
      clients,
      session,
      node,
      account,
      since,
      until,
      touched?.accounts ?? null,
      touched?.accountsSince ?? null,
      touched?.credentials ?? null,
      touched?.credentialsSince ?? null,
      among,
    ],
    onRow,
  );
}

/** Calls `onRow` for each session whose opening is in an archive now. The catalogue still knows these sessions. */
export async function eachOlderSession(
  snapshot: Snapshot,
  question: SessionQuestion,
  oldestOnline: string,
  onRow: (row: FoundSession) => void,
): Promise<number> {
  const { credential, source, client, session, node, account, touched } = question;
  return snapshot.each<FoundSession>(
    `select s.id as session, s.account_id as "accountId", a.name::text as account, c.name::text as customer, s.node, a.plane, k.fingerprint as credential,
       k2.fingerprint as "alsoCredential", host(s.source_address) as source, s.source_port as "sourcePort", s.client_identification as client, null as opened,
       s.started_at as start, s.ended_at as "end", s.end_reason as reason, s.bytes_in as "bytesIn", s.bytes_out as "bytesOut"
     from session s join account a on a.id = s.account_id left join customer c on c.id = a.customer_id
       left join credential k on k.id = s.credential_id left join credential k2 on k2.id = s.also_credential_id
     -- What the record has of a session decides, and not the end that the catalogue tells.
     where s.started_at < $7 and (s.ended_at is null or s.ended_at >= $7 or exists (select from ledger l where l.session_id = s.id))
       and ($1::text is null or k.fingerprint = $1 or k2.fingerprint = $1) and ($2::inet is null or s.source_address <<= $2)
       and ($3::text is null or strpos(lower(s.client_identification), lower($3)) > 0)
       and ($4::uuid is null or s.id = $4) and ($5::text is null or s.node = $5) and ($6::uuid is null or s.account_id = $6)
       and ($8::uuid[] is null
         or exists (select 1 from unnest($8::uuid[], $9::timestamptz[]) t(id, since) where t.id = s.account_id and s.started_at >= t.since)
         or exists (select 1 from unnest($10::text[], $11::timestamptz[]) t(id, since) where t.id in (k.fingerprint, k2.fingerprint) and s.started_at >= t.since))
     order by s.started_at, s.id`,
    [
      credential,
      source,
      client,
      session,
      node,
      account,
      oldestOnline,
      touched?.accounts ?? null,
      touched?.accountsSince ?? null,
      touched?.credentials ?? null,
      touched?.credentialsSince ?? null,
    ],
    onRow,
  );
}

/** `odd`: how many entries do not say how many attempts they are of. */
export type FailedLogins = {
  readonly refused: number;
  readonly partial: number;
  readonly sessions: number;
  readonly strangers: number;
  readonly odd: number;
};

/** Returns a network that includes the /64 network by which an IPv6 address without an account is recorded. */
function networkOfStrangers(source: string): string {
  const network = parseNetwork(source);
  return network !== undefined && network.bytes.length === 16 && network.bits > 64
    ? [source.replace(/\/.*$/, ''), '64'].join('/')
    : source;
}

/**
 * Returns the numbers of logins of the selection that opened no session. Logins without an account are counted by the
 * /64 network for IPv6.
 */
export async function countFailedLogins(snapshot: Snapshot, question: SessionQuestion): Promise<FailedLogins> {
  const { credential, source, clients, node, account, since, until } = question;
  const [row] = await snapshot.query<FailedLogins>(
    `select count(*) filter (where l.kind = 'login.refused') as refused, count(*) filter (where l.kind = 'login.partial') as partial,
       count(*) filter (where l.kind = 'session.refused') as sessions,
       -- An entry that does not say how many is of one attempt at least.
       whole_number(coalesce(sum(coalesce(count_in(l.public, 'attempts'), 1)) filter (where l.kind = 'login.strangers'), 0)) as strangers,
       count(*) filter (where l.kind = 'login.strangers' and count_in(l.public, 'attempts') is null) as odd
     from ledger l
     where l.kind in ('login.refused', 'login.partial', 'login.strangers', 'session.refused')
       and ($1::text is null or l.credential = $1 or l.also_credential = $1)
       and ($2::inet is null or (l.source >= host(network($8::inet))::inet and l.source <= set_masklen(broadcast($8::inet), case family($8::inet) when 4 then 32 else 128 end)))
       and ($2::inet is null or l.source <<= $2 or (l.kind = 'login.strangers' and family(l.source) = 6 and set_masklen(l.source, 64) && $2::inet))
       and ($3::text[] is null or l.client = any ($3))
       and ($4::text is null or l.node = $4) and ($5::uuid is null or l.account_id = $5)
       and ($6::timestamptz is null or l.at >= $6) and ($7::timestamptz is null or l.at < $7)`,
    [credential, source, clients, node, account, since, until, source === null ? null : networkOfStrangers(source)],
  );
  return row ?? { refused: 0, partial: 0, sessions: 0, strangers: 0, odd: 0 };
}

export async function accountNames(
  snapshot: Snapshot,
  ids: readonly string[],
  limit: number,
): Promise<readonly string[]> {
  const rows = await snapshot.query<{ name: string }>(
    'select name::text from account where id = any ($1::uuid[]) order by name limit $2',
    [ids, limit],
  );
  return rows.map((row) => row.name);
}
