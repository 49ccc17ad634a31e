// Owns: the warden's side of the extent store on a POSIX directory:
// taking over objects from `incoming/`, deleting objects, and listing.
// Must never: decrypt a sealed object, follow a symbolic link, or share an inode with a file that an edge could still
// write.
// The life of an object: the edge writes incoming/<node>/<id>. The warden copies that file to
// objects/new/<id>.<random>, a new file of its own that is read-only, and hashes what it writes there. In the
// transaction that takes the object's pending row, the copy gets its name objects/<ab>/<id> by a hard link,
// which never replaces an existing name. The file and its directory are durable before the row is committed.
// An edge that kept its descriptor open holds the old inode only, and the old file is deleted (decision 24).
import { createHash, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, lstat, mkdir, open, opendir, rm, rmdir, statfs, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectoryMeanwhile } from '../disk/durable-file.ts';
import { CofferdamError } from '../domain/errors.ts';
import type { NodeName, ObjectId } from '../domain/ids.ts';
import { entryPart, filePart, objectDirectoryPart, objectPart, prefixPart } from '../domain/path-parts.ts';

export type StorePaths = { readonly incoming: (node: string) => string; readonly objects: string };

const chunkBytes = 1024 * 1024;

/**
 * A durable copy that does not have the name of its object yet. Each attempt makes
 * a copy of its own, so that an attempt publishes exactly the bytes that it hashed.
 */
export type StagedObject = { readonly object: ObjectId; readonly path: string; readonly digest: Buffer };

const stagedDirectory = (paths: StorePaths): string => join(paths.objects, 'new');

/**
 * Returns the path of an object. Throws `corrupt` when `object`, which may come from a row, has not the form of an id.
 */
export function objectPath(objects: string, object: ObjectId): string {
  return join(objects, objectDirectoryPart(object), objectPart(object));
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';

const incomingPath = (paths: StorePaths, node: NodeName, object: ObjectId): string =>
  join(paths.incoming(node), objectPart(object));

/**
 * Hashes exactly `bytes` bytes of a file with SHA-256 and, when `to` is
 * given, writes them to that file. Throws `invalid` when the file is shorter.
 */
async function hashBytes(from: FileHandle, bytes: number, to?: FileHandle): Promise<Buffer> {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(Math.min(chunkBytes, bytes));
  let done = 0;
  while (done < bytes) {
    const { bytesRead } = await from.read(buffer, 0, Math.min(buffer.length, bytes - done), done);
    if (bytesRead === 0) throw new CofferdamError('invalid', 'the object is shorter than declared');
    const chunk = buffer.subarray(0, bytesRead);
    hash.update(chunk);
    for (let written = 0; to !== undefined && written < bytesRead; )
      written += (await to.write(chunk, written, bytesRead - written, done + written)).bytesWritten;
    done += bytesRead;
  }
  return hash.digest();
}

/** Creates a directory of the store if it is missing, and makes its name durable. */
async function ensureDirectory(paths: StorePaths, path: string): Promise<void> {
  if ((await mkdir(path, { recursive: true, mode: 0o2750 })) !== undefined) await syncDirectoryMeanwhile(paths.objects);
}

/**
 * Copies one object out of a node's incoming directory. When this resolves, the copy
 * is durable, the incoming file still exists, and no published object has changed.
 * Throws `invalid` when the file is missing or is not a regular file with a
 * single link and exactly this size, and `over-limit` when the store is full.
 */
export async function stageObject(
  paths: StorePaths,
  node: NodeName,
  object: ObjectId,
  sealedBytes: number,
): Promise<StagedObject> {
  const source = await open(
    incomingPath(paths, node, object),
    constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
  ).catch((cause: unknown) => {
    throw new CofferdamError('invalid', 'the object is missing or cannot be opened', { cause });
  });
  const path = join(stagedDirectory(paths), filePart(`${objectPart(object)}.${randomBytes(8).toString('hex')}`));
  try {
    const info = await source.stat();
    if (!info.isFile() || info.nlink !== 1 || info.size !== sealedBytes)
      throw new CofferdamError('invalid', 'the object is not a regular file with a single link and the declared size');
    await ensureDirectory(paths, stagedDirectory(paths));
    const target = await open(
      path,
      constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
      0o440,
    );
    try {
      const digest = await hashBytes(source, sealedBytes, target);
      await target.datasync();
      return { object, path, digest };
    } finally {
      await target.close();
    }
  } catch (error) {
    await rm(path, { force: true });
    if (['ENOSPC', 'EDQUOT'].includes(codeOf(error)))
      throw new CofferdamError('over-limit', 'the store is full', { cause: error });
    throw error;
  } finally {
    await source.close();
  }
}

/**
 * Gives a staged copy the name of its object, durably. Must be called in the transaction
 * that took the object's pending row, so that no other attempt can do the same.
 * If the name exists already, it was left by such a transaction that was not committed. The existing
 * file stays, and counts only when it holds the same bytes; otherwise this throws `conflict`.
 */
export async function publishObject(paths: StorePaths, staged: StagedObject): Promise<void> {
  const path = objectPath(paths.objects, staged.object);
  const directory = join(paths.objects, objectDirectoryPart(staged.object));
  await ensureDirectory(paths, directory);
  try {
    await link(staged.path, path);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
    const there = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      const { size } = await there.stat();
      if (!(await hashBytes(there, size)).equals(staged.digest))
        throw new CofferdamError(
          'conflict',
          'this object is already stored with different content; send the file again',
        );
    } finally {
      await there.close();
    }
  }
  await syncDirectoryMeanwhile(directory);
}

