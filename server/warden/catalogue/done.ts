// Owns: what an account is done with. It withdraws a file for itself, by removing it or by moving it into the archive/
// of its folder, which is a view for this account and nothing else (decision 66).
// Must never: change what another account finds, or what anybody may read.
import { CofferdamError } from '../../domain/errors.ts';
import { formatPath, type VirtualPath } from '../../domain/paths.ts';
import { allowedVerbs } from '../../domain/rights.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { FolderScope, OpenSession } from '../sessions/open-session.ts';
import { deleteDone, insertDone } from './done-queries.ts';
import { type InFolder, knowsFile, type locateEntry, notFound, requireVerb, walk } from './locate.ts';
import { recordName } from './name-entry.ts';
import {
  findDirectory,
  findFile,
  liveVersions,
  lockExistingFile,
  type VersionRow,
  type View,
  visibleVersion,
} from './tree-queries.ts';
import { directoriesKeepNames, isDirectory, targetIsDirectory } from './wrong-kind.ts';

type EntryPlace = ReturnType<typeof locateEntry>;

/** The name under which an account finds, in each of its folders, what it is done with. No listing shows it. */
export const archiveName = 'archive';

const denied = (text: string): CofferdamError => new CofferdamError('denied', text);
const askFor = 'ask the operators of this gateway for the right "done" in this folder';

/**
 * Returns where a path inside a folder leads: which view it is in, and the place there. What really is called archive
 * in the folder is what everybody finds under this name; then the account has no view.
 */
export async function viewedAt<Place extends InFolder>(
  tx: Transaction,
  session: OpenSession,
  place: Place,
): Promise<{ readonly view: View; readonly place: Place }> {
  const { folder, rest } = place;
  if (rest[0] !== archiveName || !folder.verbs.has('done')) return { view: 'place', place };
  const isReal =
    (await findDirectory(tx, folder.id, null, archiveName)) !== undefined ||
    (await knowsFile(tx, session, folder, null, archiveName));
  if (isReal) return { view: 'place', place };
  const parents = 'parents' in place ? { parents: rest.slice(1, -1) } : {};
  return { view: 'archive', place: { ...place, ...parents, rest: rest.slice(1) } };
}

/** Whether operators may give the account the right to be done with what it reads in this folder. */
const mayBeGiven = ({ account }: OpenSession, { verbs, direction }: FolderScope): boolean =>
  verbs.has('read') && verbs.has('list') && allowedVerbs(account.plane, direction).includes('done');

/**
 * Throws `denied`, and says what to ask for, when the session may only read this folder and could be given the right to
 * be done with its files.
 */
export function requireDone(session: OpenSession, folder: FolderScope): void {
  if (!folder.verbs.has('remove') && mayBeGiven(session, folder))
    throw denied(`files here stay for everybody: to withdraw them for this account, ${askFor}`);
}

/** Like `requireDone`, for renaming. Who may be done with files is told under which name that is asked for. */
export function requireRenaming(session: OpenSession, place: InFolder): void {
  const { folder, rest } = place;
  if (folder.verbs.has('write')) return;
  if (folder.verbs.has('done'))
    throw denied(
      `files here keep their names: when this account is done with one, it may be renamed to ${pathIn(session, place, rest, 'archive')}`,
    );
  if (mayBeGiven(session, folder))
    throw denied(`files here keep their names: to move them into ${archiveName}/, ${askFor}`);
}

/** The path of something in a folder as the session states it, or of the same in its archive. */
const pathIn = (session: OpenSession, { customer, folder }: InFolder, rest: VirtualPath, view: View): string =>
  formatPath([
    ...(session.account.plane === 'internal' ? [customer.name] : []),
    folder.name,
    ...(view === 'archive' ? [archiveName] : []),
    ...rest,
  ]);

/** Withdraws a file, whose name the transaction has locked, for this account. */
export async function withdrawForAccount(
  tx: Transaction,
  session: OpenSession,
  place: InFolder,
  version: VersionRow,
): Promise<void> {
  for (const verb of ['read', 'done'] as const) requireVerb(session, place.folder, verb);
  const done = { account: session.account.id, version: version.id, customer: place.customer.id };
  if (!(await insertDone(tx, done))) throw notFound();
  await recordName(tx, session, place, 'file.done', version.id);
}

/** Returns what is said about removing a name from the archive: `not-found` when the account finds nothing there. */
export async function removingFromArchive(
  tx: Transaction,
  session: OpenSession,
  { folder, rest, parents, name }: EntryPlace,
): Promise<CofferdamError> {
  if (rest.length === 0) return isDirectory();
  const parent = await walk(tx, folder.id, parents);
  const file = await findFile(tx, folder.id, parent, name);
  if (file !== undefined && (await visibleVersion(tx, file, session.account.id, 'archive')) !== undefined)
    return denied(`what is in ${archiveName}/ stays there until its retention ends`);
  return (await findDirectory(tx, folder.id, parent, name)) === undefined ? notFound() : isDirectory();
}

/**
 * Moves a file into the archive of this account, or out of it. It keeps its name and its directories. Throws
 * `not-found`, or `denied` with the reason.
 */
export async function moveBetweenViews(
  tx: Transaction,
  session: OpenSession,
  source: EntryPlace,
  target: EntryPlace,
  from: View,
): Promise<void> {
  const { folder, rest, parents, name } = source;
  const to = from === 'place' ? 'archive' : 'place';
  if (from === 'archive' && rest.length === 0) throw directoriesKeepNames();
  if (to === 'archive' && target.rest.length === 0) throw targetIsDirectory();
  const parent = await walk(tx, folder.id, parents);
  const file = await lockExistingFile(tx, folder.id, parent, name);
  // Nobody withdraws the file for everybody meanwhile.
  if (file !== undefined) await liveVersions(tx, file);
  const version = file && (await visibleVersion(tx, file, session.account.id, from));
  if (version === undefined)
    throw (await findDirectory(tx, folder.id, parent, name)) === undefined ? notFound() : directoriesKeepNames();
  if (version.state !== 'published') throw denied('the file is not complete yet');
  if (formatPath(rest) !== formatPath(target.rest))
    throw denied(`a file keeps its name and its directory: rename it to ${pathIn(session, source, rest, to)}`);
  if (to === 'archive') return withdrawForAccount(tx, session, source, version);
  requireVerb(session, folder, 'done');
  if (!(await deleteDone(tx, { account: session.account.id, version: version.id }))) throw notFound();
  await recordName(tx, session, source, 'file.reopened', version.id);
}
