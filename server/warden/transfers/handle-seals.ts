// Owns: the MACs of open handles, which say which session opened what. The row of a handle is believed only while it
// says the same.
// Must never: derive a key, or let one be derived, for a handle that does not verify or lies outside its session's
// scope.
import { timingSafeEqual } from 'node:crypto';
import { CofferdamError } from '../../domain/errors.ts';
import type { ContentId, CustomerId, FolderId, SessionId, VersionId } from '../../domain/ids.ts';
import type { Warden } from '../context/context.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import { alarmBroken } from '../seals/altered-rows.ts';
import type { OpenSession } from '../sessions/open-session.ts';

export type SealedDownload = {
  readonly session: SessionId;
  readonly customer: CustomerId;
  readonly folder: FolderId;
  readonly version: VersionId;
  readonly content: ContentId;
};
export type SealedUpload = {
  readonly session: SessionId;
  readonly customer: CustomerId;
  readonly version: VersionId;
  readonly content: ContentId;
  /**
   * The version that the upload goes on from or writes anew. The keys of its extents leave for the edge that copies it.
   */
  readonly base: { readonly version: VersionId; readonly content: ContentId } | null;
};

export const downloadMac = (keys: KeyRing, id: string, of: SealedDownload): Buffer =>
  keys.sealRow(['download', id, of.session, of.customer, of.folder, of.version, of.content]);

/** The name of the file is not part of the MAC, because the sender may rename a file while he uploads it. */
export const uploadMac = (keys: KeyRing, id: string, of: SealedUpload): Buffer =>
  keys.sealRow([
    'upload',
    id,
    of.session,
    of.customer,
    of.version,
    of.content,
    of.base?.version ?? '',
    of.base?.content ?? '',
  ]);

export const fits = (mac: Buffer | null, expected: Buffer): boolean =>
  mac !== null && mac.length === expected.length && timingSafeEqual(mac, expected);

/** Returns whether the session was opened for this customer and, when a folder is given, for that folder. */
export const reaches = (session: OpenSession, customer: CustomerId, folder: FolderId | null): boolean =>
  session.customers.some(
    (one) => one.id === customer && (folder === null || one.folders.some((its) => its.id === folder)),
  );

/**
 * Raises the alert that a handle is not what was opened. Returns the error that a client is given for a closed handle.
 */
export async function refuseAltered(
  { database }: Pick<Warden, 'database'>,
  kind: 'download' | 'upload',
  id: string,
): Promise<CofferdamError> {
  await database.onceUndone((tx) => alarmBroken(tx, { kind, id }, 'no key was released for this handle'));
  return new CofferdamError('not-found', 'the file is no longer open');
}
