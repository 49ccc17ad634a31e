// Owns: the SQL of an incident's scope: which sessions are meant, and what the record says of them. The record decides; the catalogue adds names.
// Must never: answer less than the record holds. Where something is not known, it counts as exposed.
import type { Snapshot } from '../../postgres/database.ts';
import type {
  IncidentActionRow as ActionRow,
  IncidentDepositRow as DepositRow,
  IncidentFileRow as FileRow,
  IncidentListingRow as ListingRow,
  IncidentReachableRow as ReachableRow,
  IncidentSessionRow as SessionRow,
} from '../../rpc/operator-incident.ts';

/** Null: not asked for. Instants as ISO text. */
export type Filter = {
  readonly sessions: readonly string[] | null;
  readonly node: string | null;
  readonly since: string | null;
  readonly until: string | null;
};
/** Parameters $1 to $4 of every question below. */
const parameters = (filter: Filter): unknown[] => [filter.sessions, filter.node, filter.since, filter.until];

/** `null` = everything: folded away before the plan is made, so that an index serves what was asked for. */
const meant = `($1::uuid[] is null or l.session_id = any ($1::uuid[])) and ($2::text is null or l.node = $2::text)
  and l.at >= coalesce($3::timestamptz, '-infinity') and l.at < coalesce($4::timestamptz, 'infinity')`;

export type Picked = { readonly session: string; readonly at: Date };
export type SessionWish = {
  readonly session: string | null;
  readonly credential: string | null;
  readonly account: string | null;
  readonly source: string | null;
  readonly client: string | null;
  readonly until: string | null;
};

/** Sessions by what they showed when they were opened. */
export async function pickSessions(tx: Snapshot, wish: SessionWish): Promise<readonly Picked[]> {
  return tx.query<Picked>(
    `select l.session_id as session, l.at from ledger l where l.kind = 'session.opened' and ($1::uuid is null or l.session_id = $1::uuid)
       and ($2::text is null or l.credential = $2::text or l.also_credential = $2::text) and ($3::uuid is null or l.account_id = $3::uuid)
       and ($4::cidr is null or l.source <<= $4::cidr) and ($5::text is null or strpos(lower(l.client), lower($5::text)) > 0)
       and l.at < coalesce($6::timestamptz, 'infinity')`,
    [wish.session, wish.credential, wish.account, wish.source, wish.client, wish.until],
  );
}

export type Touched = { readonly account: string | null; readonly credential: string | null; readonly at: Date };

/** Accounts and credentials that an operator made, changed, or opened something for; each from then on. */
export async function touchedBy(tx: Snapshot, operator: string): Promise<readonly Touched[]> {
  return tx.query<Touched>(
    `select l.account_id as account, l.credential, min(l.at) as at from ledger l
     where l.operator is not null and $1 = any (string_to_array(l.operator, ' ')) and (l.account_id is not null or l.credential is not null) group by 1, 2`,
    [operator],
  );
}

/** Sessions of these accounts and credentials, each from its instant on. */
export async function pickTouched(tx: Snapshot, touched: readonly Touched[], until: string | null): Promise<readonly Picked[]> {
  return tx.query<Picked>(
    `select distinct l.session_id as session, l.at from ledger l join unnest($1::uuid[], $2::text[], $3::timestamptz[]) t(account, credential, at)
       on l.at >= t.at and (t.credential is null and l.account_id = t.account or l.credential = t.credential or l.also_credential = t.credential)
     where l.kind = 'session.opened' and l.at < coalesce($4::timestamptz, 'infinity')`,
    [touched.map((one) => one.account), touched.map((one) => one.credential), touched.map((one) => one.at), until],
  );
}

export async function findAccountId(tx: Snapshot, name: string): Promise<string | undefined> {
  return (await tx.query<{ id: string }>('select id from account where name = $1', [name]))[0]?.id;
}

export async function isNode(tx: Snapshot, name: string): Promise<boolean> {
  return (await tx.query('select 1 from node where name = $1', [name])).length > 0;
}

