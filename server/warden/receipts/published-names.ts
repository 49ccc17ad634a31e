// Owns: the names under which versions are delivered, as the record states them.
// Must never: put onto the record what a row says and no key of the warden signed.
import type { VersionId } from '../../domain/ids.ts';
import { formatPath } from '../../domain/paths.ts';
import type { Transaction } from '../../postgres/database.ts';
import { placesOf } from '../versions/version-queries.ts';
import { closedUnder, type ReceiptKeys } from './receipts.ts';

/** A folder and a path below it; `closedAs` is the path under which the file was closed, when that was another one. */
type PublishedName = { readonly folder: string; readonly path: string; readonly closedAs: string | null };

/**
 * Returns what the entry `file.published` of each version says of its name. A receipt that this warden's key did not
 * sign for the version says nothing, and stands in the way of no publication.
 */
export async function publishedNames(
  tx: Transaction,
  keys: ReceiptKeys,
  versions: readonly VersionId[],
): Promise<ReadonlyMap<VersionId, PublishedName>> {
  const named = [...(await placesOf(tx, versions))].map(([version, { folder, names, receipt }]) => {
    const closed = closedUnder(keys, version, receipt ?? '');
    // Files are not moved between folders, so the earlier path begins with the same folder.
    const prefix = formatPath([folder]);
    const closedAs = closed?.startsWith(`${prefix}/`) === true ? closed.slice(prefix.length) : null;
    return [version, { folder, path: formatPath(names), closedAs }] as const;
  });
  return new Map(named);
}
