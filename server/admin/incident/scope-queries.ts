// Owns: the SQL of what a selection did, read from the record: files whose keys were released, names listed, deposits,
// operators' actions. The catalogue only adds names.
// Must never: lose an entry because the catalogue has no row for it.
import type { Snapshot } from '../../postgres/snapshot.ts';
import type { IncidentRow } from '../../rpc/operators/incident.ts';
import { type Chosen, chosenValues, inWindow, pathInFolder, selected } from './selection-queries.ts';

export type FoundFile = Omit<IncidentRow<'files'>, 'certainty' | 'differs' | 'sentBytes'> & {
  readonly sent: number;
  readonly unclear: number;
  readonly sentBytes: number;
  readonly sha256Differs: boolean | null;
  readonly sizeDiffers: boolean | null;
};

/**
 * The columns of an entry: the folder, path, hash and number of extents that an opening states, and who closed the
 * handle.
 */
const ofEntry = `case when l.kind in ('download.opened', 'upload.opened') then l.public ->> 'folder' end as folder,
  case when l.kind in ('download.opened', 'upload.opened') then l.public ->> 'path' end as path, case when l.kind = 'download.opened' then l.sha256 end as sha256,
  case when l.kind = 'download.opened' then count_in(l.public, 'extentCount') end as extent_count, case when l.kind = 'download.closed' then l.public ->> 'by' end as closed_by,
  l.kind = 'download.opened' and count_in(l.public, 'extentCount') is null as is_odd`;

/**
 * The customers of one part of the work: those named, or with `isRest` all others and the entries that belong to no
 * customer.
 */
export type CustomersOf = { readonly customers: readonly string[]; readonly isRest: boolean };

/** Returns the first half of the customers by name, which makes about one half of an answer in that order. */
export async function firstHalf(snapshot: Snapshot): Promise<readonly string[]> {
  const rows = await snapshot.query<{ id: string }>(
    'select id from customer order by name collate "C", id limit (select (count(*) + 1) / 2 from customer)',
  );
  return rows.map((row) => row.id);
}

/**
 * Calls `onRow` for each version of which a key was released or bytes were sent, and for each empty file that was
 * opened, in the order of customers; returns the number of rows. The openings and closings of the sessions involved are
 * looked up outside of the time window as well: a handle is judged by how it ended even when that was after the window,
 * and named by how it was opened even when that was before it.
 */
export async function eachFile(
  snapshot: Snapshot,
  chosen: Chosen,
  of: CustomersOf,
  onRow: (row: FoundFile) => void,
): Promise<number> {
  return snapshot.each<FoundFile>(
    `with e as materialized (
       select l.kind, l.customer_id, l.session_id, l.handle_id, l.version_id, l.extent, l.bytes, l.at, ${ofEntry}, true as is_chosen
       from ledger l where l.kind in ('download.opened', 'download.closed', 'extent.granted', 'extent.verified') and ${selected}
         and case when l.customer_id = any ($9::uuid[]) then not $10 else $10 end
     ), late as materialized (
       select x.* from (
         select distinct session_id from e where session_id is not null and ($3::timestamptz is not null or $4::timestamptz is not null or exists (select 1 from e v where v.kind = 'extent.verified'))
         group by session_id, handle_id, version_id having not (bool_or(kind = 'download.opened') and bool_or(kind = 'download.closed'))) s
       cross join lateral (
         select l.kind, l.customer_id, l.session_id, l.handle_id, l.version_id, l.extent, l.bytes, l.at, ${ofEntry}, false as is_chosen
         from ledger l where l.session_id = s.session_id
           and (l.kind = 'upload.opened' or (l.kind in ('download.opened', 'download.closed') and not (${inWindow})))
         offset 0) x
     ), h as (
       select version_id, customer_id, handle_id, session_id,
         bool_or(kind = 'extent.granted') as is_released, bool_or(kind = 'extent.verified') as is_verified, bool_or(kind = 'download.closed') as is_closed,
         min(closed_by) as closed_by, max(bytes) filter (where kind = 'download.closed') as sent_bytes,
         min(at) filter (where is_chosen) as first, max(at) filter (where is_chosen) as last,
         max(folder) as folder, max(path) as path, max(sha256) as sha256, max(extent_count) as extent_count, bool_or(is_odd) as is_odd, max(bytes) filter (where kind = 'download.opened') as size
       from (select * from e union all select * from late) u group by version_id, customer_id, handle_id, session_id having bool_or(is_chosen)
     ), f as (
       select version_id, customer_id, count(*) as handles, count(*) filter (where is_closed and closed_by = 'client' and sent_bytes > 0) as sent,
         count(*) filter (where is_released and (not is_closed or sent_bytes is null or (sent_bytes > 0 and coalesce(closed_by, '') <> 'client'))) as unclear,
         whole_number(coalesce(sum(greatest(sent_bytes, 0)), 0)) as sent_bytes, min(first) as first, max(last) as last, max(folder) as folder, max(path) as path, max(sha256) as sha256,
         max(extent_count) as extent_count, max(size) as size
       from h where is_released or is_verified or sent_bytes > 0 or extent_count = 0 or is_odd group by version_id, customer_id
     ), x as (
       select version_id, count(*) as extents, whole_number(sum(greatest(bytes, 0))) as bytes, count(*) filter (where is_verified) as verified
       from (select version_id, extent, max(bytes) as bytes, bool_and(kind = 'extent.verified') as is_verified
         from e where kind in ('extent.granted', 'extent.verified') group by version_id, extent) one group by version_id
     )
     select * from (select c.name::text as customer, r.customer_id as "customerId", coalesce(r.folder, fo.name::text) as folder, coalesce(r.path, k.path) as path,
       r.version_id as version, coalesce(r.sha256, encode(v.sha256, 'hex')) as sha256, coalesce(r.size, v.size) as size, v.closed_at as deposited,
       coalesce(r.extent_count, v.extent_count) as extents, coalesce(x.extents, 0)::int as "releasedExtents", coalesce(x.bytes, 0) as "releasedBytes",
       coalesce(x.verified, 0)::int as "verifiedExtents", r.sent_bytes as "sentBytes", r.sent::int as sent, r.unclear::int as unclear, r.handles::int as handles, r.first, r.last, v.state,
       r.sha256 <> encode(v.sha256, 'hex') as "sha256Differs", r.size <> v.size as "sizeDiffers"
     from f r left join x on coalesce(x.version_id, $8::uuid) = coalesce(r.version_id, $8::uuid)
       left join version v on v.id = r.version_id left join folder fo on fo.id = v.folder_id
       -- The catalogue names what the record does not. For the rest its names are not looked up, one by one by their key: a join would read all of them.
       left join lateral (select f.id, f.directory_id, f.name from file f where f.id = case when r.path is null then v.file_id end offset 0) f on true
       left join customer c on c.id = r.customer_id left join lateral (select ${pathInFolder} as path where f.id is not null) k on true
     ) o order by o.customer collate "C" nulls last, o."customerId", o.folder collate "C", o.path collate "C", o.version`,
    // `$8` stands for a missing version, so that two missing versions compare as equal and the join can still use a
    // hash.
    [...chosenValues(chosen), '00000000-0000-0000-0000-000000000000', of.customers, of.isRest],
    onRow,
  );
}

