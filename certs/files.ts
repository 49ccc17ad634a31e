// Owns: how certs/ writes files: a new file appears complete and never replaces another one, an existing file is
// replaced by renaming, and a key is readable by its owner only.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { createDurably, type DurableFile, replaceDurably } from '../server/disk/durable-file.ts';
import { CofferdamError } from '../server/domain/errors.ts';

const fileBytesMax = 1024 * 1024;

/** Throws `conflict` when one of the paths exists already. */
export function checkFree(paths: readonly string[]): void {
  const there = paths.find((path) => existsSync(path));
  if (there !== undefined) throw new CofferdamError('conflict', `${there} is there already: nothing is overwritten`);
}

/** Writes all of the files or none. Throws `conflict` when one of them exists already. */
export function writeNew(files: readonly DurableFile[]): void {
  checkFree(files.map((one) => one.path));
  const made: string[] = [];
  try {
    for (const file of files) {
      createDurably(file);
      made.push(file.path);
    }
  } catch (cause) {
    for (const path of made) rmSync(path, { force: true });
    throw writeFault(files[made.length]?.path ?? '', cause);
  }
}

/** Replaces a file. After a failure it has either the new content or the old one. */
export function replace(file: DurableFile): void {
  try {
    replaceDurably(file);
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
