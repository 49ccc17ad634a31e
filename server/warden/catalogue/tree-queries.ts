// Owns: the SQL of the catalogue: directories, files, and versions as a session may see them.
import {
  type AccountId,
  type ContentId,
  type CustomerId,
  type DirectoryId,
  type FileId,
  type FolderId,
  idOf,
  type SessionId,
  type VersionId,
} from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';

export type VersionState = 'partial' | 'held' | 'settling' | 'published' | 'withdrawn' | 'discarded' | 'destroyed';
export type VersionRow = {
  readonly id: VersionId;
  readonly number: number;
  readonly state: VersionState;
  readonly account: AccountId;
  readonly content: ContentId;
  readonly size: number;
  readonly extentCount: number;
  readonly modifiedAt: Date;
  readonly firstReadAt: Date | null;
  /** The SHA-256 of the content; null while the file is not whole. */
  readonly sha256: Buffer | null;
  /** True while the version rewrites or continues another version. */
  readonly hasBase: boolean;
  /** The upload that may write to the version now, and its session; null when nobody has it open. */
  readonly writer: { readonly upload: string; readonly session: SessionId } | null;
};
type Entry = {
  readonly name: string;
  readonly kind: 'directory' | 'file';
  readonly size: number;
  readonly modifiedAt: Date;
};

const versionColumns =
  'v.id, v.number, v.state, v.account_id, v.content_id, v.size, v.extent_count, v.modified_at, v.first_read_at, v.sha256, v.base_version_id is not null as has_base, v.upload_id, v.session_id';
type RawVersion = {
  readonly id: string;
  readonly number: number;
  readonly state: VersionState;
  readonly account_id: string;
  readonly content_id: string;
  readonly size: number;
  readonly extent_count: number;
  readonly modified_at: Date;
  readonly first_read_at: Date | null;
  readonly sha256: Buffer | null;
  readonly has_base: boolean;
  readonly upload_id: string | null;
  readonly session_id: string;
};
const shapeVersion = (row: RawVersion): VersionRow => ({
  id: idOf<VersionId>(row.id),
  number: row.number,
  state: row.state,
  account: idOf<AccountId>(row.account_id),
  content: idOf<ContentId>(row.content_id),
  size: row.size,
  extentCount: row.extent_count,
  modifiedAt: row.modified_at,
  firstReadAt: row.first_read_at,
  sha256: row.sha256,
  hasBase: row.has_base,
  writer: row.upload_id === null ? null : { upload: row.upload_id, session: idOf<SessionId>(row.session_id) },
});

/**
 * Returns the condition "in this directory or, with null, in the folder itself" in a form that an index can serve,
 * because a comparison with null by `=` is never true.
 */
const inParent = (column: string, parent: DirectoryId | null, parameter: string): string =>
  parent === null ? `${column} is null and ${parameter}::uuid is null` : `${column} = ${parameter}`;
/**
 * Returns the condition for the versions that an account may know of: everything published, and its own uploads before
 * that.
 */
const visible = (account: string): string =>
  `(v.state = 'published' or (v.account_id = ${account} and v.state in ('partial', 'held', 'settling')))`;

/**
 * Where an account finds a file in its folder: in its `place`, or in its `archive` once it is done with the newest
 * version that it may know of.
 */
export type View = 'place' | 'archive';
/** Returns the condition that an account finds version `v` in the view that a parameter names. */
const foundIn = (parameter: string, account: string): string =>
  `(v.state = 'published' and exists (select 1 from done_file d where d.account_id = ${account} and d.version_id = v.id)) = (${parameter}::text = 'archive')`;

export async function findDirectory(
  tx: Transaction,
  folder: FolderId,
  parent: DirectoryId | null,
  name: string,
): Promise<DirectoryId | undefined> {
  const [row] = await tx.query<{ id: string }>(
    `select id from directory where folder_id = $1 and ${inParent('parent_id', parent, '$2')} and name = $3 and removed_at is null`,
    [folder, parent, name],
  );
  return row && idOf<DirectoryId>(row.id);
}

/**
 * Like `findDirectory`, but the directory stays where it is until the transaction ends: whoever removes a directory
 * locks its row first, and then sees what was put into it.
 */
export async function holdDirectory(
  tx: Transaction,
  folder: FolderId,
  parent: DirectoryId | null,
  name: string,
): Promise<DirectoryId | undefined> {
  const [row] = await tx.query<{ id: string }>(
    `select id from directory where folder_id = $1 and ${inParent('parent_id', parent, '$2')} and name = $3 and removed_at is null for share`,
    [folder, parent, name],
  );
  return row && idOf<DirectoryId>(row.id);
}

