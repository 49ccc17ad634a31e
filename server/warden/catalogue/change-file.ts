// Owns: removing and renaming files: what the sender of a file may do before its publication, and what nobody may do
// after it (T-26).
import { randomUUID } from 'node:crypto';
import { CofferdamError } from '../../domain/errors.ts';
import { type DirectoryId, type FileId, idOf, type VersionId } from '../../domain/ids.ts';
import { formatPath } from '../../domain/paths.ts';
import { afterRename, markedBy } from '../../domain/publish-rules.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import { placeOfFile } from '../publication/place-queries.ts';
import { releaseMarked } from '../publication/release-marked.ts';
import { publishedNames } from '../receipts/published-names.ts';
import { readReceipt } from '../receipts/receipt-queries.ts';
import { renamedReceipt } from '../receipts/receipts.ts';
import type { OpenSession } from '../sessions/open-session.ts';
import {
  moveBetweenViews,
  removingFromArchive,
  requireDone,
  requireRenaming,
  viewedAt,
  withdrawForAccount,
} from './done.ts';
import { type locateEntry, notFound, requireVerb, walk, walkHolding } from './locate.ts';
import { giveUp, recordName } from './name-entry.ts';
import {
  deleteFileIfBare,
  findDirectory,
  liveVersions,
  lockExistingFile,
  lockFile,
  moveVersion,
  nextNumber,
  setVersionState,
  type VersionRow,
  type VersionState,
  withdrawPublished,
} from './tree-queries.ts';
import { directoriesKeepNames, inUse, isDirectory, targetExists, targetIsDirectory } from './wrong-kind.ts';

type EntryPlace = ReturnType<typeof locateEntry>;

const isOwnUnpublished = (session: OpenSession, version: VersionRow): boolean =>
  version.state !== 'published' && version.account === session.account.id;

/** Returns what is said about a name that no file has: `found` when the session may see a directory there. */
async function nothingOrDirectory(
  tx: Transaction,
  place: EntryPlace,
  parent: DirectoryId | null,
  found: () => CofferdamError,
): Promise<CofferdamError> {
  if (!place.folder.verbs.has('list')) return notFound();
  return (await findDirectory(tx, place.folder.id, parent, place.name)) === undefined ? notFound() : found();
}

/**
 * Removes a file. Before publication its sender may take it back. A published file may be withdrawn by an account with
 * the verb `done`, for itself; and in a collect folder by an account with the verb `remove`, for everybody, until it
 * has been read. Throws `not-found`, or `denied` with the reason.
 */
export async function removeFile(tx: Transaction, session: OpenSession, asked: EntryPlace): Promise<void> {
  const { view, place } = await viewedAt(tx, session, asked);
  if (view === 'archive') throw await removingFromArchive(tx, session, place);
  const parent = await walk(tx, place.folder.id, place.parents);
  const file = await lockExistingFile(tx, place.folder.id, parent, place.name);
  const live = file === undefined ? [] : await liveVersions(tx, file);
  const own = live.filter((version) => isOwnUnpublished(session, version));
  if (own.length > 0) {
    requireVerb(session, place.folder, 'write');
    // A version that is being written and the version that it goes on from are given up together, so that neither is
    // published in the place of the other.
    for (const version of own) await giveUp(tx, session, place, version);
    return;
  }
  const published = live.find((version) => version.state === 'published');
  if (file === undefined || published === undefined || !place.folder.verbs.has('list'))
    throw await nothingOrDirectory(tx, place, parent, isDirectory);
  if (place.folder.verbs.has('done')) return withdrawForAccount(tx, session, place, published);
  requireDone(session, place.folder);
  if (place.folder.direction === 'deposit') throw new CofferdamError('denied', 'a delivered file cannot be removed');
  requireVerb(session, place.folder, 'remove');
  if (published.firstReadAt !== null)
    throw new CofferdamError('denied', 'the file was already read and stays until its retention ends');
  for (const version of await withdrawPublished(tx, file))
    await recordName(tx, session, place, 'file.withdrawn', version);
}

/**
 * Gives up the sender's own unpublished versions under the target name, which the transaction has locked. Throws
 * `conflict` or `denied` when the name cannot be taken.
 */
async function makeRoom(
  tx: Transaction,
  session: OpenSession,
  target: EntryPlace,
  { parent, file }: { readonly parent: DirectoryId | null; readonly file: FileId },
  replace: boolean,
): Promise<void> {
  if ((await findDirectory(tx, target.folder.id, parent, target.name)) !== undefined) throw targetIsDirectory();
  for (const version of await liveVersions(tx, file)) {
    const isOwn = isOwnUnpublished(session, version);
    if (!isOwn && version.state !== 'published') throw inUse();
    if (!replace) throw targetExists();
    if (isOwn) await giveUp(tx, session, target, version);
    else if (!target.folder.replaceAllowed) throw new CofferdamError('denied', 'a delivered file cannot be replaced');
  }
}

type Name = { readonly place: EntryPlace; readonly parent: DirectoryId | null };
const keyOf = ({ place, parent }: Name): string => [place.folder.id, parent ?? '', place.name].join('/');

/**
 * Locks the names of a rename before anything that stands under them, and both in one order, whichever of them is the
 * source: so two renames crosswise wait for each other's end, and not for each other. `file` is undefined when there is
 * no source; the row of the target is created when there is none.
 */
