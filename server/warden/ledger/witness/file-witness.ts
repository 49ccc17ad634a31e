// Owns: a witness that is a directory, preferably on another mount: one file a day, one signed note a line.
// Must never: overwrite a line, or accept as complete a line that a crash has cut off.
import { constants, createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createGunzip } from 'node:zlib';
import { CofferdamError } from '../../../domain/errors.ts';
import { parseNote } from '../../../domain/ledger/checkpoint.ts';
import { entryPart, filePart, type PathPart } from '../../../domain/path-parts.ts';
import { compareRanks, newestOf, type Rank, rankOf } from './rank.ts';
import type { Witness } from './witness.ts';

const namePattern = /^checkpoints-\d{4}-\d{2}-\d{2}\.jsonl(?:\.gz)?$/;
/** The number of bytes that are read from the end of a file. Every note is shorter. */
const tailBytes = 65_536;
/**
 * The largest number of files, which is more than ten years of days; and the largest size of an unpacked file, in
 * characters. A day of checkpoints is far smaller.
 */
const filesMax = 4000;
const unpackedMax = 1024 ** 3;
/**
 * The number of last lines of a compressed file that are examined, about as many as the tail of a plain file holds. The
 * last line alone is not enough: of two wardens the slower one may have written last.
 */
const lastMax = 150;

const unavailable = (directory: string, cause: unknown): CofferdamError =>
  new CofferdamError('unavailable', `the witness in ${directory} cannot be read or written`, { cause });

async function namesIn(directory: string): Promise<readonly PathPart[]> {
  return (await readdir(directory))
    .filter((name) => namePattern.test(name))
    .sort()
    .map(entryPart);
}

/** Returns the last complete lines of a file, and the number of bytes up to their end. */
async function lastLines(path: string): Promise<{ readonly lines: readonly string[]; readonly wholeBytes: number }> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const tail = Buffer.alloc(Math.min(size, tailBytes));
    await file.read(tail, 0, tail.length, size - tail.length);
    const end = tail.lastIndexOf(0x0a);
    if (end === -1) return { lines: [], wholeBytes: size - tail.length };
    // The tail may begin in the middle of a line.
    const start = tail.length < size ? tail.indexOf(0x0a) + 1 : 0;
    const lines = end < start ? [] : tail.subarray(start, end).toString('utf8').split('\n');
    return { lines, wholeBytes: size - tail.length + end + 1 };
  } finally {
    await file.close();
  }
}

/** Returns the last lines of a compressed file, all of which is read. */
async function lastLinesCompressed(path: string): Promise<readonly string[]> {
  let lines: string[] = [];
  let bytes = 0;
  for await (const line of createInterface({ input: createReadStream(path).pipe(createGunzip()), crlfDelay: Number.POSITIVE_INFINITY })) {
    bytes += line.length;
    if (bytes > unpackedMax) throw new Error('more than a day of checkpoints');
    if (line === '') continue;
    lines.push(line);
    if (lines.length > 2 * lastMax) lines = lines.slice(-lastMax);
  }
  return lines;
}

function noteOf(line: string): string {
  const note: unknown = JSON.parse(line);
  if (typeof note !== 'string') throw new CofferdamError('corrupt', 'a line of the witness is not a signed note');
  parseNote(note);
  return note;
}

/** The newest note of each file, valid as long as the size and the modification time of the file stay the same. */
type Known = Map<string, { readonly bytes: number; readonly at: number; readonly note: string | undefined }>;
type Found = { readonly note: string; readonly name: PathPart };

async function newestIn(directory: string, name: PathPart, known: Known): Promise<string | undefined> {
  const path = join(directory, name);
  const { size: bytes, mtimeMs: at } = await stat(path);
  const before = known.get(name);
  if (before?.bytes === bytes && before.at === at) return before.note;
  const lines = name.endsWith('.gz') ? await lastLinesCompressed(path) : (await lastLines(path)).lines;
  const note = newestOf(lines.map(noteOf));
  known.set(name, { bytes, at, note });
  return note;
}

/** Returns the newest note of all files, whatever their names. Throws `unavailable`, or `corrupt` for a line that is not a note. */
async function findNewest(directory: string, known: Known): Promise<Found | undefined> {
  try {
    const names = await namesIn(directory);
    if (names.length > filesMax) throw new Error(`${names.length} files, of which ${filesMax} may be`);
    for (const name of known.keys()) if (!names.some((one) => one === name)) known.delete(name);
    const found: Found[] = [];
    for (const name of names) {
      const note = await newestIn(directory, name, known);
      if (note !== undefined) found.push({ note, name });
    }
    const note = newestOf(found.map((one) => one.note));
    return found.findLast((one) => one.note === note);
  } catch (cause) {
    if (cause instanceof CofferdamError && cause.code === 'corrupt') throw cause;
    if (cause instanceof SyntaxError || (cause instanceof CofferdamError && cause.code === 'invalid'))
      throw new CofferdamError('corrupt', `a line of the witness in ${directory} is not a checkpoint`, { cause });
    throw unavailable(directory, cause);
  }
}

