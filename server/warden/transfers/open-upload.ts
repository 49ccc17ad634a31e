// Owns: what it means to open a name for writing: a new file, one that is continued, or a refusal.
// Must never: let a depositor continue or replace a published deposit (T-26), or write into the content of a closed
// version (T-32).
import { randomBytes, randomUUID } from 'node:crypto';
import type { Limits } from '../../config/config.ts';
import { CofferdamError } from '../../domain/errors.ts';
import {
  type ContentId,
  type CustomerId,
  type FileId,
  idOf,
  type NodeName,
  type ObjectId,
  type VersionId,
} from '../../domain/ids.ts';
import { extentContext, extentKey } from '../../extents/extent-key.ts';
import { issueTicket } from '../../extents/object-tickets.ts';
import { extentPlainBytesMax, sealedLength } from '../../extents/sealed-format.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { FreshExtent } from '../../rpc/edge-extents.ts';
import { type locateEntry, notFound, walkHolding } from '../catalogue/locate.ts';
import { giveUp } from '../catalogue/name-entry.ts';
import {
  findDirectory,
  liveVersions,
  lockFile,
  nextNumber,
  setVersionState,
  type VersionRow,
} from '../catalogue/tree-queries.ts';
import { isDirectory } from '../catalogue/wrong-kind.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import type { OpenSession } from '../sessions/open-session.ts';
import { type SealedUpload, uploadMac } from './handle-seals.ts';
import { superseded } from './offers.ts';
import {
  cutBase,
  forgetPending,
  insertContent,
  insertPending,
  insertVersion,
  type OpenUpload,
  readUpload,
  releaseUpload,
  takeOver,
} from './upload-queries.ts';

export type EntryPlace = ReturnType<typeof locateEntry>;
export type OpenMode = {
  readonly continue: boolean;
  readonly exclusive: boolean;
  readonly mustExist?: boolean | undefined;
  /**
   * What the name was when it was offered: the highest number of its versions, and nothing unpublished. What came since
   * is not given up. Undefined when it was not offered.
   */
  readonly offered?: { readonly standing: number };
};
type Decision =
  | { readonly kind: 'new' }
  /** The same partial version is resumed. */
  | { readonly kind: 'resume'; readonly version: VersionRow }
  /** A new version, with a content of its own, goes on from a complete version that nobody has read. */
  | { readonly kind: 'follow'; readonly version: VersionRow };

/**
 * Decides from the live versions of a name, which are given newest first. Throws `conflict` or `denied` when the name
 * may not be written now, and `not-found` when a file must be there and this session knows of none.
 */
function decide(session: OpenSession, place: EntryPlace, live: readonly VersionRow[], mode: OpenMode): Decision {
  const isOwn = (version: VersionRow): boolean => version.account === session.account.id;
  const unpublished = live.filter((version) => version.state !== 'published');
  const published = live.find((version) => version.state === 'published');
  const own = unpublished.find(isOwn);
  const isThere = own !== undefined || published !== undefined;
  if (mode.mustExist === true && !isThere) throw notFound();
  if (unpublished.some((version) => !isOwn(version))) throw new CofferdamError('conflict', 'the name is in use');
  if (mode.exclusive && isThere) throw new CofferdamError('conflict', 'the file exists already');
  if (mode.continue && own !== undefined)
    return own.state === 'partial' ? { kind: 'resume', version: own } : { kind: 'follow', version: own };
  if (published !== undefined) {
    if (!place.folder.replaceAllowed)
      throw new CofferdamError('denied', 'a delivered file cannot be changed or replaced');
    if (mode.continue && isOwn(published) && published.firstReadAt === null)
      return { kind: 'follow', version: published };
    if (mode.continue) throw new CofferdamError('denied', 'the file was delivered: send the whole file again');
  }
  return { kind: 'new' };
}

/** What extents are issued by: the keys, and the limits of an upload. */
type Issuing = {
  readonly keys: KeyRing;
  readonly limits: Pick<Limits, 'pendingExtentsPerUploadMax' | 'sessionAbsoluteLifeMs'>;
};
/** The largest object that a ticket admits, in bytes. */
const objectBytesMax = sealedLength(extentPlainBytesMax);
/** How long an edge may let go of the uploads of an ended session, and more; milliseconds. */
const lettingGoMs = 60_000;

/**
 * Issues a new object id, the key of the next extent of an upload, and the ticket by which `node` may put the object
 * until no session can last any longer. Throws `over-limit` when too many extents are begun and not sealed.
 */
export async function issueExtent(
  tx: Transaction,
  { keys, limits }: Issuing,
  node: NodeName,
  upload: OpenUpload,
  uploadId: string,
): Promise<FreshExtent> {
  const object = idOf<ObjectId>(randomBytes(16).toString('hex'));
  const index = await insertPending(tx, upload, uploadId, object, limits.pendingExtentsPerUploadMax);
  if (index === undefined)
    throw new CofferdamError('over-limit', 'too many extents of this file are begun and not sealed');
  const fileKey = await keys.openFileKey(
    (work) => work(tx),
    upload.customer,
    upload.content,
    upload.customerKey,
    upload.wrappedKey,
  );
  const context = extentContext(upload.customer, upload.content, index, object);
  return {
    index,
    objectId: object,
    key: extentKey(fileKey, context).toString('base64'),
    context: context.toString('base64'),
    ticket: issueTicket(keys.storeKey, {
      node,
      object,
      bytesMax: objectBytesMax,
      until: Date.now() + limits.sessionAbsoluteLifeMs + lettingGoMs,
    }).toString('base64'),
  };
}