export async function directoryModifiedAt(tx: Transaction, id: DirectoryId): Promise<Date | undefined> {
  const [row] = await tx.query<{ modified_at: Date }>('select modified_at from directory where id = $1', [id]);
  return row?.modified_at;
}

export async function findFile(
  tx: Transaction,
  folder: FolderId,
  parent: DirectoryId | null,
  name: string,
): Promise<FileId | undefined> {
  const [row] = await tx.query<{ id: string }>(
    `select id from file where folder_id = $1 and ${inParent('directory_id', parent, '$2')} and name = $3`,
    [folder, parent, name],
  );
  return row && idOf<FileId>(row.id);
}

/** Returns the row of a file, which is created if it does not exist. The row is locked until the transaction ends. */
export async function lockFile(
  tx: Transaction,
  customer: CustomerId,
  folder: FolderId,
  parent: DirectoryId | null,
  name: string,
  id: FileId,
): Promise<FileId> {
  const [made] = await tx.query<{ id: string }>(
    'insert into file (id, customer_id, folder_id, directory_id, name) values ($1, $2, $3, $4, $5) on conflict do nothing returning id',
    [id, customer, folder, parent, name],
  );
  if (made !== undefined) return id;
  const [row] = await tx.query<{ id: string }>(
    `select id from file where folder_id = $1 and ${inParent('directory_id', parent, '$2')} and name = $3 for update`,
    [folder, parent, name],
  );
  return row === undefined ? lockFile(tx, customer, folder, parent, name, id) : idOf<FileId>(row.id);
}

/** Locks the row of a file. Returns undefined when the file does not exist. */
export async function lockExistingFile(
  tx: Transaction,
  folder: FolderId,
  parent: DirectoryId | null,
  name: string,
): Promise<FileId | undefined> {
  const [row] = await tx.query<{ id: string }>(
    `select id from file where folder_id = $1 and ${inParent('directory_id', parent, '$2')} and name = $3 for update`,
    [folder, parent, name],
  );
  return row && idOf<FileId>(row.id);
}

/** Returns the newest version that the account may know of, when it finds it in this view. */
export async function visibleVersion(
  tx: Transaction,
  file: FileId,
  account: AccountId,
  view: View = 'place',
): Promise<VersionRow | undefined> {
  const [row] = await tx.query<RawVersion>(
    `select ${versionColumns} from (select * from version v where v.file_id = $1 and ${visible('$2')} order by v.number desc limit 1) v where ${foundIn('$3', '$2')}`,
    [file, account, view],
  );
  return row && shapeVersion(row);
}

export async function newestPublished(tx: Transaction, file: FileId): Promise<VersionRow | undefined> {
  const [row] = await tx.query<RawVersion>(
    `select ${versionColumns} from version v where v.file_id = $1 and v.state = 'published' order by v.number desc limit 1`,
    [file],
  );
  return row && shapeVersion(row);
}

/** Locks and returns all versions that are unpublished or published, the newest first. There are few of them. */
export async function liveVersions(tx: Transaction, file: FileId): Promise<readonly VersionRow[]> {
  const rows = await tx.query<RawVersion>(
    `select ${versionColumns} from version v where v.file_id = $1 and v.state in ('partial', 'held', 'settling', 'published') order by v.number desc for update of v`,
    [file],
  );
  return rows.map(shapeVersion);
}

export async function nextNumber(tx: Transaction, file: FileId): Promise<number> {
  const [row] = await tx.query<{ next: number }>(
    'select coalesce(max(number), 0) + 1 as next from version where file_id = $1',
    [file],
  );
  return row?.next ?? 1;
}

/**
 * Returns one page of directories and files together, in the order of their names (byte order of UTF-8). The archive of
 * an account has the directories of the folder.
 */