export async function isOperator(tx: Snapshot, name: string): Promise<boolean> {
  return (await tx.query('select 1 from operator where name = $1', [name])).length > 0;
}

/** Path below the folder, from the catalogue. */
const pathOf = `(with recursive up as (
    select f.directory_id as id, f.name::text as path union all select d.parent_id, d.name || '/' || up.path from up join directory d on d.id = up.id)
  select '/' || path from up where id is null)`;

/**
 * One row for each version of which at least one key left the warden. Distinct extents count once. `certain`: its client closed a handle through
 * which bytes had gone out; `possible`: the edge never said what it sent, or was cut while it did; `unsent`: it says that nothing went out.
 */
export function eachFile(tx: Snapshot, filter: Filter, onRow: (row: FileRow) => void): Promise<void> {
  return tx.each<FileRow>(
    `with e as materialized (
       select l.kind, l.customer_id, l.session_id, l.handle_id, l.version_id, l.extent, l.bytes, l.at, l.public from ledger l
       where l.kind in ('extent.granted', 'extent.verified', 'download.opened', 'download.closed') and ${meant}),
     released as (
       select customer_id, version_id, count(*)::int as extents, sum(bytes)::bigint as bytes, min(first) as first, max(last) as last, bool_or(is_granted) as is_granted from (
         select customer_id, version_id, extent, max(bytes) as bytes, min(at) as first, max(at) as last, bool_or(kind = 'extent.granted') as is_granted
         from e where kind in ('extent.granted', 'extent.verified') group by customer_id, version_id, extent) x
       group by customer_id, version_id),
     handles as (
       select version_id, handle_id, bool_or(kind = 'extent.granted') as is_granted, bool_or(kind = 'download.closed') as is_closed,
         coalesce(max(bytes) filter (where kind = 'download.closed'), 0) as sent, bool_or(kind = 'download.closed' and public ->> 'by' = 'client') as by_client
       from e where handle_id is not null and kind <> 'extent.verified' group by version_id, handle_id),
     sent as (
       select version_id, sum(sent)::bigint as bytes, bool_or(is_granted and by_client and sent > 0) as is_certain,
         bool_or(is_granted and (not is_closed or (not by_client and sent > 0))) as is_possible
       from handles group by version_id),
     told as (
       select distinct on (version_id) version_id, public ->> 'folder' as folder, public ->> 'path' as path, public ->> 'sha256' as sha256, (public ->> 'extentCount')::int as extent_count, bytes as size
       from e where kind = 'download.opened' order by version_id, at desc),
     who as (select version_id, count(distinct session_id)::int as n from e where kind in ('extent.granted', 'extent.verified') group by version_id)
     select coalesce(c.name, r.customer_id::text) as customer, r.customer_id as "customerId", coalesce(t.folder, fo.name, '?') as folder,
       coalesce(t.path, case when f.id is not null then ${pathOf} end, '?') as path, r.version_id as version, v.number, coalesce(t.sha256, encode(v.sha256, 'hex')) as sha256,
       coalesce(t.size, v.size) as size, to_json(v.closed_at) #>> '{}' as "depositedAt", a.name as "depositedBy", r.extents, coalesce(t.extent_count, v.extent_count) as "extentCount",
       r.bytes as "releasedBytes", coalesce(s.bytes, 0) as "sentBytes",
       case when s.is_certain then 'certain' when s.is_possible or (r.is_granted and s.version_id is null) then 'possible' else 'unsent' end as certainty,
       to_json(r.first) #>> '{}' as "firstAt", to_json(r.last) #>> '{}' as "lastAt", w.n as sessions,
       case when v.id is null then 'the catalogue has no such version' when t.sha256 <> encode(v.sha256, 'hex') then 'the catalogue has another hash: ' || encode(v.sha256, 'hex')
         when t.size <> v.size then 'the catalogue has another size: ' || v.size end as differs
     from released r left join sent s on s.version_id = r.version_id left join told t on t.version_id = r.version_id left join who w on w.version_id = r.version_id
       left join customer c on c.id = r.customer_id left join version v on v.id = r.version_id left join file f on f.id = v.file_id left join folder fo on fo.id = f.folder_id
       left join account a on a.id = v.account_id
     order by 1, 3, 4, 5`,
    parameters(filter),
    onRow,
  );
}

