// Owns: the SQL of downloads: open read handles and where the bytes are.
import { type ContentId, type CustomerId, idOf, type SessionId, type VersionId } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';

export async function insertDownload(
  tx: Transaction,
  id: string,
  customer: CustomerId,
  session: SessionId,
  version: VersionId,
): Promise<void> {
  await tx.query('insert into download (id, customer_id, session_id, version_id) values ($1, $2, $3, $4)', [
    id,
    customer,
    session,
    version,
  ]);
}

export type OpenDownload = {
  readonly customer: CustomerId;
  readonly version: VersionId;
  readonly content: ContentId;
  readonly extentCount: number;
};

export async function findDownload(tx: Transaction, id: string, session: SessionId): Promise<OpenDownload | undefined> {
  const [row] = await tx.query<{ customer_id: string; version_id: string; content_id: string; extent_count: number }>(
    `select d.customer_id, d.version_id, v.content_id, v.extent_count from download d join version v on v.id = d.version_id
     where d.id = $1 and d.session_id = $2 and d.closed_at is null`,
    [id, session],
  );
  return (
    row && {
      customer: idOf<CustomerId>(row.customer_id),
      version: idOf<VersionId>(row.version_id),
      content: idOf<ContentId>(row.content_id),
      extentCount: row.extent_count,
    }
  );
}

export type Located = { readonly index: number; readonly offset: number; readonly bytes: number };

export async function locateExtents(tx: Transaction, download: OpenDownload, offset: number, limit: number): Promise<readonly Located[]> {
  const rows = await tx.query<{ index: number; start: number; bytes: number }>(
    `select index, start, bytes from extent where content_id = $1 and index < $2
       and start >= coalesce((select max(start) from extent where content_id = $1 and start <= $3), 0) and start + bytes > $3
     order by index limit $4`,
    [download.content, download.extentCount, offset, limit],
  );
  return rows.map((row) => ({ index: row.index, offset: row.start, bytes: row.bytes }));
}

export async function closeDownload(tx: Transaction, id: string, session: SessionId, sentBytes: number): Promise<OpenDownload | undefined> {
  const open = await findDownload(tx, id, session);
  if (open !== undefined)
    await tx.query('update download set closed_at = clock_timestamp(), sent_bytes = $2 where id = $1', [id, sentBytes]);
  return open;
}
