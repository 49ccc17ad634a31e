// Owns: the SQL of downloads: open read handles, and where the bytes are.
import {
  type ContentId,
  type CustomerId,
  type FolderId,
  idOf,
  type SessionId,
  type VersionId,
} from '../../domain/ids.ts';
import type { Database, Transaction } from '../../postgres/database.ts';
import { wireBytesPerSecondMax } from '../../rpc/edge-words.ts';
import type { SealedDownload } from './handle-seals.ts';

export async function insertDownload(tx: Transaction, id: string, opened: SealedDownload, mac: Buffer): Promise<void> {
  await tx.query(
    'insert into download (id, customer_id, session_id, version_id, folder_id, mac) values ($1, $2, $3, $4, $5, $6)',
    [id, opened.customer, opened.session, opened.version, opened.folder, mac],
  );
}

export type OpenDownload = SealedDownload & { readonly extentCount: number };

/**
 * Finds an open handle of this session, as its rows describe it. Only the MAC shows whether they describe what was
 * opened.
 */
export async function findDownload(
  tx: Transaction,
  id: string,
  session: SessionId,
): Promise<(OpenDownload & { readonly mac: Buffer | null }) | undefined> {
  const [row] = await tx.query<{
    customer_id: string;
    folder_id: string | null;
    version_id: string;
    content_id: string;
    extent_count: number;
    mac: Buffer | null;
  }>(
    `select d.customer_id, d.folder_id, d.version_id, v.content_id, v.extent_count, d.mac from download d join version v on v.id = d.version_id
     where d.id = $1 and d.session_id = $2 and d.closed_at is null`,
    [id, session],
  );
  return (
    row && {
      session,
      customer: idOf<CustomerId>(row.customer_id),
      folder: idOf<FolderId>(row.folder_id ?? ''),
      version: idOf<VersionId>(row.version_id),
      content: idOf<ContentId>(row.content_id),
      extentCount: row.extent_count,
      mac: row.mac,
    }
  );
}

/** A file as it is opened by a look. */
type FileSeen = {
  readonly version: VersionId;
  readonly content: ContentId;
  readonly extentCount: number;
  readonly size: number;
  readonly sha256: Buffer | null;
  readonly modifiedAt: Date;
  readonly extents: readonly Located[];
};

/**
 * Looks at the file `name` in the directory that `parents` leads to inside a folder. Returns undefined unless whoever
 * may read there is given its newest published version, which has at least one and at most `extentsMax` extents, and
 * nothing else stands under the name that anybody may see.
 */
export async function lookAtFile(
  database: Database,
  of: {
    readonly session: SessionId;
    readonly folder: FolderId;
    readonly parents: readonly string[];
    readonly name: string;
    readonly extentsMax: number;
  },
): Promise<FileSeen | undefined> {
  const [row] = await database.call<{
    goes_on: boolean;
    version: string | null;
    content: string;
    extent_count: number;
    size: number;
    sha256: Buffer | null;
    modified_at: Date;
    starts: readonly number[] | null;
    lengths: readonly number[] | null;
  }>(
    `select goes_on, version, content, extent_count, size, sha256, modified_at, starts, lengths
     from look_at_file($1, $2, $3::text[], $4, $5)`,
    [of.session, of.folder, of.parents, of.name, of.extentsMax],
  );
  if (row === undefined || !row.goes_on || row.version === null) return undefined;
  const [starts, lengths] = [row.starts ?? [], row.lengths ?? []];
  // An extent is missing: how that is told is decided elsewhere.
  if (starts.length !== row.extent_count) return undefined;
  return {
    version: idOf<VersionId>(row.version),
    content: idOf<ContentId>(row.content),
    extentCount: row.extent_count,
    size: row.size,
    sha256: row.sha256,
    modifiedAt: row.modified_at,
    extents: starts.map((offset, index) => ({ index, offset: Number(offset), bytes: Number(lengths[index]) })),
  };
}

export type Located = { readonly index: number; readonly offset: number; readonly bytes: number };

/**
 * Returns up to `limit` extents of an open handle from byte `offset` on; undefined when the handle is not open any
 * more.
 */
export async function locateExtents(
  tx: Transaction,
  id: string,
  download: OpenDownload,
  offset: number,
  limit: number,
): Promise<readonly Located[] | undefined> {
  const rows = await tx.query<{ index: number | null; start: number; bytes: number }>(
    `select e.index, e.start, e.bytes from download d left join lateral (
       select index, start, bytes from extent where content_id = $1 and index < $2
         and start >= coalesce((select max(start) from extent where content_id = $1 and start <= $3), 0) and start + bytes > $3
       order by index limit $4) e on true
     where d.id = $5 and d.session_id = $6 and d.closed_at is null order by e.index`,
    [download.content, download.extentCount, offset, limit, id, download.session],
  );
  if (rows.length === 0) return undefined;
  return rows.flatMap(({ index, start, bytes }) => (index === null ? [] : [{ index, offset: start, bytes }]));
}

/** Returns whether the key of any extent was released through this handle. */
async function wasReleased(tx: Transaction, id: string, session: SessionId): Promise<boolean> {
  const rows = await tx.query(
    "select 1 from ledger where session_id = $1 and handle_id = $2 and kind = 'extent.granted' limit 1",
    [session, id],
  );
  return rows.length === 1;
}

/**
 * Closes a handle. The number of bytes that the edge says it sent is bounded by what the wire can have carried since
 * the handle was opened, and is 0 when no key was released. `isReleased` says that the caller knows of a released key;
 * when it is false, the record is asked. Returns undefined when the handle was not open.
 */
export async function closeDownload(
  tx: Transaction,
  id: string,
  session: SessionId,
  sentBytes: number,
  isReleased: boolean,
): Promise<{ readonly sentBytes: number } | undefined> {
  const believed = sentBytes === 0 || isReleased || (await wasReleased(tx, id, session)) ? sentBytes : 0;
  const [row] = await tx.query<{ sent_bytes: number }>(
    `update download set closed_at = clock_timestamp(), sent_bytes = least($2::bigint, could_have_moved(opened_at, $3))
     where id = $1 and session_id = $4 and closed_at is null returning sent_bytes`,
    [id, believed, wireBytesPerSecondMax, session],
  );
  return row && { sentBytes: row.sent_bytes };
}
