// Owns: the file in which a verifier keeps what the next run goes on from: for its owner only, replaced in one step, with a sum that tells a torn one.
// Must never: take what others may write, or leave half a file in the place of a whole one.
import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { secretForbidden } from '../config/places.ts';

/** Some hundred bytes for each tree, and a megabyte of checkpoints. */
const bytesMax = 256 * 1024 * 1024;

const sumOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Closes what was opened, whatever becomes of the work. */
function withFile<T>(path: string, flags: number, work: (file: number) => T): T {
  const file = openSync(path, flags, 0o600);
  try {
    return work(file);
  } finally {
    closeSync(file);
  }
}

/** What was written last, or a sentence that says why it cannot be used. */
export function readState(path: string): { readonly value: unknown } | string {
  try {
    return withFile(path, constants.O_RDONLY | constants.O_NOFOLLOW, (file) => {
      const { mode, uid, size } = fstatSync(file);
      if ((mode & secretForbidden) !== 0 || uid !== process.getuid?.())
        return `the state ${path} is not for this user only (mode ${(mode & 0o777).toString(8)}, user ${uid}): remove it`;
      if (size > bytesMax) return `the state ${path} is longer than any of this format`;
      const text = readFileSync(file, 'utf8');
      const body = text.slice(65);
      if (text.slice(0, 65) !== `${sumOf(body)}\n`) return `the state ${path} is torn: its sum does not fit`;
      return { value: JSON.parse(body) as unknown };
    });
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return `there is no state yet at ${path}`;
    return `the state ${path} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`;
  }
}

/** Throws what the disk says; then the file is the one before, or none. */
export function writeState(path: string, value: unknown): void {
  const draft = `${path}.draft`;
  const body = JSON.stringify(value);
  if (body.length > bytesMax) throw new RangeError('the state is longer than its format allows');
  rmSync(draft, { force: true });
  withFile(draft, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, (file) => {
    writeFileSync(file, `${sumOf(body)}\n${body}`);
    fsyncSync(file);
  });
  renameSync(draft, path);
  withFile(dirname(path), constants.O_RDONLY, fsyncSync);
}

export function removeState(path: string): void {
  rmSync(path, { force: true });
}
