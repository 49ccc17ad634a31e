// Owns: what a path, as a list of components, leads to inside the session's own scope.
// Must never: look outside the scope. A name of another customer is answered as if it did not exist (T-07).
import { CofferdamError } from '../../domain/errors.ts';
import type { CustomerId, DirectoryId, FolderId, Verb } from '../../domain/ids.ts';
import type { VirtualPath } from '../../domain/paths.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { CustomerScope, FolderScope, OpenSession } from '../sessions/open-session.ts';
import { findDirectory, findFile, holdDirectory, visibleVersion } from './tree-queries.ts';
import { type Asking, atLevel, besideLevels, isFileOnTheWay } from './wrong-kind.ts';

export type PathTarget =
  | { readonly kind: 'root' }
  | { readonly kind: 'customer'; readonly customer: CustomerScope }
  | InFolder;
/**
 * A folder, or what is below it. `rest` has the path components after the folder; it is empty for the folder itself.
 */
export type InFolder = {
  readonly kind: 'folder';
  readonly customer: CustomerScope;
  readonly folder: FolderScope;
  readonly rest: VirtualPath;
};

/** A name that no customer, or no folder of `customer`, has. `isLast` says that the path ends with it. */
type Absent = { readonly kind: 'absent'; readonly customer: CustomerScope | undefined; readonly isLast: boolean };

export function notFound(): CofferdamError {
  return new CofferdamError('not-found', 'no such file or directory');
}

/** Finds what a path leads to: /folder/… for partner accounts, /customer/folder/… for internal accounts. */
function find(session: OpenSession, path: VirtualPath): PathTarget | Absent {
  let components = path;
  let customer: CustomerScope | undefined;
  if (session.account.plane === 'internal') {
    const [name, ...rest] = path;
    if (name === undefined) return { kind: 'root' };
    customer = session.customers.find((one) => one.name === name);
    components = rest;
  } else {
    customer = session.customers[0];
    if (path.length === 0) return { kind: 'root' };
  }
  if (customer === undefined) return { kind: 'absent', customer, isLast: components.length === 0 };
  const [folderName, ...rest] = components;
  if (folderName === undefined) return { kind: 'customer', customer };
  const folder = customer.folders.find((one) => one.name === folderName);
  if (folder === undefined) return { kind: 'absent', customer, isLast: rest.length === 0 };
  return { kind: 'folder', customer, folder, rest };
}

/** Like `find`. Throws `not-found` for everything outside the scope. */
export function locate(session: OpenSession, path: VirtualPath): PathTarget {
  const place = find(session, path);
  if (place.kind === 'absent') throw notFound();
  return place;
}

/**
 * Finds the entry inside a folder to which a path leads. For the levels above, and for names beside them, it throws
 * what the request is told, by what it asks for (`wrong-kind.ts`).
 */
export function locateEntry(
  session: OpenSession,
  path: VirtualPath,
  asking: Asking,
): InFolder & { readonly name: string; readonly parents: VirtualPath } {
  const place = find(session, path);
  if (place.kind === 'absent')
    throw (place.isLast ? besideLevels(asking, place.customer, session.account.readOnly) : undefined) ?? notFound();
  const name = place.kind === 'folder' ? place.rest.at(-1) : undefined;
  if (place.kind !== 'folder' || name === undefined) throw atLevel[asking]();
  return { ...place, name, parents: place.rest.slice(0, -1) };
}

/** Returns whether there is a file of this name that the session may know of. */
export async function knowsFile(
  tx: Transaction,
  session: OpenSession,
  folder: FolderScope,
  parent: DirectoryId | null,
  name: string,
): Promise<boolean> {
  const file = await findFile(tx, folder.id, parent, name);
  const version = file && (await visibleVersion(tx, file, session.account.id));
  return version !== undefined && (version.account === session.account.id || folder.verbs.has('list'));
}

type Missing = (parent: DirectoryId | null, name: string) => Promise<CofferdamError>;

/**
 * Follows a list of directories inside a folder. Returns null for the folder itself. Throws what `missing` returns when
 * a directory is missing: by default `not-found`.
 */
export async function walk(
  tx: Transaction,
  folder: FolderId,
  directories: VirtualPath,
  missing: Missing = async () => notFound(),
): Promise<DirectoryId | null> {
  let parent: DirectoryId | null = null;
  for (const name of directories) {
    const found: DirectoryId | undefined = await findDirectory(tx, folder, parent, name);
    if (found === undefined) throw await missing(parent, name);
    parent = found;
  }
  return parent;
}

/**
 * Like `walk`, for operations that put something into the directory: it cannot be removed until the transaction ends.
 * The directories above it are not empty, so they cannot be removed either. Throws `conflict` when one of them is a
 * file.
 */
export async function walkHolding(
  tx: Transaction,
  session: OpenSession,
  folder: FolderScope,
  directories: VirtualPath,
): Promise<DirectoryId | null> {
  const name = directories.at(-1);
  if (name === undefined) return null;
  const missing: Missing = async (above, one) =>
    (await knowsFile(tx, session, folder, above, one)) ? isFileOnTheWay(one) : notFound();
  const parent = await walk(tx, folder.id, directories.slice(0, -1), missing);
  const held = await holdDirectory(tx, folder.id, parent, name);
  if (held === undefined) throw await missing(parent, name);
  return held;
}

/**
 * Throws `denied` unless the session holds the verb in this folder. For verbs that change something, the account must
 * not be read-only either.
 */
export function requireVerb(session: OpenSession, folder: FolderScope, verb: Verb): void {
  const changes = verb !== 'list' && verb !== 'read';
  if (!folder.verbs.has(verb) || (changes && session.account.readOnly))
    throw new CofferdamError('denied', 'permission denied in this folder');
}

export const scopeOf = (customer: { readonly id: CustomerId }): readonly CustomerId[] => [customer.id];
