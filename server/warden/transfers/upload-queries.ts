// Owns: the SQL of uploads: contents, extents, and the version that is being written.
import {
  type AccountId,
  type ContentId,
  type CustomerId,
  type CustomerKeyId,
  type FileId,
  idOf,
  type NodeName,
  type ObjectId,
  type SessionId,
  type VersionId,
} from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { VersionRow, VersionState } from '../catalogue/tree-queries.ts';

export async function insertContent(
  tx: Transaction,
  content: ContentId,
  customer: CustomerId,
  key: CustomerKeyId,
  wrapped: Buffer,
): Promise<void> {
  await tx.query('insert into content (id, customer_id, customer_key_id, wrapped_key) values ($1, $2, $3, $4)', [
    content,
    customer,
    key,
    wrapped,
  ]);
}

type NewVersion = {
  readonly id: VersionId;
  readonly customer: CustomerId;
  readonly file: FileId;
  readonly content: ContentId;
  /** The version that this one goes on from or rewrites. Its bytes are read and written anew. */
  readonly base: VersionId | null;
  readonly account: AccountId;
  readonly session: SessionId;
  readonly node: NodeName;
  readonly upload: string;
  /** The MAC over what the session opened (`handle-seals.ts`). */
  readonly mac: Buffer;
};

/**
 * Inserts a version with a number above all others of its file. A transaction that inserts another one at the same time
 * waits for this one, by the row of the file, and may have to be repeated.
 */
export async function insertVersion(tx: Transaction, v: NewVersion): Promise<void> {
  await tx.query(
    `insert into version (id, customer_id, file_id, number, content_id, state, base_version_id, account_id, session_id, node, upload_id, upload_mac)
     select $1, $2, $3, coalesce(max(number), 0) + 1, $4, 'partial', $5, $6, $7, $8, $9, $10 from version where file_id = $3`,
    [v.id, v.customer, v.file, v.content, v.base, v.account, v.session, v.node, v.upload, v.mac],
  );
}

/**
 * Gives a partial version to another upload. The one that held it has lost it, and what was refused to that one no
 * longer counts.
 */
export async function takeOver(
  tx: Transaction,
  version: VersionRow,
  by: { readonly upload: string; readonly session: SessionId; readonly node: NodeName; readonly mac: Buffer },
): Promise<void> {
  await tx.query('delete from pending_extent where content_id = $1', [version.content]);
  await tx.query(
    'update version set upload_id = $2, session_id = $3, node = $4, upload_mac = $5, resumed_bytes = size, refused = null where id = $1',
    [version.id, by.upload, by.session, by.node, by.mac],
  );
}

/**
 * Separates an upload from its base. A base that is incomplete ends. `mac` covers what the upload is afterwards; it is
 * null when the upload is closed next.
 */
export async function cutBase(tx: Transaction, version: VersionId, base: VersionId, mac: Buffer | null): Promise<void> {
  await tx.query('update version set base_version_id = null, upload_mac = $2 where id = $1', [version, mac]);
  await tx.query("update version set state = 'discarded' where id = $1 and state = 'partial'", [base]);
}

/**
 * Discards the versions with a receipt that waited, unpublished, below a version that now replaces them. Returns which
 * they were.
 */
export async function discardWaiting(tx: Transaction, version: VersionId): Promise<readonly VersionId[]> {
  const rows = await tx.query<{ id: string }>(
    `update version v set state = 'discarded', publish_at = null from version n
     where n.id = $1 and v.file_id = n.file_id and v.number < n.number and v.state in ('held', 'settling') returning v.id`,
    [version],
  );
  return rows.map((row) => idOf<VersionId>(row.id));
}

/** Notes that something of this upload was refused. It cannot be closed any more, whatever an edge says. */
export async function markRefused(tx: Transaction, upload: string, session: SessionId, why: string): Promise<void> {
  await tx.query(
    "update version set refused = $3 where upload_id = $1 and session_id = $2 and state = 'partial' and refused is null",
    [upload, session, why],
  );
}

