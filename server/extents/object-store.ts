// Owns: the warden's side of the extent store on a POSIX directory: taking objects over from `incoming/`, deleting, listing.
// Must never: open a sealed object's plaintext, follow a link, or share an inode with a file that an edge could still write.
// Life of an object: the edge writes incoming/<node>/<id>; the warden copies it to objects/<ab>/<id>, its own new file, read-only;
// the copy and its directory are durable before the row is committed. An edge that kept its descriptor holds the old inode, which is deleted.
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { CofferdamError } from '../domain/errors.ts';
import { idOf, type NodeName, type ObjectId } from '../domain/ids.ts';

export type StorePaths = { readonly incoming: (node: string) => string; readonly objects: string };

const chunkBytes = 1024 * 1024;

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

async function copyHashed(from: FileHandle, to: FileHandle, bytes: number): Promise<Buffer> {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(Math.min(chunkBytes, bytes));
  let done = 0;
  while (done < bytes) {
    const { bytesRead } = await from.read(buffer, 0, Math.min(buffer.length, bytes - done), done);
    if (bytesRead === 0) throw new CofferdamError('invalid', 'the object is shorter than was said');
    const chunk = buffer.subarray(0, bytesRead);
    hash.update(chunk);
    let written = 0;
    while (written < bytesRead) written += (await to.write(chunk, written, bytesRead - written, done + written)).bytesWritten;
    done += bytesRead;
  }
  return hash.digest();
}

/**
 * Takes one object over from a node's incoming directory. Returns the SHA-256 of its ciphertext; the copy is durable then, the incoming file still there.
 * Throws `invalid` when the file is not a plain, singly linked file of exactly this size.
 */
export async function admitObject(paths: StorePaths, node: NodeName, object: ObjectId, sealedBytes: number): Promise<Buffer> {
  const source = await open(join(paths.incoming(node), object), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    (cause: unknown) => {
      throw new CofferdamError('invalid', 'the object is not there', { cause });
    },
  );
  try {
    const info = await source.stat();
    if (!info.isFile() || info.nlink !== 1 || info.size !== sealedBytes)
      throw new CofferdamError('invalid', 'the object is not what was said');
    const path = objectPath(paths.objects, object);
    const directory = join(paths.objects, object.slice(0, 2));
    await mkdir(directory, { recursive: true, mode: 0o2750 });
    // An earlier try of the same admission may have left a copy whose row never came.
    await rm(path, { force: true });
    const target = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o440);
    try {
      const digest = await copyHashed(source, target, sealedBytes);
      await target.datasync();
      await syncDirectory(directory);
      return digest;
    } finally {
      await target.close();
    }
  } catch (error) {
    if (isNoSpace(error)) throw new CofferdamError('over-limit', 'the store is full', { cause: error });
    throw error;
  } finally {
    await source.close();
  }
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

export type Found = { readonly object: ObjectId; readonly ageMs: number };

async function listFiles(directory: string, max: number): Promise<readonly Found[]> {
  const names = await readdir(directory).catch(() => []);
  const found: Found[] = [];
  for (const name of names) {
    if (!/^[0-9a-f]{32}$/.test(name) || found.length >= max) continue;
    const info = await stat(join(directory, name)).catch(() => undefined);
    if (info !== undefined) found.push({ object: idOf<ObjectId>(name), ageMs: Date.now() - info.mtimeMs });
  }
  return found;
}

export function listIncoming(paths: StorePaths, node: string, max: number): Promise<readonly Found[]> {
  return listFiles(paths.incoming(node), max);
}

/** The objects of one of the 256 sub-directories (`prefix` = two hexadecimal digits). */
export function listObjects(paths: StorePaths, prefix: string, max: number): Promise<readonly Found[]> {
  return listFiles(join(paths.objects, prefix), max);
}

/** Bytes an ordinary user may still write. */
export async function freeBytes(directory: string): Promise<number> {
  const info = await statfs(directory);
  return info.bavail * info.bsize;
}
