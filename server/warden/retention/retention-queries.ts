// Owns: the SQL of windows and retention: complete reads, the withdrawal and destruction of versions, and holds.
import { CofferdamError } from '../../domain/errors.ts';
import { type CustomerId, type FolderId, idOf, type VersionId } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';
import { now } from '../../postgres/now.ts';
import { folderIsHeld, lockVersions, versionIsHeld } from '../versions/version-queries.ts';

type Left = { readonly version: VersionId; readonly customer: CustomerId };
type RawLeft = { readonly id: string; readonly customer_id: string };
const shape = (row: RawLeft): Left => ({
  version: idOf<VersionId>(row.id),
  customer: idOf<CustomerId>(row.customer_id),
});

const windowEnd = "coalesce(fo.window_days, fo.retention_days) * interval '1 day'";
const retentionEnd = "fo.retention_days * interval '1 day'";
const windowIsOver = `v.state = 'published' and coalesce(v.released_until, v.published_at + ${windowEnd}) <= ${now}`;
const retentionIsOver = `v.state = 'withdrawn' and v.published_at + ${retentionEnd} <= ${now}`;

/**
 * Finds published versions whose window, or whose release by operators, is over, the oldest first. Each folder is asked
 * for what is due in it, so that what is not due is not read.
 */
export async function findWindowsOver(tx: Transaction, limit: number): Promise<readonly string[]> {
  const rows = await tx.query<{ id: string }>(
    `with over as materialized (select fo.id as folder, ${now} - ${windowEnd} as since from folder fo)
     select d.id from (
       (select v.id, v.published_at as since from over cross join lateral (
          select v.id, v.published_at from version v
          where v.folder_id = over.folder and v.state = 'published' and v.released_until is null and v.published_at <= over.since
          order by v.published_at limit $1) v)
       union all
       (select v.id, v.released_until from version v where v.state = 'published' and v.released_until <= ${now} order by v.released_until limit $1)
     ) d order by d.since limit $1`,
    [limit],
  );
  return rows.map((row) => row.id);
}

/**
 * Withdraws those of the versions that are still due, each with the older versions of its name, which would otherwise
 * become visible in its place. A name of which somebody has locked a version is left for the next pass.
 */
export async function withdrawDue(tx: Transaction, ids: readonly string[]): Promise<readonly Left[]> {
  const below = await tx.query<{ id: string }>(
    `select distinct o.id from version v join version o on o.file_id = v.file_id and o.number <= v.number and o.state = 'published'
     where v.id = any ($1::uuid[])`,
    [ids],
  );
  const held = await lockVersions(
    tx,
    below.map((row) => row.id),
  );
  const due = await tx.query<{ id: string }>(
    `select v.id from version v join folder fo on fo.id = v.folder_id where v.id = any ($1::uuid[]) and v.id = any ($2::uuid[]) and ${windowIsOver}`,
    [ids, held],
  );
  const rows = await tx.query<RawLeft>(
    `update version v set state = 'withdrawn', withdrawn_at = clock_timestamp(), withdrawn_why = 'window'
     from version t where t.id = any ($1::uuid[]) and v.file_id = t.file_id and v.number <= t.number and v.state = 'published' and v.id = any ($2::uuid[])
       and not exists (select 1 from version o where o.file_id = t.file_id and o.number < t.number and o.state = 'published' and o.id <> all ($2::uuid[]))
     returning v.id, v.customer_id`,
    [due.map((row) => row.id), held],
  );
  return rows.map(shape);
}

/**
 * Finds withdrawn versions whose retention has ended and that are under no hold, the oldest first. A folder that is
 * under a hold as a whole is not looked into.
 */
export async function findRetentionsOver(tx: Transaction, limit: number): Promise<readonly string[]> {
  const rows = await tx.query<{ id: string }>(
    `with over as materialized (select fo.id as folder, ${now} - ${retentionEnd} as since from folder fo where not ${folderIsHeld})
     select v.id from over cross join lateral (
       select v.id, v.published_at from version v
       where v.folder_id = over.folder and v.state = 'withdrawn' and v.published_at <= over.since and not ${versionIsHeld}
       order by v.published_at limit $1) v
     order by v.published_at limit $1`,
    [limit],
  );
  return rows.map((row) => row.id);
}

/**
 * Marks those of the versions that are still due as destroyed, and wipes the keys of their contents. The extents are
 * left to another pass. A hold that is being placed is waited for, and protects its versions.
 */
export async function destroyDue(tx: Transaction, ids: readonly string[]): Promise<readonly Left[]> {
  const rows = await tx.query<RawLeft & { readonly content_id: string }>(
    `update version v set state = 'destroyed'
     from folder fo where fo.id = v.folder_id and v.id = any ($1::uuid[]) and ${retentionIsOver} and not is_held(v)
     returning v.id, v.customer_id, v.content_id`,
    [await lockVersions(tx, ids)],
  );
  const contents = rows.map((row) => row.content_id);
  await tx.query("update content set wrapped_key = '', destroyed_at = clock_timestamp() where id = any ($1::uuid[])", [
    contents,
  ]);
  await tx.query('insert into doomed_content (content_id) select unnest($1::uuid[])', [contents]);
  return rows.map(shape);
}

/** Finds contents whose key was destroyed and whose extents are still there, the oldest first. */
export async function findDoomedContents(tx: Transaction, limit: number): Promise<readonly string[]> {
  const rows = await tx.query<{ content_id: string }>('select content_id from doomed_content order by since limit $1', [
    limit,
  ]);
  return rows.map((row) => row.content_id);
}

