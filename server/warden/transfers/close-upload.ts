// Owns: the one transaction that makes a file of an upload: the state by the publish rule, the receipt, the entry, and
// the notice of repeated content.
// Must never: make a file of an upload of which something was refused, that added nothing, or that ends before what it
// rewrites (T-31).
import { createHash } from 'node:crypto';
import { CofferdamError } from '../../domain/errors.ts';
import type { VersionId } from '../../domain/ids.ts';
import { afterClose, markedBy } from '../../domain/publish-rules.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import { bySession, record } from '../ledger/entries/record.ts';
import { placeOfFile } from '../publication/place-queries.ts';
import { releaseMarked } from '../publication/release-marked.ts';
import { signedReceipt } from '../receipts/receipts.ts';
import type { OpenSession } from '../sessions/open-session.ts';
import {
  closeMarker,
  closeVersion,
  cutBase,
  discardWaiting,
  extentsAndTime,
  findRepeated,
  type OpenUpload,
} from './upload-queries.ts';

/**
 * Separates an upload from its base and ends the versions that waited below it. It is called when the upload becomes a
 * file, or when its sender says that nothing of what was there counts any more. The entry of each ended version names
 * the upload's version as its successor.
 */
export async function takePlace(
  tx: Transaction,
  session: OpenSession,
  upload: OpenUpload,
  handle: string,
): Promise<void> {
  if (upload.base !== null) await cutBase(tx, upload.version, upload.base.version, null);
  for (const version of await discardWaiting(tx, upload.version))
    await record(tx, {
      kind: 'file.discarded',
      customer: upload.customer,
      ...bySession(session),
      handle,
      version,
      public: { successor: upload.version },
    });
}

type Close = { readonly id: string; readonly sha256: Buffer; readonly modifiedAt: number | null };

/**
 * Checks what the warden itself knows against an upload that is said to be whole. Throws `conflict` with the reason.
 */
export function requireWhole(upload: OpenUpload, said: { readonly whole: boolean; readonly size: number }): void {
  if (!said.whole)
    throw new CofferdamError('conflict', 'the file is not whole: it stays incomplete and can be resumed');
  if (upload.refused !== null)
    throw new CofferdamError('conflict', 'a part of this file was refused: it stays incomplete and can be resumed');
  if (upload.size !== said.size)
    throw new CofferdamError('conflict', 'the stored size differs from what was sent; send the file again');
  if (upload.resumedBytes > 0 && upload.size <= upload.resumedBytes)
    throw new CofferdamError('conflict', 'nothing was added to an incomplete file: it stays incomplete');
  if (upload.base !== null && upload.size < upload.base.size)
    throw new CofferdamError(
      'conflict',
      'the file ends before the bytes that were stored already: it stays incomplete',
    );
}

/**
 * Closes `upload`, whose bytes are all stored. Returns the version that becomes a file; when the upload is a marker,
 * that is the version that the marker releases. Throws `conflict` when a marker names no file that can be released.
 */
export async function closeUpload(
  tx: Transaction,
  keys: KeyRing,
  session: OpenSession,
  upload: OpenUpload,
  close: Close,
): Promise<VersionId> {
  const place = await placeOfFile(tx, upload.file);
  // What the upload went on from ends here. A published version stays below the new one.
  await takePlace(tx, session, upload, close.id);
  const base = {
    customer: upload.customer,
    ...bySession(session),
    handle: close.id,
  } as const;
  const marked = markedBy(place, place.namesInFolder, upload.size);
  if (marked !== undefined)
    return releaseMarked(tx, keys, session, {
      ...{ file: upload.file, customer: upload.customer, handle: close.id, place, marked },
      // The marker is no file. That it was closed is stored, for the case that the close is repeated.
      end: () => closeMarker(tx, upload.version, close.id),
    });
  const publication = afterClose(place, place.namesInFolder);
  const { digests, now: closedAt } = await extentsAndTime(tx, upload.content, upload.extentCount);
  const extents = createHash('sha256');
  for (const digest of digests) extents.update(digest);
  const fields = {
    customer: upload.customer,
    path: place.path,
    version: upload.version,
    size: upload.size,
    sha256: close.sha256.toString('hex'),
    extents: extents.digest('hex'),
    closedAt: closedAt.toISOString(),
    account: session.account.name,
    hashedBy: session.node,
  };
  await closeVersion(tx, {
    version: upload.version,
    upload: close.id,
    sha256: close.sha256,
    state: publication.state,
    settleMs: publication.state === 'settling' ? publication.settleMs : null,
    modifiedAt: close.modifiedAt,
    closedAt,
    receipt: signedReceipt(keys, fields),
  });
  await record(tx, {
    ...base,
    kind: 'upload.closed',
    version: upload.version,
    bytes: upload.size,
    public: {
      folder: place.folder,
      path: place.pathInFolder,
      sha256: fields.sha256,
      extents: fields.extents,
      extentCount: upload.extentCount,
      hashedBy: fields.hashedBy,
      state: publication.state,
    },
  });
  const repeated =
    upload.size === 0 ? undefined : await findRepeated(tx, upload.customer, close.sha256, upload.version);
  if (repeated !== undefined && place.direction === 'deposit')
    await record(tx, {
      ...base,
      kind: 'deposit.repeated-content',
      version: upload.version,
      public: { earlier: repeated },
    });
  return upload.version;
}
