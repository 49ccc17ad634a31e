// Owns: the SQL of receipts, and of the names under which versions are delivered.
import { idOf, type VersionId } from '../../domain/ids.ts';
import { formatPath } from '../../domain/paths.ts';
import { closedUnder } from '../../domain/receipt.ts';
import type { Transaction } from '../../postgres/database.ts';

/** Returns the receipt of a version; undefined while it has none. */
export async function readReceipt(tx: Transaction, version: VersionId): Promise<string | undefined> {
  const [row] = await tx.query<{ receipt: string | null }>('select receipt from version where id = $1', [version]);
  return row?.receipt ?? undefined;
}

/** A folder and a path below it; `closedAs` is the path under which the file was closed, when that was another one. */
type PublishedName = { readonly folder: string; readonly path: string; readonly closedAs: string | null };

/** Returns what the entry `file.published` of each version says of its name. */
export async function publishedNames(
  tx: Transaction,
  versions: readonly VersionId[],
): Promise<ReadonlyMap<VersionId, PublishedName>> {
  const rows = await tx.query<{ id: string; folder: string; names: readonly string[]; receipt: string | null }>(
    `with recursive up as (
       select v.id as version_id, f.directory_id as id, array[f.name::text] as names
       from version v join file f on f.id = v.file_id where v.id = any ($1::uuid[])
       union all
       select up.version_id, d.parent_id, array[d.name::text] || up.names from up join directory d on d.id = up.id)
     select v.id, fo.name as folder, up.names, v.receipt
     from up join version v on v.id = up.version_id join folder fo on fo.id = v.folder_id where up.id is null`,
    [versions],
  );
  return new Map(
    rows.map(({ id, folder, names, receipt }) => {
      const closed = closedUnder(receipt ?? '');
      // Files are not moved between folders, so the earlier path begins with the same folder.
      const closedAs = closed === undefined ? null : closed.slice(formatPath([folder]).length);
      return [idOf<VersionId>(id), { folder, path: formatPath(names), closedAs }];
    }),
  );
}
