// Owns: the SQL of what several folders of the warden do to a version: locking it, counting its complete reads, and
// withdrawing it.
import { type AccountId, type CustomerId, idOf, type SessionId, type VersionId } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';

/**
 * Locks those of the versions that nobody else works on. What the next statement finds about them stays so until the
 * transaction ends.
 */
export async function lockVersions(tx: Transaction, ids: readonly string[]): Promise<readonly string[]> {
  const rows = await tx.query<{ id: string }>(
    'select v.id from version v where v.id = any ($1::uuid[]) order by v.id for update skip locked',
    [ids],
  );
  return rows.map((row) => row.id);
}

/**
 * Conditions of a pass that finds versions: that a hold lies on version `v` by itself; and that one lies on folder `fo`
 * with everything in it, or on the whole customer. These conditions do not wait for a hold that is being placed;
 * `is_held` is checked after the version is locked.
 */
export const versionIsHeld = 'exists (select 1 from legal_hold h where h.lifted_at is null and h.version_id = v.id)';
export const folderIsHeld = `exists (select 1 from legal_hold h where h.lifted_at is null and h.version_id is null
  and h.customer_id = fo.customer_id and (h.folder_id is null or h.folder_id = fo.id))`;

export type ReadHandle = { readonly download: string; readonly session: SessionId };

/** A handle, open or closed, of a customer's account on a published version in a folder that counts reads. */
type CountedHandle = {
  readonly version: VersionId;
  readonly extentCount: number;
  readonly customer: CustomerId;
  readonly account: AccountId;
  readonly readsMax: number;
};

/** Returns the handle when reads through it count; undefined otherwise. */
export async function findCountedHandle(
  tx: Transaction,
  { download, session }: ReadHandle,
): Promise<CountedHandle | undefined> {
  const [row] = await tx.query<{
    id: string;
    extent_count: number;
    customer_id: string;
    account_id: string;
    reads_max: number;
  }>(
    `select v.id, v.extent_count, v.customer_id, a.id as account_id, fo.reads_max
     from download d join version v on v.id = d.version_id join file f on f.id = v.file_id join folder fo on fo.id = f.folder_id
       join session s on s.id = d.session_id join account a on a.id = s.account_id
     where d.id = $1 and d.session_id = $2 and v.state = 'published' and fo.reads_max is not null and a.plane = 'partner'`,
    [download, session],
  );
  return (
    row && {
      version: idOf<VersionId>(row.id),
      extentCount: row.extent_count,
      customer: idOf<CustomerId>(row.customer_id),
      account: idOf<AccountId>(row.account_id),
      readsMax: row.reads_max,
    }
  );
}

/**
 * Returns, by the record, how many extents of its version were granted to a handle. Another handle of the same session
 * is another read. It reads all entries of the session, and is for the case that no caller knows the number.
 */
export async function countReleased(tx: Transaction, { download, session }: ReadHandle): Promise<number> {
  const [row] = await tx.query<{ n: number }>(
    `select count(distinct l.extent) as n from download d join ledger l on l.session_id = d.session_id and l.version_id = d.version_id and l.handle_id = d.id
     where d.id = $1 and d.session_id = $2 and l.at >= d.opened_at and l.kind = 'extent.granted'`,
    [download, session],
  );
  return row?.n ?? 0;
}

/**
 * Counts a complete read and locks the version. Returns the new count, or undefined when the version is no longer
 * published.
 */
export async function countCompleteRead(tx: Transaction, version: VersionId): Promise<number | undefined> {
  const [row] = await tx.query<{ complete_reads: number }>(
    "update version set complete_reads = complete_reads + 1 where id = $1 and state = 'published' returning complete_reads",
    [version],
  );
  return row?.complete_reads;
}

/** Where a version is: its folder's name, and the names below it. */
type VersionPlace = { readonly folder: string; readonly names: readonly string[]; readonly receipt: string | null };

/** Returns where each of the versions is, and its receipt. */
export async function placesOf(
  tx: Transaction,
  versions: readonly VersionId[],
): Promise<ReadonlyMap<VersionId, VersionPlace>> {
  const rows = await tx.query<VersionPlace & { id: string }>(
    `with recursive up as (
       select v.id as version_id, f.directory_id as id, array[f.name::text] as names
       from version v join file f on f.id = v.file_id where v.id = any ($1::uuid[])
       union all
       select up.version_id, d.parent_id, array[d.name::text] || up.names from up join directory d on d.id = up.id)
     select v.id, fo.name as folder, up.names, v.receipt
     from up join version v on v.id = up.version_id join folder fo on fo.id = v.folder_id where up.id is null`,
    [versions],
  );
  return new Map(rows.map(({ id, ...place }) => [idOf<VersionId>(id), place]));
}

type WithdrawalReason = 'window' | 'reads' | 'removed' | 'operator';

/**
 * Withdraws a published version, and with it the older ones that would otherwise become visible in its place. Returns
 * the ids of all that were withdrawn; none when it was not published.
 */
export async function withdrawVersion(
  tx: Transaction,
  version: VersionId,
  why: WithdrawalReason,
): Promise<readonly VersionId[]> {
  const rows = await tx.query<{ id: string }>(
    `update version v set state = 'withdrawn', withdrawn_at = clock_timestamp(), withdrawn_why = $2
     from version t where t.id = $1 and t.state = 'published' and v.file_id = t.file_id and v.number <= t.number and v.state = 'published' returning v.id`,
    [version, why],
  );
  return rows.map((row) => idOf<VersionId>(row.id));
}