export type OpenUpload = {
  readonly version: VersionId;
  readonly customer: CustomerId;
  readonly content: ContentId;
  readonly customerKey: CustomerKeyId;
  readonly wrappedKey: Buffer;
  readonly file: FileId;
  readonly fileName: string;
  readonly size: number;
  readonly extentCount: number;
  readonly openedAt: Date;
  /** The MAC of the upload; null when nobody has sealed it. */
  readonly mac: Buffer | null;
  readonly base: UploadBase | null;
  readonly resumedBytes: number;
  readonly refused: string | null;
};
/**
 * The version that an upload rewrites or goes on from. `isReadable` says whether readers or its sender may still have
 * it.
 */
type UploadBase = {
  readonly version: VersionId;
  readonly content: ContentId;
  readonly size: number;
  readonly extentCount: number;
  readonly isReadable: boolean;
};

type RawUpload = {
  readonly id: string;
  readonly customer_id: string;
  readonly content_id: string;
  readonly customer_key_id: string;
  readonly wrapped_key: Buffer;
  readonly file_id: string;
  readonly name: string;
  readonly size: number;
  readonly extent_count: number;
  readonly opened_at: Date;
  readonly upload_mac: Buffer | null;
  readonly resumed_bytes: number;
  readonly refused: string | null;
  readonly base_id: string | null;
  readonly base_content_id: string;
  readonly base_size: number;
  readonly base_extent_count: number;
  readonly base_state: VersionState;
};

const shapeBase = (row: RawUpload, id: string): UploadBase => ({
  version: idOf<VersionId>(id),
  content: idOf<ContentId>(row.base_content_id),
  size: row.base_size,
  extentCount: row.base_extent_count,
  isReadable: ['partial', 'held', 'settling', 'published'].includes(row.base_state),
});

/**
 * Locks and returns the version that this upload of this session may write. The lock is taken by columns of the version
 * alone, so that the rest, which is read after it, shows a rename or withdrawal for which the lock waited.
 */
export async function lockUpload(tx: Transaction, upload: string, session: SessionId): Promise<OpenUpload | undefined> {
  const [held] = await tx.query<{ id: string }>(
    "select id from version where upload_id = $1 and session_id = $2 and state = 'partial' for update",
    [upload, session],
  );
  return held && readUpload(tx, idOf<VersionId>(held.id));
}

/** Returns the upload of a version whose row this transaction has written or locked. */
export async function readUpload(tx: Transaction, version: VersionId): Promise<OpenUpload | undefined> {
  const [row] = await tx.query<RawUpload>(
    `select v.id, v.customer_id, v.content_id, c.customer_key_id, c.wrapped_key, v.file_id, f.name, v.size, v.extent_count, v.opened_at, v.upload_mac,
       v.resumed_bytes, v.refused, b.id as base_id, b.content_id as base_content_id, b.size as base_size, b.extent_count as base_extent_count, b.state as base_state
     from version v join content c on c.id = v.content_id join file f on f.id = v.file_id left join version b on b.id = v.base_version_id
     where v.id = $1`,
    [version],
  );
  return (
    row && {
      version: idOf<VersionId>(row.id),
      customer: idOf<CustomerId>(row.customer_id),
      content: idOf<ContentId>(row.content_id),
      customerKey: idOf<CustomerKeyId>(row.customer_key_id),
      wrappedKey: row.wrapped_key,
      file: idOf<FileId>(row.file_id),
      fileName: row.name,
      size: row.size,
      extentCount: row.extent_count,
      openedAt: row.opened_at,
      mac: row.upload_mac,
      resumedBytes: row.resumed_bytes,
      refused: row.refused,
      base: row.base_id === null ? null : shapeBase(row, row.base_id),
    }
  );
}

/**
 * Finds the extent of the base that holds the byte at `offset`; none when the base was withdrawn, since it may not be
 * read any more.
 */
