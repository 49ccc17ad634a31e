// Owns: what a request is told when the name that it states is of another kind than it needs, or lies where nothing can
// be put, by what the request asks for.
// Must never: say that something is not there when it is, or name a folder that the session may not use.
import { CofferdamError } from '../../domain/errors.ts';
import type { CustomerScope } from '../sessions/open-session.ts';

/** What a request asks of the last name of its path. */
export type Asking =
  | 'read'
  | 'write'
  | 'remove'
  | 'rename'
  | 'rename-to'
  | 'make-directory'
  | 'remove-directory'
  | 'set-times';

const conflict = (text: string) => (): CofferdamError => new CofferdamError('conflict', text);

export const isDirectory = conflict('this is a directory');
export const isNoDirectory = conflict('this is not a directory');
export const existsAlready = conflict('it exists already');
export const targetExists = conflict('the target exists already');
export const targetIsDirectory = conflict('the target is a directory');
export const directoriesKeepNames = conflict('directories are not renamed here: make one of the new name');
/** Somebody else's upload, which this session may not see, has the name. */
export const inUse = conflict('the name is in use');

const setUp = (): CofferdamError =>
  new CofferdamError('denied', 'this level is set up by the operator and cannot be changed');

/** What is said about a level that operators set up: the root, a customer, a folder. Each of them is a directory. */
export const atLevel: Readonly<Record<Asking, () => CofferdamError>> = {
  read: isDirectory,
  write: isDirectory,
  remove: isDirectory,
  rename: directoriesKeepNames,
  'rename-to': targetIsDirectory,
  'make-directory': existsAlready,
  'remove-directory': setUp,
  'set-times': setUp,
};

/** What would be made by a request; undefined for requests that only look a name up. */
const made: Readonly<Partial<Record<Asking, 'files' | 'directories'>>> = {
  write: 'files',
  'rename-to': 'files',
  'make-directory': 'directories',
};
/** No more folders are named in one refusal. */
const foldersNamedMax = 3;

/**
 * Returns what is said about a name that does not exist beside the customers (`customer` is undefined) or beside the
 * folders of a customer; undefined when the request looks the name up, for which it is just not there.
 */
export function besideLevels(
  asking: Asking,
  customer: CustomerScope | undefined,
  isReadOnly: boolean,
): CofferdamError | undefined {
  const what = made[asking];
  if (what === undefined) return undefined;
  if (customer === undefined)
    return new CofferdamError('conflict', `${what} go into the folders of a customer: customer/folder/`);
  const writable = isReadOnly ? [] : customer.folders.filter(({ verbs }) => verbs.has('write'));
  if (writable.length === 0) return new CofferdamError('denied', `this account may not make ${what}`);
  const named = writable.slice(0, foldersNamedMax).map(({ name }) => `${name}/`);
  return new CofferdamError('conflict', `${what} go into ${named.join(', ')}`);
}

/** What is said when a directory of a path is a file. */
export const isFileOnTheWay = (name: string): CofferdamError =>
  new CofferdamError('conflict', `${name} is not a directory`);
