// Owns: the SQL of what the accounts of a selection could have read and did not, according to the present rights and
// catalogue.
import type { Snapshot } from '../../postgres/snapshot.ts';
import type { IncidentRow } from '../../rpc/operators/incident.ts';
import { type Chosen, chosenValues, pathInFolder, selected } from './selection-queries.ts';

/**
 * The unread versions. `$8` are the folders; `$9` and `$10` are the start and the end of the time in which one of the
 * accounts could have read in them.
 */
const readable = `with released as materialized (
    select distinct l.version_id from ledger l where l.kind in ('extent.granted', 'extent.verified') and ${selected}
  ), unread as (
    select v.id, v.customer_id, v.folder_id, v.file_id, v.size, v.sha256, v.published_at, v.withdrawn_at, v.state
    from version v
    where case when v.withdrawn_at is null then 'infinity' else v.withdrawn_at end >= $9 and v.published_at < $10 and v.published_at is not null and v.state in ('published', 'withdrawn', 'destroyed')
      and v.folder_id = any ($8::uuid[]) and not exists (select 1 from released r where r.version_id = v.id)
  )`;

type ReadableFolder = { readonly folder: string; readonly customer: string };

/** Returns the folders that any of these accounts may read, according to the present rights. */
export async function readableFolders(
  snapshot: Snapshot,
  accounts: readonly string[],
): Promise<readonly ReadableFolder[]> {
  return snapshot.query<ReadableFolder>(
    `select distinct r.folder_id as folder, o.customer_id as customer from folder_right r join account a on a.id = r.account_id join folder o on o.id = r.folder_id
     where r.account_id = any ($1::uuid[]) and (a.customer_id is null or a.customer_id = r.customer_id)
       and ('read' = any (r.verbs) or (o.direction = 'deposit' and o.read_back and a.plane = 'partner' and 'list' = any (r.verbs)))`,
    [accounts],
  );
}

export type Reach = {
  readonly folders: readonly string[];
  readonly from: string;
  readonly until: string;
};
const valuesOf = (chosen: Chosen, { folders, from, until }: Reach): readonly unknown[] => [
  ...chosenValues(chosen),
  folders,
  from,
  until,
];

type UnreadTotal = {
  readonly customer: string | null;
  readonly customerId: string;
  readonly files: number;
  readonly bytes: number;
};

/** Returns the number and size of the files that were not read, by customer. */
export async function totalUnread(snapshot: Snapshot, chosen: Chosen, reach: Reach): Promise<readonly UnreadTotal[]> {
  return snapshot.query<UnreadTotal>(
    `${readable}
     select c.name::text as customer, u.* from (select customer_id as "customerId", count(*) as files, whole_number(sum(size)) as bytes from unread group by 1) u
       left join customer c on c.id = u."customerId" order by 1, 2`,
    valuesOf(chosen, reach),
  );
}

export async function eachUnread(
  snapshot: Snapshot,
  chosen: Chosen,
  reach: Reach,
  onRow: (row: IncidentRow<'unread'>) => void,
): Promise<number> {
  return snapshot.each(
    `${readable}
     select * from (select c.name::text as customer, u.customer_id as "customerId", o.name as folder,
       ${pathInFolder} as path,
       u.id as version, encode(u.sha256, 'hex') as sha256, u.size, u.published_at as published, u.withdrawn_at as withdrawn, u.state
     from unread u join file f on f.id = u.file_id left join folder o on o.id = u.folder_id left join customer c on c.id = u.customer_id ) o order by o.customer collate "C" nulls last, o."customerId", o.folder collate "C", o.path collate "C", o.version`,
    valuesOf(chosen, reach),
    onRow,
  );
}