/** Deletes the staged name of a copy. A published object keeps its own name. */
export async function discardStaged(staged: StagedObject): Promise<void> {
  await rm(staged.path, { force: true });
}

export async function removeIncoming(paths: StorePaths, node: NodeName, object: ObjectId): Promise<void> {
  await rm(incomingPath(paths, node, object), { force: true });
}

export async function deleteObject(paths: StorePaths, object: ObjectId): Promise<void> {
  await rm(objectPath(paths.objects, object), { force: true });
}

/**
 * An entry of a directory of the store. Each character of `name` is one byte (latin1): whoever may write there chooses
 * the bytes, and bytes that are no UTF-8 would become a name under which nothing is found. `bytes` is the space that it
 * takes on the volume, whatever its length is. Only a `file` can be an object; none of our programs creates anything
 * else there.
 */
export type Found = {
  readonly name: string;
  readonly kind: 'file' | 'other';
  readonly ageMs: number;
  readonly bytes: number;
};
/**
 * `isWhole` is false when the directory holds more than was listed. `fault` is the error code
 * when the directory could not be listed to its end. A missing directory counts as empty.
 */
export type Listing = { readonly found: readonly Found[]; readonly isWhole: boolean; readonly fault: string | null };

/** The unit of `st_blocks`, in bytes; the same for every file system. */
const blockBytes = 512;

/**
 * Returns the age of a file in milliseconds. The owner of a file can set its modification time into the future,
 * which would keep the file young for ever, but cannot set the inode change time. The earlier of the two counts.
 */
const ageOf = (info: { readonly mtimeMs: number; readonly ctimeMs: number }): number =>
  Date.now() - Math.min(info.mtimeMs, info.ctimeMs);

/** The path of an entry, in the bytes of its name. */
const entryPath = (directory: string, name: string): Buffer =>
  Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(entryPart(name), 'latin1')]);

/**
 * Lists up to `max` names of a directory, of whatever kind, in portions. A process
 * that fills the directory can neither exhaust memory nor make the listing fail.
 */
async function listFiles(directory: string, max: number): Promise<Listing> {
  const found: Found[] = [];
  try {
    for await (const { name } of await opendir(directory, { encoding: 'latin1' })) {
      if (found.length >= max) return { found, isWhole: false, fault: null };
      const info = await lstat(entryPath(directory, name)).catch((error: unknown) => {
        if (codeOf(error) !== 'ENOENT') throw error;
      });
      // It may be gone by now.
      if (info !== undefined)
        found.push({
          name,
          kind: info.isFile() ? 'file' : 'other',
          ageMs: ageOf(info),
          bytes: info.blocks * blockBytes,
        });
    }
    return { found, isWhole: true, fault: null };
  } catch (error) {
    const code = codeOf(error);
    return { found, isWhole: code === 'ENOENT', fault: code === 'ENOENT' ? null : code };
  }
}

export function listIncoming(paths: StorePaths, node: string, max: number): Promise<Listing> {
  return listFiles(paths.incoming(node), max);
}

/** Lists the objects of one of the 256 sub-directories; `prefix` is its name, two hexadecimal digits. */
export function listObjects(paths: StorePaths, prefix: string, max: number): Promise<Listing> {
  return listFiles(join(paths.objects, prefixPart(prefix)), max);
}

/** Lists the staged copies that were left by a process that ended before it published them. */
export function listStaged(paths: StorePaths, max: number): Promise<Listing> {
  return listFiles(stagedDirectory(paths), max);
}

/** Removes an entry of a directory of the store that was listed before: a file of any kind, or an empty directory. */
export async function removeStray(
  paths: StorePaths,
  place: { readonly node: string } | 'staged',
  found: Found,
): Promise<void> {
  const path = entryPath(place === 'staged' ? stagedDirectory(paths) : paths.incoming(place.node), found.name);
  await unlink(path).catch(async (error: unknown) => {
    if (!['EISDIR', 'EPERM'].includes(codeOf(error))) throw error;
    await rmdir(path);
  });
}

/** Returns the number of bytes that an unprivileged user may still write to the volume. */
export async function freeBytes(directory: string): Promise<number> {
  const info = await statfs(directory);
  return info.bavail * info.bsize;
}
