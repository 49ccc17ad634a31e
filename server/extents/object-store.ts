// Owns: the warden's side of the extent store on a POSIX directory: taking objects over from `incoming/`, deleting, listing.
// Must never: open a sealed object's plaintext, follow a link, or share an inode with a file that an edge could still write.
// Life of an object: the edge writes incoming/<node>/<id>; the warden copies it to objects/new/<id>.<random>, its own new file, read-only, and hashes what
// it writes there; in the transaction that takes the object's pending row it gets its name objects/<ab>/<id>, by a link that replaces nothing. The file and
// its directory are durable before the row is committed. An edge that kept its descriptor holds the old inode, which is deleted.
import { createHash, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, lstat, mkdir, open, opendir, rm, rmdir, statfs, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { CofferdamError } from '../domain/errors.ts';
import type { NodeName, ObjectId } from '../domain/ids.ts';

export type StorePaths = { readonly incoming: (node: string) => string; readonly objects: string };

const chunkBytes = 1024 * 1024;

/** A durable copy that has no name of an object yet. Each try has its own: what one try hashed is what it publishes. */
export type StagedObject = { readonly object: ObjectId; readonly path: string; readonly sealedBytes: number; readonly digest: Buffer };

const stagedDirectory = (paths: StorePaths): string => join(paths.objects, 'new');

export function objectPath(objects: string, object: ObjectId): string {
  return join(objects, object.slice(0, 2), object);
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Hashes exactly so many bytes of a file, and writes them to another one when there is one. */
async function hashBytes(from: FileHandle, bytes: number, to?: FileHandle): Promise<Buffer> {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(Math.min(chunkBytes, bytes));
  let done = 0;
  while (done < bytes) {
    const { bytesRead } = await from.read(buffer, 0, Math.min(buffer.length, bytes - done), done);
    if (bytesRead === 0) throw new CofferdamError('invalid', 'the object is shorter than was said');
    const chunk = buffer.subarray(0, bytesRead);
    hash.update(chunk);
    let written = to === undefined ? bytesRead : 0;
    while (to !== undefined && written < bytesRead)
      written += (await to.write(chunk, written, bytesRead - written, done + written)).bytesWritten;
    done += bytesRead;
  }
  return hash.digest();
}

/** Makes a directory of the store, and its name durable. */
async function ensureDirectory(paths: StorePaths, path: string): Promise<void> {
  if ((await mkdir(path, { recursive: true, mode: 0o2750 })) !== undefined) await syncDirectory(paths.objects);
}

/**
 * Copies one object out of a node's incoming directory; the copy is durable then, the incoming file still there, and no object has changed.
 * Throws `invalid` when the file is not a plain, singly linked file of exactly this size.
 */
export async function stageObject(paths: StorePaths, node: NodeName, object: ObjectId, sealedBytes: number): Promise<StagedObject> {
  const source = await open(join(paths.incoming(node), object), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    (cause: unknown) => {
      throw new CofferdamError('invalid', 'the object is not there', { cause });
    },
  );
  const path = join(stagedDirectory(paths), `${object}.${randomBytes(8).toString('hex')}`);
  try {
    const info = await source.stat();
    if (!info.isFile() || info.nlink !== 1 || info.size !== sealedBytes)
      throw new CofferdamError('invalid', 'the object is not what was said');
    await ensureDirectory(paths, stagedDirectory(paths));
    const target = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o440);
    try {
      const digest = await hashBytes(source, sealedBytes, target);
      await target.datasync();
      return { object, path, sealedBytes, digest };
    } finally {
      await target.close();
    }
  } catch (error) {
    await rm(path, { force: true });
    if (isNoSpace(error)) throw new CofferdamError('over-limit', 'the store is full', { cause: error });
    throw error;
  } finally {
    await source.close();
  }
}

/**
 * Gives a staged copy the name of its object, durably. Call it where the object's pending row was taken, in that transaction: no other try can then.
 * A name that is there already came from such a transaction that was not committed; it stays, and counts only when it holds the same bytes.
 */
export async function publishObject(paths: StorePaths, staged: StagedObject): Promise<void> {
  const path = objectPath(paths.objects, staged.object);
  const directory = join(paths.objects, staged.object.slice(0, 2));
  await ensureDirectory(paths, directory);
  try {
    await link(staged.path, path);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    const there = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      const { size } = await there.stat();
      if (size !== staged.sealedBytes || !(await hashBytes(there, size)).equals(staged.digest))
        throw new CofferdamError('conflict', 'this object was taken over with other content; send the file again');
    } finally {
      await there.close();
    }
  }
  await syncDirectory(directory);
}

/** The copy's own name goes; a published object keeps its other one. */
export async function discardStaged(staged: StagedObject): Promise<void> {
  await rm(staged.path, { force: true });
}

function isNoSpace(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
}

export async function removeIncoming(paths: StorePaths, node: NodeName, object: ObjectId): Promise<void> {
  await rm(join(paths.incoming(node), object), { force: true });
}

export async function deleteObject(paths: StorePaths, object: ObjectId): Promise<void> {
  await rm(objectPath(paths.objects, object), { force: true });
}

/** `bytes`: what it takes of the volume, whatever it says its length is. `kind`: what stands under that name. Only a `file` is an object; nothing else was put there by a program of ours. */
export type Found = { readonly name: string; readonly kind: 'file' | 'other'; readonly ageMs: number; readonly bytes: number };
/** `isWhole`: false when there is more than was listed. `fault`: why it could not be listed, or not to its end. */
export type Listing = { readonly found: readonly Found[]; readonly isWhole: boolean; readonly fault: string | null };

/** Of `st_blocks`, whatever the file system's own are. */
const blockBytes = 512;
const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : 'unknown error');

/** Its owner may set the time of a change forward, and so keep a file young for ever; not the time of the inode. */
const ageOf = (info: { readonly mtimeMs: number; readonly ctimeMs: number }): number => Date.now() - Math.min(info.mtimeMs, info.ctimeMs);

/** Up to `max` names of a directory, whatever stands there, read in pieces: whoever filled it decides neither memory nor outcome. */
async function listFiles(directory: string, max: number): Promise<Listing> {
  const found: Found[] = [];
  try {
    for await (const { name } of await opendir(directory)) {
      if (found.length >= max) return { found, isWhole: false, fault: null };
      const info = await lstat(join(directory, name)).catch(() => undefined);
      if (info !== undefined)
        found.push({ name, kind: info.isFile() ? 'file' : 'other', ageMs: ageOf(info), bytes: info.blocks * blockBytes });
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

/** The objects of one of the 256 sub-directories (`prefix` = two hexadecimal digits). */
export function listObjects(paths: StorePaths, prefix: string, max: number): Promise<Listing> {
  return listFiles(join(paths.objects, prefix), max);
}

/** Copies whose process went before they got a name. */
export function listStaged(paths: StorePaths, max: number): Promise<Listing> {
  return listFiles(stagedDirectory(paths), max);
}

/** Removes what stands in a directory of the store under a name that was listed there: a file of any kind, or an empty directory. */
export async function removeStray(paths: StorePaths, place: { readonly node: string } | 'staged', found: Found): Promise<void> {
  const path = join(place === 'staged' ? stagedDirectory(paths) : paths.incoming(place.node), found.name);
  await unlink(path).catch(async (error: unknown) => {
    if (!['EISDIR', 'EPERM'].includes(codeOf(error))) throw error;
    await rmdir(path);
  });
}

/** Bytes an ordinary user may still write. */
export async function freeBytes(directory: string): Promise<number> {
  const info = await statfs(directory);
  return info.bavail * info.bsize;
}
