// Owns: what opening a name for writing means: new, continued, or refused.
// Must never: let a published deposit be continued or replaced by its depositor (T-26).
import { randomBytes, randomUUID } from 'node:crypto';
import { CofferdamError } from '../../domain/errors.ts';
import { type ContentId, type FileId, idOf, type ObjectId, type VersionId } from '../../domain/ids.ts';
import { extentContext, extentKey } from '../../extents/extent-key.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { FreshExtent } from '../../rpc/edge-warden.ts';
import { type locateEntry, walk } from '../catalogue/locate.ts';
import { findDirectory, liveVersions, lockFile, nextNumber, setVersionState, type VersionRow } from '../catalogue/tree-queries.ts';
import type { KeyRing, OpenSession } from '../context.ts';
import { cutContent, insertContent, insertPending, insertVersion, lockUpload, type OpenUpload, takeOver } from './upload-queries.ts';

type EntryPlace = ReturnType<typeof locateEntry>;
export type OpenMode = { readonly continue: boolean; readonly exclusive: boolean };
type Decision =
  | { readonly kind: 'new' }
  /** The same partial version goes on. */
  | { readonly kind: 'resume'; readonly version: VersionRow }
  /** A next version inherits the extents of a complete one that nobody has read. */
  | { readonly kind: 'inherit'; readonly version: VersionRow };

/** Decides from the live versions of a name, newest first. Throws when the name may not be written now. */
function decide(session: OpenSession, place: EntryPlace, live: readonly VersionRow[], mode: OpenMode): Decision {
  const isOwn = (version: VersionRow): boolean => version.account === session.account.id;
  const unpublished = live.filter((version) => version.state !== 'published');
  if (unpublished.some((version) => !isOwn(version))) throw new CofferdamError('conflict', 'the name is in use');
  const published = live.find((version) => version.state === 'published');
  const own = unpublished[0];
  if (mode.exclusive && (own !== undefined || published !== undefined)) throw new CofferdamError('conflict', 'the file exists');
  if (mode.continue && own !== undefined)
    return own.state === 'partial' ? { kind: 'resume', version: own } : { kind: 'inherit', version: own };
  if (published !== undefined) {
    if (!place.folder.replaceAllowed) throw new CofferdamError('denied', 'a delivered file cannot be changed or replaced');
    if (mode.continue && isOwn(published) && published.firstReadAt === null) return { kind: 'inherit', version: published };
    if (mode.continue) throw new CofferdamError('denied', 'the file was delivered: write it as a whole, not in part');
  }
  return { kind: 'new' };
}

/** A fresh object id and its key, for the next extent of an upload. */
export async function issueExtent(
  tx: Transaction,
  keys: KeyRing,
  upload: OpenUpload,
  uploadId: string,
  pendingMax: number,
): Promise<FreshExtent> {
  const object = idOf<ObjectId>(randomBytes(16).toString('hex'));
  const index = await insertPending(tx, upload, uploadId, object, pendingMax);
  if (index === undefined) throw new CofferdamError('over-limit', 'too many extents of this file are begun and not sealed');
  const fileKey = await keys.openFileKey((work) => work(tx), upload.customer, upload.content, upload.customerKey, upload.wrappedKey);
  const context = extentContext(upload.customer, upload.content, index, object);
  return { index, objectId: object, key: extentKey(fileKey, context).toString('base64'), context: context.toString('base64') };
}

/** Opens `place` for writing. Returns the upload with its stored bytes and its first fresh extent. */
export async function openUpload(
  tx: Transaction,
  keys: KeyRing,
  session: OpenSession,
  place: EntryPlace,
  mode: OpenMode,
  pendingMax: number,
): Promise<{ readonly id: string; readonly upload: OpenUpload; readonly fresh: FreshExtent }> {
  const parent = await walk(tx, place.folder.id, place.parents);
  if ((await findDirectory(tx, place.folder.id, parent, place.name)) !== undefined)
    throw new CofferdamError('conflict', 'the name is taken by a directory');
  const file = await lockFile(tx, place.customer.id, place.folder.id, parent, place.name, idOf<FileId>(randomUUID()));
  const live = await liveVersions(tx, file);
  const decision = decide(session, place, live, mode);
  const id = randomUUID();
  if (decision.kind === 'resume') {
    await cutContent(tx, decision.version.content, decision.version.extentCount);
    await takeOver(tx, decision.version.id, id, session.id, session.node);
  } else {
    for (const version of live) if (version.state !== 'published') await setVersionState(tx, version.id, 'discarded', null);
    const inherited = decision.kind === 'inherit' ? decision.version : undefined;
    const content = inherited?.content ?? idOf<ContentId>(randomUUID());
    if (inherited === undefined) {
      const key = await keys.createFileKey(tx, place.customer.id, content);
      await insertContent(tx, content, place.customer.id, key.customerKeyId, key.wrappedKey);
    } else await cutContent(tx, content, inherited.extentCount);
    await insertVersion(tx, {
      id: idOf<VersionId>(randomUUID()),
      customer: place.customer.id,
      file,
      number: await nextNumber(tx, file),
      content,
      extentCount: inherited?.extentCount ?? 0,
      size: inherited?.size ?? 0,
      account: session.account.id,
      session: session.id,
      node: session.node,
      upload: id,
    });
  }
  const upload = await lockUpload(tx, id, session.id);
  if (upload === undefined) throw new CofferdamError('bug', 'an upload vanished while it was opened');
  return { id, upload, fresh: await issueExtent(tx, keys, upload, id, pendingMax) };
}
