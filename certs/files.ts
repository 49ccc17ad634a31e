// Owns: how certs/ writes files: a new file appears complete and never replaces another one, an existing file is
// replaced by renaming, and a key is readable by its owner only.
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { CofferdamError } from '../server/domain/errors.ts';

export type NewFile = {
  readonly path: string;
  readonly text: string;
  readonly mode: number;
  /** The user who gets the file when root creates it for somebody else. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
};

const fileBytesMax = 1024 * 1024;

/** Writes a file beside `path`, durable and with its final mode. Returns the path of that file. */
function writeBeside({ path, text, mode, owner }: NewFile): string {
  const beside = `${path}.${randomBytes(6).toString('hex')}.new`;
  const file = openSync(beside, 'wx', mode);
  try {
    // The owner is changed through the descriptor, so that nobody can put another file in its place meanwhile.
    if (owner !== undefined && process.getuid?.() === 0) fchownSync(file, owner.uid, owner.gid);
    fchmodSync(file, mode);
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  return beside;
}

function keepDirectory(path: string): void {
  const directory = openSync(dirname(path), 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/** Throws `conflict` when one of the paths exists already. */
export function checkFree(paths: readonly string[]): void {
  const there = paths.find((path) => existsSync(path));
  if (there !== undefined) throw new CofferdamError('conflict', `${there} is there already: nothing is overwritten`);
}

/** Writes all of the files or none. Throws `conflict` when one of them exists already. */
export function writeNew(files: readonly NewFile[]): void {
  checkFree(files.map((one) => one.path));
  const made: string[] = [];
  try {
    for (const file of files) {
      const beside = writeBeside(file);
      try {
        // A link is used and not a rename, because a link fails when another process has created the file meanwhile.
        linkSync(beside, file.path);
        made.push(file.path);
      } finally {
        rmSync(beside, { force: true });
      }
    }
    for (const directory of new Set(files.map((one) => dirname(one.path)))) keepDirectory(`${directory}/.`);
  } catch (cause) {
    for (const path of made) rmSync(path, { force: true });
    throw writeFault(files[made.length]?.path ?? '', cause);
  }
}

/** Replaces a file. After a failure it has either the new content or the old one. */
export function replace(file: NewFile): void {
  try {
    const beside = writeBeside(file);
    try {
      renameSync(beside, file.path);
    } catch (error) {
      rmSync(beside, { force: true });
      throw error;
    }
    keepDirectory(file.path);
  } catch (cause) {
    throw writeFault(file.path, cause);
  }
}

export function writeFault(path: string, cause: unknown): CofferdamError {
  if (cause instanceof CofferdamError) return cause;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error';
  return code === 'EEXIST'
    ? new CofferdamError('conflict', `${path} is there already: nothing is overwritten`, { cause })
    : new CofferdamError('invalid', `${path} cannot be written (${code})`, { cause });
}

/** Reads a text file. Throws `invalid`, with the name of the file, when it cannot be read or is too long. */
export function readText(path: string, what: string): string {
  try {
    const bytes = readFileSync(path);
    if (bytes.length > fileBytesMax) throw new CofferdamError('invalid', `${path} is too long for ${what}`);
    return bytes.toString('utf8');
  } catch (cause) {
    if (cause instanceof CofferdamError) throw cause;
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error';
    throw new CofferdamError('invalid', `${what} cannot be read from ${path} (${code})`, { cause });
  }
}