/**
 * Returns the newest note in a directory of checkpoints, or undefined when there is none. Throws `unavailable`, or
 * `corrupt` for a line that is not a note.
 */
export async function newestNote(directory: string): Promise<string | undefined> {
  return (await findNewest(directory, new Map()))?.note;
}

/** The file that had the newest note, as it was when that was noticed. */
type Mark = { readonly path: string; readonly ino: number; readonly bytes: number; readonly rank: Rank };

/** A witness in a directory. `keep` appends a line and syncs it. */
export class FileWitness implements Witness {
  readonly name: string;
  readonly isRequired: boolean;
  readonly #directory: string;
  readonly #known: Known = new Map();
  #file: { readonly name: string; readonly handle: FileHandle } | undefined;
  #mark: Mark | undefined;
  /** A loss that was noticed while the witness, which is not required, went on taking notes. */
  #lost: CofferdamError | undefined;

  constructor(name: string, isRequired: boolean, directory: string) {
    this.name = name;
    this.isRequired = isRequired;
    this.#directory = directory;
  }

  readonly newest = async (): Promise<string | undefined> => {
    const found = await findNewest(this.#directory, this.#known);
    if (found !== undefined) await this.#remember(join(this.#directory, found.name), found.note);
    return found?.note;
  };

  async #remember(path: string, note: string): Promise<void> {
    const rank = rankOf(note);
    if (this.#mark !== undefined && compareRanks(rank, this.#mark.rank) < 0) return;
    const { ino, size: bytes } = await stat(path);
    this.#mark = { path, ino, bytes, rank };
  }

  /**
   * Throws `corrupt` when the newest note that this witness had is gone. It may be in another file than before, because
   * old days are compressed and mounts are copied.
   */
  async check(): Promise<void> {
    const lost = this.#lost ?? (await this.#findLoss());
    this.#lost = undefined;
    if (lost !== undefined) throw lost;
  }

  async #findLoss(): Promise<CofferdamError | undefined> {
    const mark = this.#mark;
    if (mark === undefined) return undefined;
    const now = await stat(mark.path).catch(() => undefined);
    if (now?.ino === mark.ino && now.size >= mark.bytes) return undefined;
    const [era, size] = mark.rank;
    const found = await findNewest(this.#directory, this.#known).catch(() => undefined);
    if (found !== undefined && compareRanks(rankOf(found.note), [era, size, '']) >= 0) {
      this.#mark = undefined;
      await this.#remember(join(this.#directory, found.name), found.note);
      return undefined;
    }
    return new CofferdamError(
      'corrupt',
      `the witness ${this.name} has lost what it had: no checkpoint of ${size} heads, era ${era}, in ${this.#directory} any more`,
    );
  }

  async keep(note: string): Promise<void> {
    const { checkpoint } = parseNote(note);
    await this.#requireMemory();
    const name = filePart(`checkpoints-${checkpoint.time.slice(0, 10)}.jsonl`);
    try {
      const handle = await this.#open(name);
      const line = Buffer.from(`${JSON.stringify(note)}\n`);
      const { bytesWritten } = await handle.write(line);
      if (bytesWritten !== line.length) throw new Error('a short write');
      await handle.datasync();
      await this.#remember(join(this.#directory, name), note);
    } catch (cause) {
      // A line that was written in part is cut off when the file is opened again.
      await this.close().catch(() => {});
      throw unavailable(this.#directory, cause);
    }
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.handle.close();
  }

  /**
   * Requires that the newest known note is still there before anything is written. When the mount is gone, the empty
   * directory below it is on our own disk. Throws `unavailable` for a required witness; for another one the loss is
   * reported by the next `check`.
   */
  async #requireMemory(): Promise<void> {
    const lost = await this.#findLoss();
    if (lost === undefined) return;
    if (this.isRequired) throw unavailable(this.#directory, lost);
    this.#lost = lost;
    this.#mark = undefined;
  }

  /** Returns the open handle if it still is the file of this name. Notes written into a file that was removed would be lost. */
  async #isOpen(name: PathPart): Promise<FileHandle | undefined> {
    if (this.#file?.name !== name) return undefined;
    const [there, ours] = await Promise.all([stat(join(this.#directory, name)).catch(() => undefined), this.#file.handle.stat()]);
    return there?.ino === ours.ino && there.dev === ours.dev ? this.#file.handle : undefined;
  }

  async #open(name: PathPart): Promise<FileHandle> {
    const ours = await this.#isOpen(name);
    if (ours !== undefined) return ours;
    await this.#file?.handle.close();
    this.#file = undefined;
    await mkdir(this.#directory, { recursive: true });
    const path = join(this.#directory, name);
    const handle = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND, 0o644);
    this.#file = { name, handle };
    // Since the last check the directory may have disappeared and been created again by this very call.
    await this.#requireMemory();
    const { size } = await handle.stat();
    if (size > 0) {
      const { wholeBytes } = await lastLines(path);
      if (wholeBytes < size) await truncate(path, wholeBytes);
    } else await syncDirectory(this.#directory);
    return handle;
  }
}

/** A new file survives a power cut only when its directory is synced, too. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
