// Owns: the SQL of the regular passes over files: publishing versions that are due, giving up expired uploads, and
// collecting what is no longer needed.
// Must never: decide by what was seen before a lock was waited for. Rows are found without a lock, then locked, and
// then checked again. A search reads what is due, and not what exists.
import {
  type AccountId,
  type CustomerId,
  type FileId,
  idOf,
  type ObjectId,
  type SessionId,
  type VersionId,
} from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';
import { now } from '../../postgres/now.ts';
import { folderIsHeld, lockVersions, versionIsHeld } from '../versions/version-queries.ts';

export type Swept = {
  readonly version: VersionId;
  readonly file: FileId;
  readonly customer: CustomerId;
  readonly account: AccountId;
  readonly session: SessionId;
};
type Raw = {
  readonly id: string;
  readonly file_id: string;
  readonly customer_id: string;
  readonly account_id: string;
  readonly session_id: string;
};
const shape = (row: Raw): Swept => ({
  version: idOf<VersionId>(row.id),
  file: idOf<FileId>(row.file_id),
  customer: idOf<CustomerId>(row.customer_id),
  account: idOf<AccountId>(row.account_id),
  session: idOf<SessionId>(row.session_id),
});

const returned = 'v.id, v.file_id, v.customer_id, v.account_id, v.session_id';
const idsOf = (rows: readonly { readonly id: string }[]): readonly string[] => rows.map((row) => row.id);

const isDue = `v.state = 'settling' and v.publish_at <= ${now}
  and not exists (select 1 from version p where p.file_id = v.file_id and p.number > v.number and p.state = 'partial')`;

/** Finds versions that have settled and are not being continued. */
export async function findDue(tx: Transaction, limit: number): Promise<readonly string[]> {
  return idsOf(
    await tx.query<{ id: string }>(`select v.id from version v where ${isDue} order by v.publish_at limit $1`, [limit]),
  );
}

export async function publishDue(tx: Transaction, ids: readonly string[]): Promise<readonly Swept[]> {
  const rows = await tx.query<Raw>(
    `update version v set state = 'published', published_at = clock_timestamp(), publish_at = null
     where v.id = any ($1::uuid[]) and ${isDue} returning ${returned}`,
    [await lockVersions(tx, ids)],
  );
  return rows.map(shape);
}

const isExpired = `v.state = 'partial' and v.upload_id is null and coalesce(v.let_go_at, v.opened_at) < ${now} - $2 * interval '1 millisecond'
  and not exists (select 1 from version p where p.base_version_id = v.id and p.state = 'partial')`;

/**
 * Finds partial uploads that no handle holds, that nothing goes on from, and that were let go at least `lifeMs`
 * milliseconds ago.
 */
export async function findExpired(tx: Transaction, lifeMs: number, limit: number): Promise<readonly string[]> {
  return idsOf(
    await tx.query<{ id: string }>(
      `select v.id from version v where ${isExpired} order by coalesce(v.let_go_at, v.opened_at) limit $1`,
      [limit, lifeMs],
    ),
  );
}

export async function discardExpired(
  tx: Transaction,
  ids: readonly string[],
  lifeMs: number,
): Promise<readonly Swept[]> {
  const rows = await tx.query<Raw>(
    `update version v set state = 'discarded', upload_id = null where v.id = any ($1::uuid[]) and ${isExpired} returning ${returned}`,
    [await lockVersions(tx, ids), lifeMs],
  );
  return rows.map(shape);
}

/**
 * Turns versions with a receipt that waited below an upload that was given up into held ones. They are kept as they are
 * and are not published automatically, because their sender had begun to send more.
 */
export async function giveBack(tx: Transaction, files: readonly FileId[]): Promise<readonly Swept[]> {
  if (files.length === 0) return [];
  const rows = await tx.query<Raw>(
    `update version v set state = 'held', publish_at = null
     where v.file_id = any ($1::uuid[]) and v.state in ('held', 'settling')
       and not exists (select 1 from version p where p.file_id = v.file_id and p.number > v.number and p.state = 'partial') returning ${returned}`,
    [files],
  );
  return rows.map(shape);
}

const isWaiting = `v.state = 'settling' and v.waits_since < ${now} - $2 * interval '1 millisecond'
  and exists (select 1 from folder f where f.id = v.folder_id and v.waits_since < ${now} - ($2 + f.settle_ms) * interval '1 millisecond')`;

/**
 * Finds files with a receipt that have been kept from being delivered for `longMs` milliseconds beyond their time to
 * settle, and that were not reported during that time.
 */
