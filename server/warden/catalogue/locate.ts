// Owns: what a path, as a list of components, leads to inside the session's own scope.
// Must never: look outside the scope. A name of another customer is answered as if it did not exist (T-07).
import { CofferdamError } from '../../domain/errors.ts';
import type { CustomerId, DirectoryId, FolderId, Verb } from '../../domain/ids.ts';
import type { VirtualPath } from '../../domain/paths.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { CustomerScope, FolderScope, OpenSession } from '../sessions/open-session.ts';
import { findDirectory, holdDirectory } from './tree-queries.ts';

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

export function notFound(): CofferdamError {
  return new CofferdamError('not-found', 'no such file or directory');
}

/**
 * Finds what a path leads to: /folder/… for partner accounts, /customer/folder/… for internal accounts. Throws
 * `not-found` for everything outside the scope.
 */
export function locate(session: OpenSession, path: VirtualPath): PathTarget {
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
  if (customer === undefined) throw notFound();
  const [folderName, ...rest] = components;
  if (folderName === undefined) return { kind: 'customer', customer };
  const folder = customer.folders.find((one) => one.name === folderName);
  if (folder === undefined) throw notFound();
  return { kind: 'folder', customer, folder, rest };
}

/**
 * Finds the entry inside a folder to which a path leads, for operations that change entries. Throws `denied` for the
 * levels above.
 */
export function locateEntry(
  session: OpenSession,
  path: VirtualPath,
): InFolder & { readonly name: string; readonly parents: VirtualPath } {
  const place = locate(session, path);
  const name = place.kind === 'folder' ? place.rest.at(-1) : undefined;
  if (place.kind !== 'folder' || name === undefined)
    throw new CofferdamError('denied', 'this level is set up by the operator and cannot be changed');
  return { ...place, name, parents: place.rest.slice(0, -1) };
}

/**
 * Follows a list of directories inside a folder. Returns null for the folder itself. Throws `not-found` when a
 * directory is missing.
 */
export async function walk(tx: Transaction, folder: FolderId, directories: VirtualPath): Promise<DirectoryId | null> {
  let parent: DirectoryId | null = null;
  for (const name of directories) {
    const found: DirectoryId | undefined = await findDirectory(tx, folder, parent, name);
    if (found === undefined) throw notFound();
    parent = found;
  }
  return parent;
}

/**
 * Like `walk`, for operations that put something into the directory: it cannot be removed until the transaction ends.
 * The directories above it are not empty, so they cannot be removed either.
 */
export async function walkHolding(
  tx: Transaction,
  folder: FolderId,
  directories: VirtualPath,
): Promise<DirectoryId | null> {
  const name = directories.at(-1);
  if (name === undefined) return null;
  const held = await holdDirectory(tx, folder, await walk(tx, folder, directories.slice(0, -1)), name);
  if (held === undefined) throw notFound();
  return held;
}

/**
 * Throws `denied` unless the session holds the verb in this folder. For verbs that change something, the account must
 * not be read-only either.
 */
export function requireVerb(session: OpenSession, folder: FolderScope, verb: Verb): void {
  const changes = verb === 'write' || verb === 'remove';
  if (!folder.verbs.has(verb) || (changes && session.account.readOnly))
    throw new CofferdamError('denied', 'permission denied in this folder');
}

export const scopeOf = (customer: { readonly id: CustomerId }): readonly CustomerId[] => [customer.id];