export async function eachNames(
  snapshot: Snapshot,
  chosen: Chosen,
  onRow: (row: IncidentRow<'names'>) => void,
): Promise<number> {
  return snapshot.each(
    `select c.name::text as customer, n.*
     from (select l.customer_id as "customerId", l.public ->> 'folder' as folder, l.public ->> 'path' as path, whole_number(coalesce(sum(count_in(l.public, 'names')), 0)) as names,
         count(*)::int as times, min(l.at) as first, max(l.at) as last
       from ledger l where l.kind = 'folder.listed' and ${selected} group by 1, 2, 3) n
       left join customer c on c.id = n."customerId"
     order by c.name::text collate "C" nulls last, n."customerId", n.folder, n.path`,
    chosenValues(chosen),
    onRow,
  );
}

/**
 * Calls `onRow` for each upload that the selection opened, continued or closed: somebody who controlled the edge saw
 * it, and somebody who had the account made it.
 */
export async function eachDeposit(
  snapshot: Snapshot,
  chosen: Chosen,
  onRow: (row: IncidentRow<'deposits'>) => void,
): Promise<number> {
  return snapshot.each(
    `select * from (select c.name::text as customer, u.customer_id as "customerId", coalesce(u.named ->> 'folder', fo.name::text) as folder, coalesce(u.named ->> 'path', k.path) as path,
       u.version_id as version, coalesce(u.sha256, case when u.state = 'closed' then encode(v.sha256, 'hex') end) as sha256, u.size, u.state, u.uploads, u.first, u.last
     from (
       select l.customer_id, l.version_id, (array_agg(l.public order by l.at desc) filter (where l.public ? 'path'))[1] as named,
         max(l.public ->> 'sha256') filter (where l.kind = 'upload.closed') as sha256,
         coalesce(max(l.bytes) filter (where l.kind = 'upload.closed'), max(count_in(l.public, 'storedBytes'))) as size,
         case when bool_or(l.kind = 'upload.closed') then 'closed' else substr((array_agg(l.kind order by l.at desc))[1], 8) end as state,
         count(distinct l.handle_id)::int as uploads, min(l.at) as first, max(l.at) as last
       from ledger l where l.kind in ('upload.opened', 'upload.closed', 'upload.interrupted', 'upload.given-up', 'upload.expired') and ${selected} group by 1, 2) u
       left join version v on v.id = u.version_id left join file f on f.id = v.file_id left join folder fo on fo.id = f.folder_id
       left join customer c on c.id = u.customer_id left join lateral (select ${pathInFolder} as path where f.id is not null) k on true
     ) o order by o.customer collate "C" nulls last, o."customerId", o.folder collate "C", o.path collate "C", o.version`,
    chosenValues(chosen),
    onRow,
  );
}

/** Calls `onRow` for everything that an operator asked for and did, in the order of time. */
export async function eachAction(
  snapshot: Snapshot,
  spellings: readonly string[],
  chosen: { readonly account: string | null; readonly since: string | null; readonly until: string | null },
  onRow: (row: IncidentRow<'actions'>) => void,
): Promise<number> {
  return snapshot.each(
    `select l.at, l.kind, l.operator, a.name::text as account, c.name::text as customer, l.credential, l.number, fields_in(l.public) || fields_in(l.sensitive) as facts
     from ledger l left join account a on a.id = l.account_id left join customer c on c.id = l.customer_id
     where l.operator = any ($1::text[]) and l.operator is not null and ($2::uuid is null or l.account_id = $2)
       and ($3::timestamptz is null or l.at >= $3) and ($4::timestamptz is null or l.at < $4)
     order by l.at, l.id`,
    [spellings, chosen.account, chosen.since, chosen.until],
    onRow,
  );
}
