// Owns: the file in which a verifier keeps what the next run goes on from. It is readable by its owner only, replaced
// in one step, and begins with a checksum by which a damaged file is recognised.
// Must never: use a file that others may write, leave half a file under the name of a whole one, or let two processes
// work with one file at once.
import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, linkSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { secretForbidden } from '../config/owned-paths.ts';
import { replaceDurably } from '../disk/durable-file.ts';
import { CofferdamError } from '../domain/errors.ts';

/**
 * The largest file that is read or written. A state has some hundred bytes for each tree, and a megabyte of
 * checkpoints.
 */
const bytesMax = 256 * 1024 * 1024;

const sumOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Opens a file for `work`, and closes it however the work ends. */
function withFile<T>(path: string, flags: number, work: (file: number) => T): T {
  const file = openSync(path, flags, 0o600);
  try {
    return work(file);
  } finally {
    closeSync(file);
  }
}

/** Returns what was written last, or a sentence that says why it cannot be used. */
export function readState(path: string): { readonly value: unknown } | string {
  try {
    return withFile(path, constants.O_RDONLY | constants.O_NOFOLLOW, (file) => {
      const { mode, uid, size } = fstatSync(file);
      if ((mode & secretForbidden) !== 0 || uid !== process.getuid?.())
        return `the state ${path} is not for this user only (mode ${(mode & 0o777).toString(8)}, user ${uid}): remove it`;
      if (size > bytesMax) return `the state ${path} is longer than a state can be`;
      const text = readFileSync(file, 'utf8');
      const body = text.slice(65);
      if (text.slice(0, 65) !== `${sumOf(body)}\n`) return `the state ${path} is damaged: its checksum is wrong`;
      return { value: JSON.parse(body) as unknown };
    });
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return `there is no state yet at ${path}`;
    return `the state ${path} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`;
  }
}

/** Replaces the state. Throws the error of the disk; then the file is the former one, or there is none. */
export function writeState(path: string, value: unknown): void {
  const body = JSON.stringify(value);
  if (body.length > bytesMax) throw new RangeError('the state is longer than a state can be');
  replaceDurably({ path, content: `${sumOf(body)}\n${body}`, mode: 0o600 });
}

export function removeState(path: string): void {
  rmSync(path, { force: true });
}

export type StateLock = { end(): void };

/**
 * Returns when a process began, in clock ticks since the start of the machine; undefined when there is no such process.
 * This tells a process from a later one with the same id.
 */
function beganAt(pid: number): string | undefined {
  try {
    // The name of the program may have blanks and brackets, so the 22nd field is counted from the end of that name.
    return readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')[19];
  } catch {
    return undefined;
  }
}

/** Returns the id of the process that holds a lock; undefined when that process has ended. */
function holderOf(path: string): number | undefined {
  const [, pid = '', began] = /^(\d+) (\d+)\n$/.exec(readFileSync(path, 'utf8')) ?? [];
  return began !== undefined && beganAt(Number(pid)) === began ? Number(pid) : undefined;
}

/**
 * Takes the lock of a state for one run. Throws `conflict` when a process that is alive has it; the lock of one that
 * ended without giving it back is taken over.
 */
export function stateLock(state: string): StateLock {
  const path = `${state}.lock`;
  const own = `${path}.${process.pid}`;
  const text = `${process.pid} ${beganAt(process.pid) ?? '0'}\n`;
  rmSync(own, { force: true });
  withFile(own, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, (file) =>
    writeFileSync(file, text),
  );
  try {
    for (let isLast = false; ; isLast = true)
      try {
        // The lock file is linked complete, so nobody reads it without its content.
        linkSync(own, path);
        return { end: () => rmSync(path, { force: true }) };
      } catch (cause) {
        if (!(cause instanceof Error && 'code' in cause && cause.code === 'EEXIST')) throw cause;
        const holder = holderOf(path);
        if (holder !== undefined || isLast)
          throw new CofferdamError(
            'conflict',
            `another run with the state ${state} is under way (process ${holder ?? 'unknown'}): wait for its end, or give this one a state of its own`,
          );
        rmSync(path, { force: true });
      }
  } finally {
    rmSync(own, { force: true });
  }
}