export function findBaseExtent(
  tx: Transaction,
  { base }: OpenUpload,
  offset: number,
): Promise<StoredExtent | undefined> {
  return base?.isReadable === true
    ? findExtentAt(tx, base.content, base.extentCount, offset)
    : Promise.resolve(undefined);
}

/** Discards the version of a marker that has done its work, and stores which upload closed it. */
export async function closeMarker(tx: Transaction, version: VersionId, upload: string): Promise<void> {
  await tx.query("update version set state = 'discarded', upload_id = null, closed_by_upload = $2 where id = $1", [
    version,
    upload,
  ]);
}

export async function findClosedBy(
  tx: Transaction,
  upload: string,
  account: AccountId,
): Promise<VersionId | undefined> {
  const [row] = await tx.query<{ id: string }>(
    'select id from version where closed_by_upload = $1 and account_id = $2',
    [upload, account],
  );
  return row && idOf<VersionId>(row.id);
}

/**
 * Reserves the next index for a new object; undefined when enough extents are begun. The caller must hold the lock of
 * the version.
 */
export async function insertPending(
  tx: Transaction,
  upload: OpenUpload | { readonly customer: CustomerId; readonly content: ContentId; readonly extentCount: number },
  uploadId: string,
  object: ObjectId,
  pendingMax: number,
): Promise<number | undefined> {
  const [row] = await tx.query<{ index: number }>(
    `insert into pending_extent (object_id, customer_id, content_id, index, upload_id)
     select $1, $2, $3, $4 + p.n, $5 from (select count(*) as n from pending_extent where upload_id = $5) p where p.n < $6 returning index`,
    [object, upload.customer, upload.content, upload.extentCount, uploadId, pendingMax],
  );
  return row?.index;
}

export async function deletePending(
  tx: Transaction,
  uploadId: string,
  object: ObjectId,
  index: number,
): Promise<boolean> {
  const rows = await tx.query(
    'delete from pending_extent where upload_id = $1 and object_id = $2 and index = $3 returning index',
    [uploadId, object, index],
  );
  return rows.length === 1;
}

/** Deletes the pending extents of an upload, none of which will be sealed any more. Returns which they were. */
export async function forgetPending(
  tx: Transaction,
  uploadId: string,
): Promise<readonly { readonly object: ObjectId; readonly index: number }[]> {
  const rows = await tx.query<{ object_id: string; index: number }>(
    'delete from pending_extent where upload_id = $1 returning object_id, index',
    [uploadId],
  );
  return rows.map((row) => ({ object: idOf<ObjectId>(row.object_id), index: row.index }));
}

export type NewExtent = {
  readonly index: number;
  readonly object: ObjectId;
  readonly bytes: number;
  readonly sealedBytes: number;
  readonly digest: Buffer;
  readonly inline: Buffer | null;
  readonly node: NodeName;
};