/** Adds a version with a content of its own as the newest of `file`; it goes on from `base`. */
async function addVersion(
  tx: Transaction,
  keys: KeyRing,
  session: OpenSession,
  place: { readonly customer: CustomerId; readonly file: FileId },
  upload: string,
  base: SealedUpload['base'],
): Promise<VersionId> {
  const version = idOf<VersionId>(randomUUID());
  const content = idOf<ContentId>(randomUUID());
  const key = await keys.createFileKey(tx, place.customer, content);
  await insertContent(tx, content, place.customer, key.customerKeyId, key.wrappedKey);
  await insertVersion(tx, {
    id: version,
    customer: place.customer,
    file: place.file,
    content,
    base: base?.version ?? null,
    account: session.account.id,
    session: session.id,
    node: session.node,
    upload,
    mac: uploadMac(keys, upload, { session: session.id, customer: place.customer, version, content, base }),
  });
  return version;
}

/** Returns whether anything came under this name since it was offered. */
const isNewer = async (
  tx: Transaction,
  file: FileId,
  live: readonly VersionRow[],
  standing: number,
): Promise<boolean> =>
  live.some((version) => version.state !== 'published') || (await nextNumber(tx, file)) > standing + 1;

type Opened = { readonly id: string; readonly upload: OpenUpload; readonly fresh: FreshExtent };

/**
 * Reads the upload that this transaction made, and issues its first extent. `version` is the version that is being
 * written.
 */
async function opened(
  tx: Transaction,
  issuing: Issuing,
  node: NodeName,
  id: string,
  version: VersionId,
): Promise<Opened> {
  const upload = await readUpload(tx, version);
  if (upload === undefined) throw new CofferdamError('bug', 'an upload vanished while it was opened');
  return { id, upload, fresh: await issueExtent(tx, issuing, node, upload, id) };
}

/**
 * Opens `place` for writing. Returns the upload, which gets the name `id`, with its stored bytes and its first fresh
 * extent.
 */
export async function openUpload(
  tx: Transaction,
  issuing: Issuing,
  session: OpenSession,
  place: EntryPlace,
  mode: OpenMode,
  id: string = randomUUID(),
): Promise<Opened> {
  const { keys } = issuing;
  const parent = await walkHolding(tx, session, place.folder, place.parents);
  const file = await lockFile(tx, place.customer.id, place.folder.id, parent, place.name, idOf<FileId>(randomUUID()));
  if ((await findDirectory(tx, place.folder.id, parent, place.name)) !== undefined) throw isDirectory();
  let live = await liveVersions(tx, file);
  if (mode.offered !== undefined && (await isNewer(tx, file, live, mode.offered.standing))) throw superseded();
  const decideNow = (): Decision => decide(session, place, live, mode);
  let decision = decideNow();
  if (decision.kind === 'resume' && decision.version.hasBase) {
    // Another handle holds the version. That handle is released first; what remains then decides what there is to go on
    // from.
    await releaseUpload(tx, decision.version.id);
    live = await liveVersions(tx, file);
    decision = decideNow();
  }
  let made: VersionId;
  if (decision.kind === 'resume') {
    const { id: version, content } = decision.version;
    const mac = uploadMac(keys, id, { session: session.id, customer: place.customer.id, version, content, base: null });
    await takeOver(tx, decision.version, { upload: id, session: session.id, node: session.node, mac });
    made = version;
  } else {
    if (decision.kind === 'new')
      for (const version of live) if (version.state !== 'published') await giveUp(tx, session, place, version);
    const base =
      decision.kind === 'follow' ? { version: decision.version.id, content: decision.version.content } : null;
    made = await addVersion(tx, keys, session, { customer: place.customer.id, file }, id, base);
  }
  return opened(tx, issuing, session.node, id, made);
}

/**
 * Begins an upload anew, in a version and a content of its own, because the client writes where bytes are already. With
 * `cut` nothing of what was there counts any more. Otherwise the earlier version stays what readers find until the
 * upload holds more.
 */
export async function rewriteUpload(
  tx: Transaction,
  issuing: Issuing,
  session: OpenSession,
  id: string,
  upload: OpenUpload,
  cut: boolean,
): Promise<Opened> {
  const { keys } = issuing;
  let made = upload.version;
  if (upload.base !== null) {
    if (!cut || upload.size > 0) throw new CofferdamError('conflict', 'this upload has already been restarted');
    const mac = uploadMac(keys, id, { ...upload, session: session.id, base: null });
    await cutBase(tx, upload.version, upload.base.version, mac);
  } else {
    if (upload.resumedBytes === 0 || upload.size !== upload.resumedBytes)
      throw new CofferdamError(
        'conflict',
        'only an upload that resumes stored bytes, and has added none yet, can be restarted',
      );
    await releaseUpload(tx, upload.version);
    made = await addVersion(
      tx,
      keys,
      session,
      upload,
      id,
      cut ? null : { version: upload.version, content: upload.content },
    );
    if (cut) await setVersionState(tx, upload.version, 'discarded', null);
  }
  await forgetPending(tx, id);
  return opened(tx, issuing, session.node, id, made);
}