export async function listEntries(
  tx: Transaction,
  { folder, parent, view }: { readonly folder: FolderId; readonly parent: DirectoryId | null; readonly view: View },
  account: AccountId,
  after: string,
  limit: number,
): Promise<readonly Entry[]> {
  const rows = await tx.query<{ name: string; kind: 'directory' | 'file'; size: number; modified_at: Date }>(
    `(select d.name, 'directory' as kind, 0::bigint as size, d.modified_at from directory d
        where d.folder_id = $1 and ${inParent('d.parent_id', parent, '$2')} and d.name > $4 and d.removed_at is null order by d.name limit $5)
     union all
     (select f.name, 'file' as kind, v.size, v.modified_at from file f
        cross join lateral (select v.id, v.state, v.size, v.modified_at from version v where v.file_id = f.id and ${visible('$3')} order by v.number desc limit 1) v
        where f.folder_id = $1 and ${inParent('f.directory_id', parent, '$2')} and f.name > $4 and ${foundIn('$6', '$3')} order by f.name limit $5)
     order by name limit $5`,
    [folder, parent, account, after, limit, view],
  );
  return rows.map((row) => ({ name: row.name, kind: row.kind, size: row.size, modifiedAt: row.modified_at }));
}

/**
 * Counts the directories in a folder, up to `max`. Nobody else can make a directory there until the transaction ends.
 */
export async function countDirectories(tx: Transaction, folder: FolderId, max: number): Promise<number> {
  await tx.query('select 1 from folder where id = $1 for no key update', [folder]);
  const [row] = await tx.query<{ n: number }>(
    'select count(*) as n from (select 1 from directory where folder_id = $1 and removed_at is null limit $2) d',
    [folder, max],
  );
  return row?.n ?? max;
}

export async function insertDirectory(
  tx: Transaction,
  id: DirectoryId,
  customer: CustomerId,
  folder: FolderId,
  parent: DirectoryId | null,
  name: string,
): Promise<boolean> {
  const rows = await tx.query(
    'insert into directory (id, customer_id, folder_id, parent_id, name) values ($1, $2, $3, $4, $5) on conflict do nothing returning id',
    [id, customer, folder, parent, name],
  );
  return rows.length === 1;
}

/** Returns whether the directory holds anything that somebody could still see or finish. */
export async function isOccupied(tx: Transaction, directory: DirectoryId): Promise<boolean> {
  const [row] = await tx.query<{ occupied: boolean }>(
    `select exists (select 1 from directory where parent_id = $1 and removed_at is null)
       or exists (select 1 from file f join version v on v.file_id = f.id where f.directory_id = $1 and v.state in ('partial', 'held', 'settling', 'published')) as occupied`,
    [directory],
  );
  return row?.occupied ?? true;
}

/** Locks the row of a directory, so that nothing can be put into it meanwhile (the row of a new file refers to it). */
export async function lockDirectory(tx: Transaction, directory: DirectoryId): Promise<void> {
  await tx.query('select 1 from directory where id = $1 for update', [directory]);
}

export async function removeDirectory(tx: Transaction, directory: DirectoryId): Promise<void> {
  await tx.query('update directory set removed_at = clock_timestamp() where id = $1', [directory]);
}

export async function setVersionState(
  tx: Transaction,
  version: VersionId,
  state: VersionState,
  settleMs: number | null,
): Promise<void> {
  await tx.query(
    `update version set state = $2, published_at = case when $2 = 'published' then clock_timestamp() else published_at end,
       publish_at = case when $2 = 'settling' then clock_timestamp() + $3 * interval '1 millisecond' else null end,
       upload_id = case when $2 in ('discarded', 'withdrawn') then null else upload_id end
     where id = $1`,
    [version, state, settleMs],
  );
}

/** Withdraws all published versions, so that no older one becomes visible in the place of the newest. */
export async function withdrawPublished(tx: Transaction, file: FileId): Promise<readonly VersionId[]> {
  const rows = await tx.query<{ id: string }>(
    "update version set state = 'withdrawn', withdrawn_at = clock_timestamp(), withdrawn_why = 'removed' where file_id = $1 and state = 'published' returning id",
    [file],
  );
  return rows.map((row) => idOf<VersionId>(row.id));
}

/** Moves a version below another name. A receipt that names its path is replaced by the one that names the new path. */
export async function moveVersion(
  tx: Transaction,
  version: VersionId,
  to: { readonly file: FileId; readonly number: number; readonly receipt: string | null },
): Promise<void> {
  await tx.query('update version set file_id = $2, number = $3, receipt = $4 where id = $1', [
    version,
    to.file,
    to.number,
    to.receipt,
  ]);
}

export async function deleteFileIfBare(tx: Transaction, file: FileId): Promise<void> {
  await tx.query('delete from file f where f.id = $1 and not exists (select 1 from version v where v.file_id = f.id)', [
    file,
  ]);
}

export async function setModifiedAt(tx: Transaction, version: VersionId, epochSeconds: number): Promise<void> {
  await tx.query('update version set modified_at = to_timestamp($2) where id = $1', [version, epochSeconds]);
}