export async function insertExtent(tx: Transaction, upload: OpenUpload, extent: NewExtent): Promise<void> {
  await tx.query(
    `insert into extent (content_id, index, customer_id, object_id, start, bytes, sealed_bytes, digest, inline, node)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
    [
      upload.content,
      extent.index,
      upload.customer,
      extent.object,
      upload.size,
      extent.bytes,
      extent.sealedBytes,
      extent.digest,
      extent.inline,
      extent.node,
    ],
  );
  await tx.query('update version set extent_count = extent_count + 1, size = size + $2 where id = $1', [
    upload.version,
    extent.bytes,
  ]);
}

/**
 * Returns the digests of the content's first `count` extents, in their order, and the database's time in whole
 * milliseconds.
 */
export async function extentsAndTime(
  tx: Transaction,
  content: ContentId,
  count: number,
): Promise<{ readonly digests: readonly Buffer[]; readonly now: Date }> {
  const [row] = await tx.query<{ digests: readonly Buffer[]; now: Date }>(
    `select array(select digest from extent where content_id = $1 and index < $2 order by index) as digests,
       date_trunc('milliseconds', clock_timestamp()) as now`,
    [content, count],
  );
  if (row === undefined) throw new Error('the database has no time');
  return row;
}

type Closing = {
  readonly version: VersionId;
  readonly upload: string;
  readonly sha256: Buffer;
  readonly state: 'held' | 'settling' | 'published';
  readonly settleMs: number | null;
  readonly modifiedAt: number | null;
  readonly closedAt: Date;
  readonly receipt: string;
};

export async function closeVersion(tx: Transaction, c: Closing): Promise<void> {
  await tx.query(
    `update version set state = $2, sha256 = $3, closed_at = $4, upload_id = null, base_version_id = null, closed_by_upload = $5, receipt = $6,
       modified_at = coalesce(to_timestamp($7), clock_timestamp()),
       published_at = case when $2 = 'published' then clock_timestamp() end,
       publish_at = case when $2 = 'settling' then clock_timestamp() + $8 * interval '1 millisecond' end
     where id = $1`,
    [c.version, c.state, c.sha256, c.closedAt, c.upload, c.receipt, c.modifiedAt, c.settleMs],
  );
}

export async function releaseUpload(tx: Transaction, version: VersionId): Promise<void> {
  await tx.query('update version set upload_id = null where id = $1', [version]);
}

/** Finds an earlier version of the same customer with the same content hash. */
export async function findRepeated(
  tx: Transaction,
  customer: CustomerId,
  sha256: Buffer,
  except: VersionId,
): Promise<VersionId | undefined> {
  const [row] = await tx.query<{ id: string }>(
    "select id from version where customer_id = $1 and sha256 = $2 and id <> $3 and state in ('held', 'settling', 'published', 'withdrawn') order by closed_at limit 1",
    [customer, sha256, except],
  );
  return row && idOf<VersionId>(row.id);
}

export type StoredExtent = {
  readonly index: number;
  readonly start: number;
  readonly object: ObjectId;
  readonly bytes: number;
  readonly sealedBytes: number;
  readonly inline: Buffer | null;
  readonly content: ContentId;
  readonly customerKey: CustomerKeyId;
  readonly wrappedKey: Buffer;
};
type RawExtent = {
  readonly index: number;
  readonly start: number;
  readonly object_id: string;
  readonly bytes: number;
  readonly sealed_bytes: number;
  readonly inline: Buffer | null;
  readonly customer_key_id: string;
  readonly wrapped_key: Buffer;
};
const shapeExtent = (content: ContentId, row: RawExtent): StoredExtent => ({
  index: row.index,
  start: row.start,
  object: idOf<ObjectId>(row.object_id),
  bytes: row.bytes,
  sealedBytes: row.sealed_bytes,
  inline: row.inline,
  content,
  customerKey: idOf<CustomerKeyId>(row.customer_key_id),
  wrappedKey: row.wrapped_key,
});

export async function findExtent(
  tx: Transaction,
  content: ContentId,
  index: number,
): Promise<StoredExtent | undefined> {
  const [row] = await tx.query<RawExtent>(
    `select e.index, e.start, e.object_id, e.bytes, e.sealed_bytes, e.inline, c.customer_key_id, c.wrapped_key from extent e join content c on c.id = e.content_id
     where e.content_id = $1 and e.index = $2`,
    [content, index],
  );
  return row && shapeExtent(content, row);
}

/** Finds the extent that holds the byte at `offset`, among the first `count` of the content. */
async function findExtentAt(
  tx: Transaction,
  content: ContentId,
  count: number,
  offset: number,
): Promise<StoredExtent | undefined> {
  const [row] = await tx.query<RawExtent>(
    `select e.index, e.start, e.object_id, e.bytes, e.sealed_bytes, e.inline, c.customer_key_id, c.wrapped_key from extent e join content c on c.id = e.content_id
     where e.content_id = $1 and e.index < $2 and e.start <= $3 and e.start + e.bytes > $3`,
    [content, count, offset],
  );
  return row && shapeExtent(content, row);
}
