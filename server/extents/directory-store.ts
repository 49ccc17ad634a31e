// Owns: the adapter of the store on a POSIX directory: objects/<ab>/<id>, written in objects/new/ and published by a
// hard link, which never replaces a name. Pieces pass the page cache by where the file system allows it (O_DIRECT):
// nobody reads them again soon, and copying them through the cache costs more than the disk does.
// Must never: follow a symbolic link, write into a file that exists, or publish what is not on the disk.
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, lstat, mkdir, open, readdir, rm, rmdir, statfs, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectoryMeanwhile } from '../disk/durable-file.ts';
import { detach, held } from '../domain/detached.ts';
import { CofferdamError } from '../domain/errors.ts';
import type { ObjectId } from '../domain/ids.ts';
import { entryPart, filePart, objectDirectoryPart, objectPart, prefixPart } from '../domain/path-parts.ts';
import type { Found, Listing, NameRange, ObjectStore, ObjectWriter } from './object-store.ts';

/** The type declarations of Node.js leave it out. */
declare const WebAssembly: {
  readonly Memory: new (pages: {
    readonly initial: number;
    readonly maximum: number;
    readonly shared: true;
  }) => { readonly buffer: SharedArrayBuffer };
};

/** What O_DIRECT needs: memory and offsets at multiples of this many bytes. No disk of today needs more. */
const alignment = 4096;
/** The unit of memory that WebAssembly gives, in bytes. It begins at a page of the machine. */
const pageBytes = 65_536;
/** The unit of `st_blocks`, in bytes; the same for every file system. */
const blockBytes = 512;
const aligned = (bytes: number): number => Math.ceil(bytes / alignment) * alignment;

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';

/** Returns the path of an object. Throws `corrupt` when `object`, which may come from a row, is no id of an object. */
export function objectPath(objects: string, object: ObjectId): string {
  return join(objects, objectDirectoryPart(object), objectPart(object));
}

const unfinished = (objects: string): string => join(objects, 'new');

/**
 * Returns memory whose address is a multiple of 4,096, without native code: shared memory of WebAssembly is mapped by
 * pages. `bytes` is rounded up, so that the last piece of an object can be written in whole blocks.
 */
function alignedMemory(bytes: number): Buffer {
  const pages = Math.ceil(bytes / pageBytes);
  return Buffer.from(new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }).buffer);
}

/**
 * Returns the age of a file in milliseconds. The owner of a file can set its modification time into the future,
 * which would keep the file young for ever, but cannot set the inode change time. The earlier of the two counts.
 */
const ageOf = (info: { readonly mtimeMs: number; readonly ctimeMs: number }): number =>
  Date.now() - Math.min(info.mtimeMs, info.ctimeMs);

/** The path of an entry, in the bytes of its name. */
const entryPath = (directory: string, name: string): Buffer =>
  Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(entryPart(name), 'latin1')]);

/** Turns the errors of a full volume into `over-limit`, and returns all others as they are. */
const explained = (error: unknown): unknown =>
  ['ENOSPC', 'EDQUOT'].includes(codeOf(error))
    ? new CofferdamError('over-limit', 'the store is full', { cause: error })
    : error;

/** Writes all bytes at this offset; a call may write a part only. */
async function writeAll(file: FileHandle, memory: Buffer, bytes: number, offset: number): Promise<void> {
  for (let done = 0; done < bytes; ) done += (await file.write(memory, done, bytes - done, offset + done)).bytesWritten;
}

/** The directories of one store. Nothing in one of them is durable before the name of the directory is. */
class Directories {
  readonly #objects: string;
  /** The directories whose names this process has made durable, or is making so. */
  readonly #durable = new Map<string, Promise<void>>();

  constructor(objects: string) {
    this.#objects = objects;
  }