export async function findWaiting(tx: Transaction, longMs: number, limit: number): Promise<readonly string[]> {
  return idsOf(
    await tx.query<{ id: string }>(`select v.id from version v where ${isWaiting} order by v.waits_since limit $1`, [
      limit,
      longMs,
    ]),
  );
}

/**
 * Marks those of the files that are still waiting as reported, and returns them. A file that waits as long again is
 * reported again.
 */
export async function takeWaiting(tx: Transaction, ids: readonly string[], longMs: number): Promise<readonly Swept[]> {
  const rows = await tx.query<Raw>(
    `update version v set waits_since = clock_timestamp() where v.id = any ($1::uuid[]) and ${isWaiting} returning ${returned}`,
    [await lockVersions(tx, ids), longMs],
  );
  return rows.map(shape);
}

const isUnused = `v.state = 'discarded' and v.extent_count > 0`;

/** Finds discarded versions that have extents. Those that had a receipt and are under a hold are left out. */
export async function findUnused(tx: Transaction, limit: number): Promise<readonly string[]> {
  return idsOf(
    await tx.query<{ id: string }>(
      `with open as materialized (select fo.id from folder fo where not ${folderIsHeld})
       (select v.id from version v where ${isUnused} and v.receipt is null limit $1)
       union all
       (select v.id from open fo cross join lateral (
          select v.id from version v where v.folder_id = fo.id and ${isUnused} and v.receipt is not null and not ${versionIsHeld} limit $1) v
        limit $1)
       limit $1`,
      [limit],
    ),
  );
}

/**
 * Deletes the rows of up to `limit` extents of discarded versions and, in the same statement, marks their objects for
 * deletion. A hold that is being placed is waited for, and protects its versions.
 */
export async function doomUnused(tx: Transaction, ids: readonly string[], limit: number): Promise<void> {
  const held = await lockVersions(tx, ids);
  await tx.query(
    `with unused as (
       select e.content_id, e.index from version v join extent e on e.content_id = v.content_id
       where v.id = any ($1::uuid[]) and ${isUnused} and (v.receipt is null or not is_held(v)) limit $2),
     gone as (delete from extent e using unused u where e.content_id = u.content_id and e.index = u.index returning e.object_id, e.inline)
     insert into doomed_object (object_id) select object_id from gone where inline is null on conflict do nothing`,
    [held, limit],
  );
  await tx.query(
    `update version v set extent_count = 0 where v.id = any ($1::uuid[]) and ${isUnused}
       and not exists (select 1 from extent e where e.content_id = v.content_id)`,
    [held],
  );
}

export async function listDoomed(tx: Transaction, limit: number): Promise<readonly string[]> {
  const rows = await tx.query<{ object_id: string }>('select object_id from doomed_object order by since limit $1', [
    limit,
  ]);
  return rows.map((row) => row.object_id);
}

export async function forgetDoomed(tx: Transaction, objects: readonly string[]): Promise<void> {
  await tx.query('delete from doomed_object where object_id = any ($1::text[])', [objects]);
}

/** Takes back these objects: none of them can be sealed any more. Waits for a seal that is under way. */
export async function takePending(tx: Transaction, objects: readonly ObjectId[]): Promise<void> {
  await tx.query('delete from pending_extent where object_id = any ($1::text[])', [objects]);
}

/** Returns those of the objects that are sealed. An extent in its row leaves nothing in the store under its name. */
export async function sealedAmong(tx: Transaction, objects: readonly ObjectId[]): Promise<ReadonlySet<ObjectId>> {
  const rows = await tx.query<{ object_id: string }>(
    'select object_id from extent where object_id = any ($1::text[]) and inline is null',
    [objects],
  );
  return new Set(rows.map((row) => idOf<ObjectId>(row.object_id)));
}

/** Returns those of the objects that a row still needs, because they are sealed or are being written now. */
export async function knownObjects(tx: Transaction, objects: readonly ObjectId[]): Promise<ReadonlySet<ObjectId>> {
  const rows = await tx.query<{ object_id: string }>(
    'select object_id from extent where object_id = any ($1::text[]) and inline is null union select object_id from pending_extent where object_id = any ($1::text[])',
    [objects],
  );
  return new Set(rows.map((row) => idOf<ObjectId>(row.object_id)));
}

/** Deletes issued extents whose upload no longer exists, so that nobody will seal them. */
export async function forgetAbandonedPending(tx: Transaction): Promise<void> {
  await tx.query(
    "delete from pending_extent p where p.created_at < clock_timestamp() - interval '1 minute' and not exists (select 1 from version v where v.upload_id = p.upload_id)",
  );
}
