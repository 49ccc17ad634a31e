// Owns: the SQL of windows and retention: complete reads, what leaves the tree, what is destroyed, holds.
import { type AccountId, type CustomerId, type FolderId, idOf, type SessionId, type VersionId } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';
import { declareChange } from '../changes/declared.ts';

export type ReadHandle = { readonly download: string; readonly session: SessionId };
/** A handle of a customer on a folder that counts reads. */
export type CountedHandle = {
  readonly version: VersionId;
  readonly extentCount: number;
  readonly customer: CustomerId;
  readonly account: AccountId;
  readonly readsMax: number;
};

/** undefined: a read through it does not count. */
export async function findCountedHandle(tx: Transaction, { download, session }: ReadHandle): Promise<CountedHandle | undefined> {
  const [row] = await tx.query<{ id: string; extent_count: number; customer_id: string; account_id: string; reads_max: number }>(
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

/** How many extents of its version were released through a handle, by the record. Reads all entries of the session: for when nobody knows. */
export async function countReleased(tx: Transaction, { download, session }: ReadHandle): Promise<number> {
  const [row] = await tx.query<{ n: number }>(
    `select count(distinct l.extent) as n from download d join ledger l on l.session_id = d.session_id and l.version_id = d.version_id
     where d.id = $1 and d.session_id = $2 and l.at >= d.opened_at and l.kind = 'extent.granted'`,
    [download, session],
  );
  return row?.n ?? 0;
}

/** Counts a complete read and locks the version; the new count, or undefined when it is no longer published. */
export async function countCompleteRead(tx: Transaction, version: VersionId): Promise<number | undefined> {
  const [row] = await tx.query<{ complete_reads: number }>(
    "update version set complete_reads = complete_reads + 1 where id = $1 and state = 'published' returning complete_reads",
    [version],
  );
  return row?.complete_reads;
}

export type WithdrawalReason = 'window' | 'reads' | 'removed' | 'operator';

/** Takes a published version out of its tree, and the older ones that would come to light behind it. Empty when it was not there. */
export async function withdrawVersion(tx: Transaction, version: VersionId, why: WithdrawalReason): Promise<readonly VersionId[]> {
  const rows = await tx.query<{ id: string }>(
    `update version v set state = 'withdrawn', withdrawn_at = clock_timestamp(), withdrawn_why = $2
     from version t where t.id = $1 and t.state = 'published' and v.file_id = t.file_id and v.number <= t.number and v.state = 'published' returning v.id`,
    [version, why],
  );
  return rows.map((row) => idOf<VersionId>(row.id));
}

export type Left = { readonly version: VersionId; readonly customer: CustomerId };
type RawLeft = { readonly id: string; readonly customer_id: string };
const shape = (row: RawLeft): Left => ({ version: idOf<VersionId>(row.id), customer: idOf<CustomerId>(row.customer_id) });

/** Published versions whose window (or release) is over. */
export async function withdrawDue(tx: Transaction, limit: number): Promise<readonly Left[]> {
  const rows = await tx.query<RawLeft>(
    `update version set state = 'withdrawn', withdrawn_at = clock_timestamp(), withdrawn_why = 'window'
     where id in (select v.id from version v join file f on f.id = v.file_id join folder fo on fo.id = f.folder_id
       where v.state = 'published' and coalesce(v.released_until, v.published_at + coalesce(fo.window_days, fo.retention_days) * interval '1 day') <= clock_timestamp()
       order by v.published_at limit $1 for update of v skip locked)
     returning id, customer_id`,
    [limit],
  );
  return rows.map(shape);
}

/** Withdrawn versions whose retention has ended and on which no hold lies. */
export async function destroyDue(tx: Transaction, limit: number): Promise<readonly Left[]> {
  const rows = await tx.query<RawLeft>(
    `update version set state = 'destroyed'
     where id in (select v.id from version v join file f on f.id = v.file_id join folder fo on fo.id = f.folder_id
       where v.state = 'withdrawn' and v.published_at + fo.retention_days * interval '1 day' <= clock_timestamp()
         and not exists (select 1 from legal_hold h where h.lifted_at is null and h.customer_id = v.customer_id
           and (h.folder_id is null or h.folder_id = fo.id) and (h.version_id is null or h.version_id = v.id))
       order by v.published_at limit $1 for update of v skip locked)
     returning id, customer_id`,
    [limit],
  );
  return rows.map(shape);
}

/** Contents of destroyed versions: their keys go now, their extents' rows too, their objects are doomed. */
export async function destroyKeys(tx: Transaction, limit: number): Promise<number> {
  const rows = await tx.query<{ id: string }>(
    `update content c set wrapped_key = '', destroyed_at = clock_timestamp()
     where c.destroyed_at is null and c.id in (select v.content_id from version v join content n on n.id = v.content_id where v.state = 'destroyed' and n.destroyed_at is null limit $1)
     returning c.id`,
    [limit],
  );
  const ids = rows.map((row) => row.id);
  if (ids.length > 0)
    await tx.query(
      `with gone as (delete from extent where content_id = any ($1::uuid[]) returning object_id, inline)
       insert into doomed_object (object_id) select object_id from gone where inline is null on conflict do nothing`,
      [ids],
    );
  return ids.length;
}

export type HeldVersion = {
  readonly version: VersionId;
  readonly customer: CustomerId;
  readonly state: string;
  readonly isNewest: boolean;
};

/** One version, locked; whether a newer one stands in its place. */
export async function lockVersion(tx: Transaction, id: string): Promise<HeldVersion | undefined> {
  const [row] = await tx.query<{ id: string; customer_id: string; state: string; is_newest: boolean }>(
    `select v.id, v.customer_id, v.state, not exists (select 1 from version n where n.file_id = v.file_id and n.number > v.number and n.state = 'published') as is_newest
     from version v where v.id = $1 for update`,
    [id],
  );
  return (
    row && { version: idOf<VersionId>(row.id), customer: idOf<CustomerId>(row.customer_id), state: row.state, isNewest: row.is_newest }
  );
}

export async function releaseVersion(tx: Transaction, version: VersionId, days: number): Promise<Date> {
  const [row] = await tx.query<{ until: Date }>(
    `update version set state = 'published', complete_reads = 0, withdrawn_at = null, withdrawn_why = null,
       released_until = clock_timestamp() + $2 * interval '1 day' where id = $1 returning released_until as until`,
    [version, days],
  );
  return row?.until ?? new Date(0);
}

export type FolderWindow = {
  readonly id: FolderId;
  readonly customer: CustomerId;
  readonly windowDays: number | null;
  readonly readsMax: number | null;
  readonly retentionDays: number | null;
};

export async function lockFolder(tx: Transaction, customer: string, folder: string): Promise<FolderWindow | undefined> {
  const [row] = await tx.query<{
    id: string;
    customer_id: string;
    window_days: number | null;
    reads_max: number | null;
    retention_days: number | null;
  }>(
    `select f.id, f.customer_id, f.window_days, f.reads_max, f.retention_days from folder f join customer c on c.id = f.customer_id
     where c.name = $1 and f.name = $2 for update of f`,
    [customer, folder],
  );
  return (
    row && {
      id: idOf<FolderId>(row.id),
      customer: idOf<CustomerId>(row.customer_id),
      windowDays: row.window_days,
      readsMax: row.reads_max,
      retentionDays: row.retention_days,
    }
  );
}

export async function writeFolder(tx: Transaction, folder: FolderWindow): Promise<void> {
  await declareChange(tx, [{ kind: 'folder', id: folder.id }], {
    window_days: folder.windowDays,
    reads_max: folder.readsMax,
    retention_days: folder.retentionDays,
  });
  await tx.query('update folder set window_days = $2, reads_max = $3, retention_days = $4 where id = $1', [
    folder.id,
    folder.windowDays,
    folder.readsMax,
    folder.retentionDays,
  ]);
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