  /**
   * Creates a directory if it is missing, and makes its name durable, once for all who ask: one that exists may have
   * been created a moment ago. The kernel gives it the group of the store's directory, and the bit by which that goes
   * on; a role may not ask for such a bit itself.
   */
  ensure(path: string): Promise<void> {
    const known = this.#durable.get(path);
    if (known !== undefined) return known;
    const making = held(
      mkdir(path, { recursive: true, mode: 0o750 }).then(() => syncDirectoryMeanwhile(this.#objects)),
    );
    this.#durable.set(path, making);
    detach(making, () => this.#durable.delete(path));
    return making;
  }

  /** Does something in a directory, and once more when somebody had removed the directory meanwhile. */
  async within<T>(path: string, work: () => Promise<T>): Promise<T> {
    await this.ensure(path);
    try {
      return await work();
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
      this.#durable.delete(path);
      await this.ensure(path);
      return work();
    }
  }
}

const asNew = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

class DirectoryWriter implements ObjectWriter {
  readonly #objects: string;
  readonly #directories: Directories;
  readonly #object: ObjectId;
  readonly #isDirect: boolean;
  readonly #path: string;
  /** The file, from the first piece on. */
  #file: Promise<FileHandle> | undefined;
  /** The pieces that are under way, or have failed. */
  #pieces: Promise<unknown>[] = [];
  #bytes = 0;
  #isPadded = false;
  #isNamed = false;

  constructor(objects: string, directories: Directories, object: ObjectId, isDirect: boolean) {
    this.#objects = objects;
    this.#directories = directories;
    this.#object = object;
    this.#isDirect = isDirect;
    this.#path = join(unfinished(objects), filePart(`${objectPart(object)}.${randomBytes(8).toString('hex')}`));
  }

  get isNamed(): boolean {
    return this.#isNamed;
  }

  async #open(): Promise<FileHandle> {
    return this.#directories.within(unfinished(this.#objects), () =>
      open(this.#path, this.#isDirect ? asNew | constants.O_DIRECT : asNew, 0o440),
    );
  }

  write(memory: Buffer, bytes: number): Promise<void> {
    const writing = held(this.#write(memory, bytes));
    this.#pieces.push(writing);
    return writing;
  }

  async #write(memory: Buffer, bytes: number): Promise<void> {
    const offset = this.#bytes;
    const length = this.#isDirect ? aligned(bytes) : bytes;
    // Only the last piece may end elsewhere than at a block, because nothing could be written after it.
    if (this.#isPadded) throw new RangeError('a piece follows the last one');
    if (length > memory.length) throw new RangeError('no room behind the last piece');
    this.#bytes += bytes;
    this.#isPadded = length !== bytes;
    memory.fill(0, bytes, length);
    this.#file ??= held(this.#open());
    try {
      await writeAll(await this.#file, memory, length, offset);
    } catch (error) {
      throw explained(error);
    }
  }

  async finish(): Promise<void> {
    try {
      await Promise.all(this.#pieces);
      if (this.#file === undefined) throw new CofferdamError('invalid', 'an object has at least one byte');
      const file = await this.#file;
      if (this.#isPadded) await file.truncate(this.#bytes);
      await file.datasync();
      await this.#publish();
    } catch (error) {
      throw explained(error);
    } finally {
      await this.abort();
    }
  }

  /** Gives the object its name, durably. A name that is not known to be durable is taken away again. */
  async #publish(): Promise<void> {
    const directory = join(this.#objects, objectDirectoryPart(this.#object));
    const path = objectPath(this.#objects, this.#object);
    await this.#directories
      .within(directory, () => link(this.#path, path))
      .catch((error: unknown) => {
        if (codeOf(error) === 'EEXIST')
          throw new CofferdamError('conflict', 'this object is already stored; send the file again');
        throw error;
      });
    this.#isNamed = true;
    await syncDirectoryMeanwhile(directory).catch(async (error: unknown) => {
      await rm(path, { force: true }).then(
        () => (this.#isNamed = false),
        () => {},
      );
      throw error;
    });
  }

  async abort(): Promise<void> {
    await Promise.allSettled(this.#pieces);
    this.#pieces = [];
    const file = await this.#file?.catch(() => undefined);
    this.#file = undefined;
    if (file === undefined) return;
    // What is durable stays so, whether the file can be closed or not, and what is given up is removed all the same.
    await file.close().catch(() => {});
    // The published object keeps its own name. A file that cannot be removed is found among the unfinished ones.
    await rm(this.#path, { force: true }).catch(() => {});
  }
}

export class DirectoryStore implements ObjectStore {
  readonly #objects: string;
  readonly #directories: Directories;
  /** Whether pieces pass the page cache by. */
  readonly isDirect: boolean;

  private constructor(objects: string, directories: Directories, isDirect: boolean) {
    this.#objects = objects;
    this.#directories = directories;
    this.isDirect = isDirect;
  }

  /**
   * Opens the store in an existing directory, and finds out by one write whether its file system takes O_DIRECT.
   * `mayBeDirect` is false where the page cache is to be used all the same.
   */
  static async open(objects: string, mayBeDirect = true): Promise<DirectoryStore> {
    const directories = new Directories(objects);
    if (!mayBeDirect) return new DirectoryStore(objects, directories, false);
    await directories.ensure(unfinished(objects));
    const path = join(unfinished(objects), filePart(`probe.${randomBytes(8).toString('hex')}`));
    try {
      const file = await open(path, asNew | constants.O_DIRECT, 0o440);
      try {
        await writeAll(file, alignedMemory(alignment), alignment, 0);
        await file.truncate(1);
      } finally {
        await file.close();
      }
      return new DirectoryStore(objects, directories, true);
    } catch (error) {
      if (codeOf(error) !== 'EINVAL') throw explained(error);
      return new DirectoryStore(objects, directories, false);
    } finally {
      await rm(path, { force: true });
    }
  }

  memory(bytes: number): Buffer {
    return this.isDirect ? alignedMemory(bytes) : Buffer.allocUnsafeSlow(bytes);
  }

  begin(object: ObjectId): ObjectWriter {
    return new DirectoryWriter(this.#objects, this.#directories, object, this.isDirect);
  }

  async read(object: ObjectId, offset: number, into: Buffer): Promise<Buffer> {
    const file = await open(objectPath(this.#objects, object), constants.O_RDONLY | constants.O_NOFOLLOW).catch(
      (cause: unknown) => {
        if (codeOf(cause) !== 'ENOENT') throw cause;
        throw new CofferdamError('corrupt', 'stored data is missing', { cause });
      },
    );
    try {
      let done = 0;
      while (done < into.length) {
        const { bytesRead } = await file.read(into, done, into.length - done, offset + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      return into.subarray(0, done);
    } finally {
      await file.close();
    }
  }

  async exists(object: ObjectId): Promise<number | undefined> {
    try {
      const info = await lstat(objectPath(this.#objects, object));
      return info.isFile() ? info.size : undefined;
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  async delete(object: ObjectId): Promise<void> {
    await rm(objectPath(this.#objects, object), { force: true });
  }

  #directoryOf(range: NameRange): string {
    return range === 'unfinished' ? unfinished(this.#objects) : join(this.#objects, prefixPart(range.prefix));
  }

  async list(range: NameRange, after: string | null, max: number): Promise<Listing> {
    const directory = this.#directoryOf(range);
    const found: Found[] = [];
    try {
      const names = (await readdir(directory, { encoding: 'latin1' }))
        .sort()
        .filter((name) => after === null || name > after);
      for (const name of names.slice(0, max)) {
        const info = await lstat(entryPath(directory, name)).catch((error: unknown) => {
          if (codeOf(error) !== 'ENOENT') throw error;
        });
        // An entry that was listed may be gone by now.
        if (info !== undefined)
          found.push({
            name,
            kind: info.isFile() ? 'file' : 'other',
            ageMs: ageOf(info),
            bytes: info.blocks * blockBytes,
          });
      }
      return { found, next: names.length > max ? (names[max - 1] ?? null) : null, fault: null };
    } catch (error) {
      const code = codeOf(error);
      return { found, next: null, fault: code === 'ENOENT' ? null : code };
    }
  }

  async remove(range: NameRange, name: string): Promise<void> {
    const path = entryPath(this.#directoryOf(range), name);
    await unlink(path).catch(async (error: unknown) => {
      if (!['EISDIR', 'EPERM'].includes(codeOf(error))) throw error;
      await rmdir(path);
    });
  }

  async freeBytes(): Promise<number> {
    const info = await statfs(this.#objects);
    return info.bavail * info.bsize;
  }
}
