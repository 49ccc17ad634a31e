// Owns: the release of a complete file by its marker, whichever way the marker came by its name.
// Must never: release another account's file, one that is being continued, or one under a temporary name (T-26).
import { CofferdamError } from '../../domain/errors.ts';
import type { CustomerId, FileId, VersionId } from '../../domain/ids.ts';
import { isTemporary } from '../../domain/publish-rules.ts';
import type { Transaction } from '../../postgres/database.ts';
import { bySession, record } from '../ledger/entries/record.ts';
import { publishedNames } from '../receipts/published-names.ts';
import type { ReceiptKeys } from '../receipts/receipts.ts';
import type { OpenSession } from '../sessions/open-session.ts';
import { type FilePlace, isContinued, isSiblingReleased, lockHeldSibling, publishHeld } from './place-queries.ts';

/** A marker that has its final name: `file` is the row of that name, and `marked` the name that it completes. */
type Marker = {
  readonly file: FileId;
  readonly customer: CustomerId;
  /** The handle through which the marker was written; null when it came by a rename. */
  readonly handle: string | null;
  readonly place: FilePlace;
  readonly marked: string;
  /** Ends the version of the marker, which is no file. It is called when nothing stands against releasing `marked`. */
  readonly end: (released: VersionId) => Promise<void>;
};

/**
 * Releases the complete file that a marker of the same directory names, and returns its version. Throws `conflict` when
 * there is no such file, or it is being continued.
 */
export async function releaseMarked(
  tx: Transaction,
  keys: ReceiptKeys,
  session: OpenSession,
  { file, customer, handle, place, marked, end }: Marker,
): Promise<VersionId> {
  if (isTemporary([...place.namesInFolder.slice(0, -1), marked]))
    throw new CofferdamError('conflict', `${marked} is a temporary name: rename the file, then release it`);
  const target = await lockHeldSibling(tx, file, marked, session.account.id);
  if (target === undefined) {
    const isReleased = await isSiblingReleased(tx, file, marked, session.account.id);
    throw new CofferdamError(
      'conflict',
      isReleased ? `${marked} was released already` : `there is no complete file ${marked} to release`,
    );
  }
  // The lock may have been waited for. An upload that began to continue the file before or meanwhile is seen only by
  // a query after the lock.
  if (await isContinued(tx, target)) throw new CofferdamError('conflict', `${marked} is being continued`);
  await end(target);
  await publishHeld(tx, target);
  await record(tx, {
    customer,
    ...bySession(session),
    handle,
    kind: 'file.published',
    version: target,
    public: { by: 'marker', ...(await publishedNames(tx, keys, [target])).get(target) },
  });
  return target;
}
