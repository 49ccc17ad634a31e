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
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { CofferdamError } from '../domain/errors.ts';

export type Owner = { readonly uid: number; readonly gid: number };

const secretBytesMax = 4096;

export const self = (): Owner => ({ uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 });
const isRoot = (): boolean => process.getuid?.() === 0;
const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : undefined);

function refusal(path: string, why: string, cause?: unknown): CofferdamError {
  return new CofferdamError('configuration', `${path} ${why}; nothing was changed there: find out who put it there`, { cause });
}

/**
 * Checks every directory below `top` down to `path`, and creates what is missing. When the starter is root, each of them
 * must belong to root, and nobody else may be able to put or replace anything in it. Throws `configuration` otherwise.
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
    throw refusal(path, `belongs to the user ${seen.uid} or is open to others, and stands above a directory of the layout`);
}

/** Creates a directory, and sets its owner and mode. At `top` and above it the administrator decides, so links are allowed there. */
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
export function readOwnFile(path: string, owner: Owner, bytesMax: number, work?: (file: number) => void): Buffer | undefined {
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
 * Writes a new file with its owner, mode and content, and waits until it is durable. Throws when something with this
 * name exists, a link included.
 */
export function writeOwnFile(path: string, content: string, owner: Owner, mode: number): void {
  const file = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
  try {
    writeSync(file, content);
    if (isRoot()) fchownSync(file, owner.uid, owner.gid);
    fchmodSync(file, mode);
    fsyncSync(file);
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  } finally {
    closeSync(file);
  }
}

/** Removes what has this name, unless it is a directory, and writes a new file. */
export function replaceOwnFile(path: string, content: string, owner: Owner, mode: number): void {
  rmSync(path, { force: true });
  writeOwnFile(path, content, owner, mode);
}

/** Returns the secret in `path`, and sets the file's owner and mode. When there is no file, `make` creates the secret. */
export function ensureOwnSecret(path: string, owner: Owner, mode: number, make: () => string): string {
  const adopt = (file: number): void => {
    if (isRoot()) fchownSync(file, owner.uid, owner.gid);
    fchmodSync(file, mode);
  };
  const there = readOwnFile(path, owner, secretBytesMax, adopt);
  if (there !== undefined) return there.toString('utf8').trim();
  const made = make();
  writeOwnFile(path, `${made}\n`, owner, mode);
  return made;
}
