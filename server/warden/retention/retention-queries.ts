// Owns: the SQL of windows and retention: complete reads, the withdrawal and destruction of versions, and holds.
import { CofferdamError } from '../../domain/errors.ts';
import { type AccountId, type CustomerId, type FolderId, idOf, type SessionId, type VersionId } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';
import { declareChange, declareFound, type Purpose, type WritePurpose } from '../changes/declared.ts';
import { customerOfSelfTest } from '../self-test/self-test-queries.ts';
import { lockVersions } from '../transfers/sweep-queries.ts';

export type ReadHandle = { readonly download: string; readonly session: SessionId };
/** A handle that a customer's account has open in a folder that counts reads. */
export type CountedHandle = {
  readonly version: VersionId;
  readonly extentCount: number;
  readonly customer: CustomerId;
  readonly account: AccountId;
  readonly readsMax: number;
};

/** Returns the handle when reads through it count; undefined otherwise. */
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

export type WithdrawalReason = 'window' | 'reads' | 'removed' | 'operator';

/**
 * Withdraws a published version, and with it the older ones that would otherwise become visible in its place. Returns
 * nothing when it was not published.
 */
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

const windowIsOver = `v.state = 'published'
  and coalesce(v.released_until, v.published_at + coalesce(fo.window_days, fo.retention_days) * interval '1 day') <= clock_timestamp()`;
const retentionIsOver = `v.state = 'withdrawn' and v.published_at + fo.retention_days * interval '1 day' <= clock_timestamp()`;

/** Finds published versions whose window, or whose release by operators, is over. */
export async function findWindowsOver(tx: Transaction, limit: number): Promise<readonly string[]> {
  const rows = await tx.query<{ id: string }>(
    `select v.id from version v join folder fo on fo.id = v.folder_id where ${windowIsOver} order by v.published_at limit $1`,
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

/** Finds withdrawn versions whose retention has ended and that are under no hold. */
export async function findRetentionsOver(tx: Transaction, limit: number): Promise<readonly string[]> {
  const rows = await tx.query<{ id: string }>(
    `select v.id from version v join folder fo on fo.id = v.folder_id where ${retentionIsOver}
       and not exists (select 1 from legal_hold h where h.lifted_at is null and h.customer_id = v.customer_id
         and (h.folder_id is null or h.folder_id = fo.id) and (h.version_id is null or h.version_id = v.id))
     order by v.published_at limit $1`,
    [limit],
  );
  return rows.map((row) => row.id);
}

/**
 * Marks those of the versions that are still due as destroyed. A hold that is being placed is waited for, and protects
 * its versions.
 */
export async function destroyDue(tx: Transaction, ids: readonly string[]): Promise<readonly Left[]> {
  const rows = await tx.query<RawLeft>(
    `update version v set state = 'destroyed'
     from folder fo where fo.id = v.folder_id and v.id = any ($1::uuid[]) and ${retentionIsOver} and not is_held(v) returning v.id, v.customer_id`,
    [await lockVersions(tx, ids)],
  );
  return rows.map(shape);
}

/** Finds destroyed versions whose content still has its key. */
export async function findKeysLeft(tx: Transaction, limit: number): Promise<readonly string[]> {
  const rows = await tx.query<{ id: string }>(
    "select v.id from version v join content c on c.id = v.content_id where v.state = 'destroyed' and c.destroyed_at is null limit $1",
    [limit],
  );
  return rows.map((row) => row.id);
}

/**
 * Wipes the keys of the contents of destroyed versions, deletes the rows of their extents, and marks their objects for
 * deletion.
 */
export async function destroyKeys(tx: Transaction, ids: readonly string[]): Promise<void> {
  const rows = await tx.query<{ id: string }>(
    `update content c set wrapped_key = '', destroyed_at = clock_timestamp() from version v
     where v.content_id = c.id and v.id = any ($1::uuid[]) and v.state = 'destroyed' and c.destroyed_at is null returning c.id`,
    [await lockVersions(tx, ids)],
  );
  await tx.query(
    `with gone as (delete from extent where content_id = any ($1::uuid[]) returning object_id, inline)
     insert into doomed_object (object_id) select object_id from gone where inline is null on conflict do nothing`,
    [rows.map((row) => row.id)],
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
    row && { version: idOf<VersionId>(row.id), customer: idOf<CustomerId>(row.customer_id), state: row.state, isNewest: row.is_newest }
  );
}

/**
 * Returns what prevents a version from coming back under its name; undefined when nothing does. Its directory stays as
 * it is until the transaction ends.
 */
export async function whatIsInTheWay(tx: Transaction, version: VersionId): Promise<'directory-gone' | 'name-taken' | undefined> {
  const [place] = await tx.query<{ directory_id: string | null }>(
    'select f.directory_id from version v join file f on f.id = v.file_id where v.id = $1',
    [version],
  );
  const parent = place?.directory_id ?? null;
  const [held] =
    parent === null
      ? [{ is_gone: false }]
      : await tx.query<{ is_gone: boolean }>('select removed_at is not null as is_gone from directory where id = $1 for share', [parent]);
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

export type FolderWindow = {
  readonly id: FolderId;
  readonly customer: CustomerId;
  readonly windowDays: number | null;
  readonly readsMax: number | null;
  readonly retentionDays: number | null;
};

export async function lockFolder(tx: Transaction, customer: string, folder: string, purpose: Purpose): Promise<FolderWindow | undefined> {
  const found = await tx.query<{ id: string }>(
    `select f.id from folder f join customer c on c.id = f.customer_id where c.name = $1 and f.name = $2 and not ${customerOfSelfTest}`,
    [customer, folder],
  );
  const [row] = await tx.query<{
    id: string;
    customer_id: string;
    window_days: number | null;
    reads_max: number | null;
    retention_days: number | null;
  }>('select id, customer_id, window_days, reads_max, retention_days from folder where id = $1 and name = $2 for update', [
    found[0]?.id,
    folder,
  ]);
  if (row === undefined) return undefined;
  await declareFound(tx, purpose, { kind: 'customer', id: row.customer_id }, { name: customer });
  const facts = { name: folder, customer_id: row.customer_id };
  const said = (await declareFound<typeof row>(tx, purpose, { kind: 'folder', id: row.id }, facts)) ?? row;
  return {
    id: idOf<FolderId>(row.id),
    customer: idOf<CustomerId>(row.customer_id),
    windowDays: said.window_days,
    readsMax: said.reads_max,
    retentionDays: said.retention_days,
  };
}

export async function writeFolder(tx: Transaction, folder: FolderWindow, purpose: WritePurpose): Promise<void> {
  const facts = { window_days: folder.windowDays, reads_max: folder.readsMax, retention_days: folder.retentionDays };
  await declareChange(tx, [{ kind: 'folder', id: folder.id }], facts, purpose);
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