async function lockNames(
  tx: Transaction,
  source: Name,
  target: Name,
): Promise<{ file: FileId | undefined; targetFile: FileId }> {
  const lockSource = (): Promise<FileId | undefined> =>
    lockExistingFile(tx, source.place.folder.id, source.parent, source.place.name);
  const { customer, folder } = target.place;
  const lockTarget = (): Promise<FileId> =>
    lockFile(tx, customer.id, folder.id, target.parent, target.place.name, idOf<FileId>(randomUUID()));
  if (keyOf(source) < keyOf(target)) {
    const file = await lockSource();
    return { file, targetFile: await lockTarget() };
  }
  const targetFile = await lockTarget();
  return { file: await lockSource(), targetFile };
}

/** Gives a version another name as the newest there. Its receipt, if it has one, names the file as it is called now. */
async function moveTo(
  tx: Transaction,
  keys: KeyRing,
  version: VersionRow,
  target: EntryPlace,
  targetFile: FileId,
): Promise<void> {
  const before = await readReceipt(tx, version.id);
  const path = formatPath([target.folder.name, ...target.rest]);
  const receipt = before === undefined ? null : renamedReceipt(keys, version.id, before, path);
  await moveVersion(tx, version.id, { file: targetFile, number: await nextNumber(tx, targetFile), receipt });
}

/**
 * Gives a version that was renamed the state that follows from its new name, and records it. A complete version whose
 * new name is that of a marker releases what it marks, as the close of a marker does, and is no file itself. Throws
 * `conflict` when it marks nothing that can be released.
 */
async function recordRenamed(
  tx: Transaction,
  keys: KeyRing,
  session: OpenSession,
  version: VersionRow,
  source: EntryPlace,
  target: EntryPlace & { readonly file: FileId },
): Promise<void> {
  const become = async (state: VersionState, settleMs: number | null): Promise<void> => {
    if (version.state !== 'partial') await setVersionState(tx, version.id, state, settleMs);
    await recordName(tx, session, source, 'file.renamed', version.id, { to: formatPath(target.rest), state });
  };
  if (version.state === 'partial') return become('partial', null);
  // The rule is read after the lock of the version: the one that the session remembers may have been changed meanwhile.
  const place = await placeOfFile(tx, target.file);
  const marked = markedBy(place, target.rest, version.size);
  if (marked !== undefined) {
    const end = async (releases: VersionId): Promise<void> => {
      await become('discarded', null);
      await recordName(tx, session, target, 'file.discarded', version.id, { releases });
    };
    await releaseMarked(tx, keys, session, {
      ...target,
      customer: target.customer.id,
      handle: null,
      place,
      marked,
      end,
    });
    return;
  }
  const publication = afterRename(place, source.rest, target.rest);
  await become(publication.state, publication.state === 'settling' ? publication.settleMs : null);
  if (publication.state === 'published')
    await recordName(tx, session, target, 'file.published', version.id, {
      by: 'rename',
      ...(await publishedNames(tx, keys, [version.id])).get(version.id),
    });
}

/**
 * Renames the sender's own unpublished version. A rename from a temporary name to another one may publish the file, or
 * the one that it marks. Between a folder and archive/ it withdraws a file for the account, or gives it back.
 */
export async function renameFile(
  tx: Transaction,
  keys: KeyRing,
  session: OpenSession,
  source: EntryPlace,
  target: EntryPlace,
  replace: boolean,
): Promise<void> {
  const [from, to] = [await viewedAt(tx, session, source), await viewedAt(tx, session, target)];
  if (from.view !== to.view) return moveBetweenViews(tx, session, from.place, to.place, from.view);
  requireRenaming(session, from.place);
  requireVerb(session, source.folder, 'write');
  const sourceParent = await walk(tx, source.folder.id, source.parents);
  const targetParent = await walkHolding(tx, session, target.folder, target.parents);
  if (sourceParent === targetParent && source.name === target.name) return;
  const { file, targetFile } = await lockNames(
    tx,
    { place: source, parent: sourceParent },
    { place: target, parent: targetParent },
  );
  const live = file === undefined ? [] : await liveVersions(tx, file);
  const version = live.find((one) => isOwnUnpublished(session, one));
  if (file === undefined || version === undefined) {
    if (live.some((one) => one.state === 'published') && source.folder.verbs.has('list'))
      throw new CofferdamError('denied', 'a delivered file cannot be renamed');
    throw await nothingOrDirectory(tx, source, sourceParent, directoriesKeepNames);
  }
  if (version.hasBase)
    throw new CofferdamError('conflict', 'the file is being continued: close it first, then rename it');
  await makeRoom(tx, session, target, { parent: targetParent, file: targetFile }, replace);
  // The versions with a receipt that wait below an incomplete version move with it and stay below it.
  const waiting = live.filter((one) => isOwnUnpublished(session, one) && one.number < version.number);
  for (const one of [version, ...waiting].sort((a, b) => a.number - b.number)) {
    await moveTo(tx, keys, one, target, targetFile);
    if (one !== version)
      await recordName(tx, session, source, 'file.renamed', one.id, { to: formatPath(target.rest), state: one.state });
  }
  await deleteFileIfBare(tx, file);
  await recordRenamed(tx, keys, session, version, source, { ...target, file: targetFile });
}