export function eachListing(tx: Snapshot, filter: Filter, onRow: (row: ListingRow) => void): Promise<void> {
  return tx.each<ListingRow>(
    `select coalesce(c.name, x.customer_id::text) as customer, x.customer_id as "customerId", x.folder, x.path, x.names, x.most as "namesMost", x.times,
       to_json(x.first) #>> '{}' as "firstAt", to_json(x.last) #>> '{}' as "lastAt"
     from (select l.customer_id, l.public ->> 'folder' as folder, l.public ->> 'path' as path, sum((l.public ->> 'names')::bigint)::bigint as names,
         max((l.public ->> 'names')::bigint)::bigint as most, count(*) as times, min(l.at) as first, max(l.at) as last
       from ledger l where l.kind = 'folder.listed' and ${meant} group by 1, 2, 3) x left join customer c on c.id = x.customer_id order by 1, 3, 4`,
    parameters(filter),
    onRow,
  );
}

/** Uploads whose content passed through: whoever held the edge saw it, whoever held the credential made it. */
export function eachDeposit(tx: Snapshot, filter: Filter, onRow: (row: DepositRow) => void): Promise<void> {
  return tx.each<DepositRow>(
    `with e as materialized (
       select l.kind, l.customer_id, l.session_id, l.node, l.handle_id, l.version_id, l.bytes, l.at, l.public from ledger l
       where l.kind in ('upload.opened', 'upload.closed', 'upload.interrupted') and ${meant}),
     last as (select distinct on (version_id) * from e order by version_id, array_position(array['upload.closed', 'upload.interrupted', 'upload.opened'], kind), at desc)
     select coalesce(c.name, e.customer_id::text) as customer, e.customer_id as "customerId", coalesce(e.public ->> 'folder', o.public ->> 'folder', fo.name, '?') as folder,
       coalesce(e.public ->> 'path', o.public ->> 'path', case when f.id is not null then ${pathOf} end, '?') as path, e.version_id as version, e.public ->> 'sha256' as sha256,
       coalesce(e.bytes, (e.public ->> 'storedBytes')::bigint) as size,
       case e.kind when 'upload.closed' then 'complete' when 'upload.interrupted' then 'cut' else 'open' end as outcome, to_json(e.at) #>> '{}' as at, e.session_id as session, e.node
     from last e left join lateral (select x.public from e x where x.version_id = e.version_id and x.kind = 'upload.opened' limit 1) o on e.kind = 'upload.interrupted'
       left join version v on v.id = e.version_id left join file f on f.id = v.file_id left join folder fo on fo.id = f.folder_id
       left join customer c on c.id = e.customer_id order by 1, 3, 4, 9`,
    parameters(filter),
    onRow,
  );
}

/** Every session that has an entry in the selection, with what it showed when it was opened and how it ended, whenever that was. */
export function eachSession(tx: Snapshot, filter: Filter, onRow: (row: SessionRow) => void): Promise<void> {
  return tx.each<SessionRow>(
    `with s as materialized (select distinct l.session_id as id from ledger l where l.session_id is not null and ${meant})
     select s.id as session, a.name as account, c.name as customer, o.plane, o.node, o.credential, o.also_credential as "alsoCredential", host(o.source) as source,
       o.source_port as "sourcePort", o.client, o.public as algorithms, to_json(o.at) #>> '{}' as "openedAt", to_json(x.at) #>> '{}' as "endedAt", x.public ->> 'reason' as "endReason"
     from s left join ledger o on o.session_id = s.id and o.kind = 'session.opened' left join ledger x on x.session_id = s.id and x.kind = 'session.ended'
       left join account a on a.id = o.account_id left join customer c on c.id = o.customer_id order by o.at`,
    parameters(filter),
    onRow,
  );
}