/**
 * Deletes the rows of up to `limit` extents of these contents, marks their objects for deletion, and forgets the
 * contents that have no extents left.
 */
export async function deleteDoomedExtents(tx: Transaction, ids: readonly string[], limit: number): Promise<void> {
  const held = await tx.query<{ content_id: string }>(
    'select content_id from doomed_content where content_id = any ($1::uuid[]) order by content_id for update skip locked',
    [ids],
  );
  const contents = held.map((row) => row.content_id);
  await tx.query(
    `with chosen as (select content_id, index from extent where content_id = any ($1::uuid[]) limit $2),
     gone as (delete from extent e using chosen c where e.content_id = c.content_id and e.index = c.index returning e.object_id, e.inline)
     insert into doomed_object (object_id) select object_id from gone where inline is null on conflict do nothing`,
    [contents, limit],
  );
  await tx.query(
    'delete from doomed_content d where d.content_id = any ($1::uuid[]) and not exists (select 1 from extent e where e.content_id = d.content_id)',
    [contents],
  );
}

export type HeldVersion = {
  readonly version: VersionId;
  readonly customer: CustomerId;
  readonly state: string;
  readonly isNewest: boolean;
};

/** How many names are tried, while a version is being renamed, before `conflict` is thrown. */
const namesMax = 5;

/**
 * Locks the file (the name) of a version, so that nobody can rename the version until the transaction ends. If a rename
 * that was waited for has moved the version, its new name is locked, too.
 */
async function lockNameOf(tx: Transaction, id: string): Promise<void> {
  const nameOf = async (): Promise<string | undefined> =>
    (await tx.query<{ file_id: string }>('select file_id from version where id = $1', [id]))[0]?.file_id;
  let name = await nameOf();
  for (let i = 0; i < namesMax && name !== undefined; i += 1) {
    await tx.query('select 1 from file where id = $1 for update', [name]);
    const now = await nameOf();
    if (now === name) return;
    name = now;
  }
  if (name !== undefined) throw new CofferdamError('conflict', 'the file is being renamed: try again');
}

/**
 * Locks one version, and says whether it is the newest of its name. The name is locked first, as by everybody who puts
 * a version there. Returns undefined when there is no such version.
 */
export async function lockVersion(tx: Transaction, id: string): Promise<HeldVersion | undefined> {
  await lockNameOf(tx, id);
  await tx.query('select 1 from version where id = $1 for update', [id]);
  const [row] = await tx.query<{ id: string; customer_id: string; state: string; is_newest: boolean }>(
    `select v.id, v.customer_id, v.state, not exists (select 1 from version n where n.file_id = v.file_id and n.number > v.number and n.state = 'published') as is_newest
     from version v where v.id = $1`,
    [id],
  );
  return (
    row && {
      version: idOf<VersionId>(row.id),
      customer: idOf<CustomerId>(row.customer_id),
      state: row.state,
      isNewest: row.is_newest,
    }
  );
}

/**
 * Returns what prevents a version from coming back under its name; undefined when nothing does. Its directory stays as
 * it is until the transaction ends.
 */
export async function whatIsInTheWay(
  tx: Transaction,
  version: VersionId,
): Promise<'directory-gone' | 'name-taken' | undefined> {
  const [found] = await tx.query<{ directory_id: string | null }>(
    'select f.directory_id from version v join file f on f.id = v.file_id where v.id = $1',
    [version],
  );
  const parent = found?.directory_id ?? null;
  const [held] =
    parent === null
      ? [{ is_gone: false }]
      : await tx.query<{ is_gone: boolean }>(
          'select removed_at is not null as is_gone from directory where id = $1 for share',
          [parent],
        );
  if (held === undefined || held.is_gone) return 'directory-gone';
  const taken = await tx.query(
    `select 1 from version v join file f on f.id = v.file_id
       join directory d on d.folder_id = f.folder_id and d.parent_id is not distinct from f.directory_id and d.name = f.name
     where v.id = $1 and d.removed_at is null`,
    [version],
  );
  return taken.length > 0 ? 'name-taken' : undefined;
}

export async function releaseVersion(tx: Transaction, version: VersionId, days: number): Promise<Date> {
  const [row] = await tx.query<{ until: Date }>(
    `update version set state = 'published', complete_reads = 0, withdrawn_at = null, withdrawn_why = null,
       released_until = clock_timestamp() + $2 * interval '1 day' where id = $1 returning released_until as until`,
    [version, days],
  );
  return row?.until ?? new Date(0);
}

export async function insertHold(
  tx: Transaction,
  hold: {
    readonly customer: CustomerId;
    readonly folder: FolderId | null;
    readonly version: VersionId | null;
    readonly reason: string;
    readonly by: string;
  },
): Promise<string> {
  const [row] = await tx.query<{ id: string }>(
    'insert into legal_hold (customer_id, folder_id, version_id, reason, placed_by) values ($1, $2, $3, $4, $5) returning id',
    [hold.customer, hold.folder, hold.version, hold.reason, hold.by],
  );
  return row?.id ?? '';
}

export async function liftHold(tx: Transaction, id: string, by: string): Promise<CustomerId | undefined> {
  const [row] = await tx.query<{ customer_id: string }>(
    'update legal_hold set lifted_by = $2, lifted_at = clock_timestamp() where id = $1 and lifted_at is null returning customer_id',
    [id, by],
  );
  return row && idOf<CustomerId>(row.customer_id);
}
