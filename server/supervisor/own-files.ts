// Owns: what a start does with files and directories below the runtime directory, mostly as root. It always works
// through a descriptor that was opened without following a link, on a path of directories that belong to the starter
// alone.
// Must never: change the owner or the mode of anything by its name, or read anything but a plain file of the starter or
// of the role to which it belongs.
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { createDurably, removeUnfinished } from '../disk/durable-file.ts';
import { CofferdamError } from '../domain/errors.ts';

type Owner = { readonly uid: number; readonly gid: number };

const secretBytesMax = 4096;

export const self = (): Owner => ({ uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 });
const isRoot = (): boolean => process.getuid?.() === 0;
const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : undefined);

function refusal(path: string, why: string, cause?: unknown): CofferdamError {
  return new CofferdamError('configuration', `${path} ${why}; nothing was changed there: find out who put it there`, {
    cause,
  });
}

/**
 * Checks every directory below `top` down to `path`, and creates what is missing. When the starter is root, each of
 * them must belong to root, and nobody else may be able to put or replace anything in it. Throws `configuration`
 * otherwise.
 */
function secureWay(top: string, path: string): void {
  if (path !== top && path.startsWith(`${top}/`)) secureWay(top, dirname(path));
  if (path === top || !path.startsWith(`${top}/`)) return;
  try {
    mkdirSync(path, { mode: 0o755 });
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  }
  const seen = lstatSync(path);
  if (!seen.isDirectory()) throw refusal(path, 'is no directory');
  if (isRoot() && (seen.uid !== 0 || (seen.mode & 0o022) !== 0))
    throw refusal(
      path,
      `belongs to the user ${seen.uid} or is open to others, and stands above a directory of the layout`,
    );
}

/**
 * Creates a directory, and sets its owner and mode. At `top` and above it the administrator decides, so links are
 * allowed there.
 */
export function placeDirectory(top: string, path: string, owner: Owner, mode: number): void {
  if (path.startsWith(`${top}/`)) {
    secureWay(top, dirname(path));
    try {
      mkdirSync(path, { mode: 0o700 });
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
    }
  } else mkdirSync(path, { recursive: true });
  const follows = path.startsWith(`${top}/`) ? constants.O_NOFOLLOW : 0;
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | follows);
  } catch (cause) {
    if (codeOf(cause) === 'ELOOP' || codeOf(cause) === 'ENOTDIR') throw refusal(path, 'is no directory', cause);
    throw cause;
  }
  try {
    if (isRoot()) fchownSync(file, owner.uid, owner.gid);
    fchmodSync(file, mode);
  } finally {
    closeSync(file);
  }
}

/**
 * Returns the bytes of a plain file, or undefined when there is none. Throws `configuration` for a link, a hard link, a
 * pipe, a directory, a file longer than `bytesMax`, or a file whose owner is neither the starter nor `owner`.
 */
function readOwnFile(path: string, owner: Owner, bytesMax: number, work?: (file: number) => void): Buffer | undefined {
  let file: number;
  try {
    // Opened without blocking, because a pipe in the place of the file would block the start for ever.
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return undefined;
    if (codeOf(cause) === 'ELOOP') throw refusal(path, 'is a link', cause);
    throw refusal(path, `cannot be opened (${String(codeOf(cause))})`, cause);
  }
  try {
    const seen = fstatSync(file);
    if (!seen.isFile()) throw refusal(path, 'is no plain file');
    if (seen.nlink !== 1) throw refusal(path, 'has a second hard link');
    if (seen.uid !== self().uid && seen.uid !== owner.uid) throw refusal(path, `belongs to the user ${seen.uid}`);
    if (seen.size > bytesMax) throw refusal(path, `is longer than ${bytesMax} bytes`);
    const buffer = Buffer.alloc(seen.size);
    const bytes = readSync(file, buffer, 0, buffer.length, 0);
    work?.(file);
    return buffer.subarray(0, bytes);
  } finally {
    closeSync(file);
  }
}

/**
 * Returns the secret in `path`, and sets the file's owner and mode. When there is no file, `make` creates the secret.
 */
export function ensureOwnSecret(path: string, owner: Owner, mode: number, make: () => string): string {
  const adopt = (file: number): void => {
    if (isRoot()) fchownSync(file, owner.uid, owner.gid);
    fchmodSync(file, mode);
  };
  // A start that was killed while it created the file left it with two names.
  removeUnfinished(path);
  const there = readOwnFile(path, owner, secretBytesMax, adopt);
  if (there !== undefined) return there.toString('utf8').trim();
  const made = make();
  createDurably({ path, content: `${made}\n`, owner, mode });
  return made;
}