export function eachAction(
  tx: Snapshot,
  operator: string,
  since: string | null,
  until: string | null,
  onRow: (row: ActionRow) => void,
): Promise<void> {
  return tx.each<ActionRow>(
    `select l.number, to_json(l.at) #>> '{}' as at, l.kind, c.name as customer, a.name as account, l.credential, l.public || l.sensitive as facts
     from ledger l left join customer c on c.id = l.customer_id left join account a on a.id = l.account_id
     where l.operator is not null and $1 = any (string_to_array(l.operator, ' ')) and l.kind not in ('operator.answered')
       and l.at >= coalesce($2::timestamptz, '-infinity') and l.at < coalesce($3::timestamptz, 'infinity') order by l.at`,
    [operator, since, until],
    onRow,
  );
}

/**
 * Versions that stood in folders which the accounts of the selection may read, at some time of the window, and of which no key left. By the rights of
 * now, and by every folder in which one of them did something.
 */
export function eachReachable(tx: Snapshot, filter: Filter, onRow: (row: ReachableRow) => void): Promise<void> {
  return tx.each<ReachableRow>(
    `with e as materialized (select distinct l.account_id, l.customer_id, l.version_id, l.kind in ('extent.granted', 'extent.verified') as is_released from ledger l where ${meant}),
     folders as (
       select r.folder_id from folder_right r where r.account_id in (select account_id from e) and 'read' = any (r.verbs)
       union select fo.id from folder_right r join folder fo on fo.id = r.folder_id where r.account_id in (select account_id from e) and fo.read_back and 'list' = any (r.verbs)
       union select f.folder_id from e join version v on v.id = e.version_id join file f on f.id = v.file_id where e.is_released)
     select c.name as customer, c.id as "customerId", fo.name as folder, ${pathOf} as path, v.id as version, encode(v.sha256, 'hex') as sha256, v.size, to_json(v.published_at) #>> '{}' as "publishedAt"
     from folders x join folder fo on fo.id = x.folder_id join customer c on c.id = fo.customer_id join file f on f.folder_id = fo.id join version v on v.file_id = f.id
     where v.published_at < coalesce($4::timestamptz, clock_timestamp()) and coalesce(v.withdrawn_at, 'infinity') > coalesce($3::timestamptz, '-infinity')
       and not exists (select 1 from e where e.version_id = v.id and e.is_released)
     order by 1, 3, 4`,
    parameters(filter),
    onRow,
  );
}

export type Refused = { readonly kind: string; readonly n: number };

/** Logins that opened no session, with what the selection names. */
export async function countRefused(tx: Snapshot, wish: SessionWish, since: string | null): Promise<readonly Refused[]> {
  return tx.query<Refused>(
    `select l.kind, coalesce(sum(case when l.kind = 'login.strangers' then (l.public ->> 'attempts')::bigint else 1 end), 0)::bigint as n from ledger l
     where l.kind in ('login.refused', 'login.partial', 'login.strangers', 'session.refused')
       and ($1::text is null or l.credential = $1::text or l.also_credential = $1::text) and ($2::uuid is null or l.account_id = $2::uuid)
       and ($3::cidr is null or l.source <<= $3::cidr) and ($4::text is null or strpos(lower(l.client), lower($4::text)) > 0)
       and l.at >= coalesce($5::timestamptz, '-infinity') and l.at < coalesce($6::timestamptz, 'infinity') group by 1 order by 1`,
    [wish.credential, wish.account, wish.source, wish.client, since, wish.until],
  );
}

/** Whether months were moved into archives: the answer does not know what is in them. */
export async function hasArchives(tx: Snapshot): Promise<boolean> {
  return (await tx.query('select 1 from ledger_archive limit 1')).length > 0;
}

/** First month of the record that is in the database; null: nothing is sealed yet. */
export async function oldestMonth(tx: Snapshot): Promise<string | null> {
  const [row] = await tx.query<{ month: string | null }>(
    `select min(substr(c.relname, 15, 4) || '-' || substr(c.relname, 19, 2)) as month from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid
     where i.inhparent = 'public.ledger_sealed'::regclass`,
  );
  return row?.month ?? null;
}
