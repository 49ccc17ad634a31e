// Owns: writing small files so that they survive a power cut: a file is complete under its name, or not there. A new
// content is written beside the name and flushed to the disk (fsync), it gets the name by a link or by a rename, and
// the directory is flushed, because the name is a part of the directory.
// Must never: let a reader see a part of a file, follow a link that has the name of a file, or report what is not
// durable as written.
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fsyncSync,
  linkSync,
  lstatSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

export type DurableFile = {
  readonly path: string;
  readonly content: string | Uint8Array;
  /** The permission bits, whatever the umask of the process. */
  readonly mode: number;
  /** The user who gets the file when root writes it for somebody else. Others than root cannot give files away. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
};

/** The file is new, so nobody else has it open; O_EXCL also refuses a link of this name. */
const asNew = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
/**
 * Returns where the next content of a file stands until it gets the name. A process that was killed may have left it
 * behind.
 */
const nextOf = (path: string): string => `${path}.new`;

/** Writes a content to the new file `beside`, durable and with the final mode and owner. */
function writeBeside(beside: string, { content, mode, owner }: DurableFile): void {
  const file = openSync(beside, asNew, 0o600);
  try {
    writeFileSync(file, content);
    // Through the descriptor, so that nobody can put another file in its place meanwhile.
    if (owner !== undefined && process.getuid?.() === 0) fchownSync(file, owner.uid, owner.gid);
    fchmodSync(file, mode);
    fsyncSync(file);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  } finally {
    closeSync(file);
  }
}

/**
 * How old the name of an unfinished creation must be before it is removed, in milliseconds. A creation takes a moment.
 */
const leftAfterMs = 60_000;

/**
 * Removes what killed creations of this file left beside it: a second name of the file itself, which a reader would
 * take for somebody else's link, and contents that never got the name. The creations of other processes are not
 * disturbed.
 */
export function removeUnfinished(path: string): void {
  const directory = dirname(path);
  const there = lstatSync(path, { throwIfNoEntry: false });
  let names: readonly string[];
  try {
    names = readdirSync(directory);
  } catch {
    return;
  }
  for (const name of names) {
    if (!name.startsWith(`${basename(path)}.`) || !/\.[0-9a-f]{12}\.new$/.test(name)) continue;
    const beside = join(directory, name);
    const found = lstatSync(beside, { throwIfNoEntry: false });
    const isSame = found !== undefined && found.ino === there?.ino && found.dev === there.dev;
    if (isSame || (found !== undefined && Date.now() - found.mtimeMs > leftAfterMs)) rmSync(beside, { force: true });
  }
}

/**
 * Creates a file. Several processes may try that at the same time, and one of them succeeds. Throws the error of the
 * disk, and then there is no new file; EEXIST means that something has this name already, and it is unchanged.
 */
export function createDurably(file: DurableFile): void {
  removeUnfinished(file.path);
  const beside = `${file.path}.${randomBytes(6).toString('hex')}.new`;
  writeBeside(beside, file);
  try {
    // A link is used and not a rename, because a link fails when another process has created the file meanwhile.
    linkSync(beside, file.path);
  } finally {
    rmSync(beside, { force: true });
  }
  try {
    syncDirectory(dirname(file.path));
  } catch (error) {
    rmSync(file.path, { force: true });
    throw error;
  }
}

/**
 * Creates a file, or replaces what has this name, unless that is a directory. Throws the error of the disk; then the
 * file has either its old content or the new one. One process at a time may replace a file.
 */
export function replaceDurably(file: DurableFile): void {
  const beside = nextOf(file.path);
  rmSync(beside, { force: true });
  writeBeside(beside, file);
  try {
    renameSync(beside, file.path);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  }
  syncDirectory(dirname(file.path));
}

/**
 * The same as `replaceDurably`, for a process that has to do something else while the disk works. The file belongs to
 * the process.
 */
export async function replaceDurablyMeanwhile({ path, content, mode }: Omit<DurableFile, 'owner'>): Promise<void> {
  const beside = nextOf(path);
  await rm(beside, { force: true });
  try {
    const file = await open(beside, asNew, 0o600);
    try {
      await file.writeFile(content);
      await file.chmod(mode);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
  await syncDirectoryMeanwhile(dirname(path));
}

const asDirectory = constants.O_RDONLY | constants.O_DIRECTORY;

/** Makes the names in a directory durable: those that were added, changed and removed. */
export function syncDirectory(path: string): void {
  const directory = openSync(path, asDirectory);
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/** The same as `syncDirectory`, for a process that has to do something else while the disk works. */
export async function syncDirectoryMeanwhile(path: string): Promise<void> {
  const directory = await open(path, asDirectory);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
