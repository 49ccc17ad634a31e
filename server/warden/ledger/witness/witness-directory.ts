// Owns: the files of a witness directory: one file a day, one signed note a line. What stands there was perhaps put
// there by somebody else. Runs in the process of the witness (`witness-process.ts`), so its calls may block.
// Must never: follow a link, open anything but a regular file with one name, overwrite a line, accept a line that a
// crash has cut off, or let a note count before its signature was verified.
import {
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  type Stats,
  writeSync,
} from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { parseNote } from '../../../domain/ledger/checkpoint.ts';
import { entryPart, filePart, type PathPart } from '../../../domain/path-parts.ts';
import { checkpointOpener } from '../../keys/checkpoint-signer.ts';
import { compareRanks, type Rank, rankOf } from './rank.ts';

const namePattern = /^checkpoints-\d{4}-\d{2}-\d{2}\.jsonl(?:\.gz)?$/;
/** The number of bytes that are read from the end of a file. */
const tailBytes = 65_536;
/** The longest accepted line, in bytes. Every note is shorter. */
const lineBytesMax = 4096;
/**
 * The largest number of files, which is more than ten years of days; and the largest size of an unpacked file, in
 * bytes. A day of checkpoints is far smaller.
 */
const filesMax = 4000;
const unpackedBytesMax = 1024 ** 3;
/**
 * How many of the newest days with a note count when a day is compressed, and how many compressed files are unpacked at
 * most: the work at a start does not grow with the age of a witness. Of a file that is not compressed only the end is
 * read.
 */
const [newestDays, unpackedMax] = [2, 4];
/** The number of lines that cannot be believed of which an alert says where they are. */
const doubtsMax = 3;

/**
 * The file that had the newest note, as it was when that was noticed. `stamp` changes with every change of the file,
 * because nobody but the kernel sets the time of the last change of an inode.
 */
export type Mark = { readonly name: string; readonly stamp: string; readonly rank: Rank };
export type Newest = {
  readonly note: string | undefined;
  readonly mark: Mark | undefined;
  /**
   * Where the lines are that are no notes of this gateway's key: file and line. Only lines that would have been the
   * newest are verified.
   */
  readonly doubts: readonly string[];
};
export type Kept = {
  readonly mark: Mark;
  /** Whether the newest note that the directory had is gone. */
  readonly hasLost: boolean;
};

type OneFile = { readonly note: string | undefined; readonly doubts: readonly string[] };
type Known = OneFile & { readonly stamp: string };

const dayOf = (name: string): string => name.slice(0, 'checkpoints-2026-11-24'.length);
const stampOf = ({ ino, size, mtimeMs, ctimeMs }: Stats): string => `${ino} ${size} ${mtimeMs} ${ctimeMs}`;

/**
 * Opens a file of the directory without following a link or waiting for a pipe. Throws unless it is a regular file with
 * one name.
 */
function openRegular(path: string, name: string, flags: number): { readonly fd: number; readonly info: Stats } {
  const fd = openSync(path, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY, 0o644);
  try {
    const info = fstatSync(fd);
    if (!info.isFile()) throw new Error(`${name} is no regular file`);
    if (info.nlink !== 1) throw new Error(`${name} has ${info.nlink} names, of which one may be`);
    return { fd, info };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Returns the last complete lines of a file, and the number of bytes up to the end of the last one. */
function lastLines(fd: number, size: number): { readonly lines: readonly string[]; readonly wholeBytes: number } {
  const tail = Buffer.alloc(Math.min(size, tailBytes));
  for (let at = 0; at < tail.length; ) {
    const read = readSync(fd, tail, at, tail.length - at, size - tail.length + at);
    if (read === 0) throw new Error('the file became shorter while it was read');
    at += read;
  }
  const end = tail.lastIndexOf(0x0a);
  if (end === -1) {
    if (size > tail.length) throw new Error(`it ends in more than ${tailBytes} bytes without a newline`);
    return { lines: [], wholeBytes: 0 };
  }
  // The tail may begin in the middle of a line.
  const start = tail.length < size ? tail.indexOf(0x0a) + 1 : 0;
  const lines = end < start ? [] : tail.subarray(start, end).toString('utf8').split('\n');
  return { lines, wholeBytes: size - tail.length + end + 1 };
}

function* piecesOf(fd: number): Generator<Buffer> {
  for (let at = 0; ; ) {
    const piece = Buffer.alloc(tailBytes);
    const read = readSync(fd, piece, 0, piece.length, at);
    if (read === 0) return;
    at += read;
    yield piece.subarray(0, read);
  }
}

/**
 * Returns the last complete lines of a compressed file, of which all is unpacked. Bytes are counted before lines are
 * made of them.
 */
async function lastLinesCompressed(fd: number): Promise<readonly string[]> {
  let tail: Buffer = Buffer.alloc(0);
  let [bytes, lineBytes] = [0, 0];
  await pipeline(piecesOf(fd), createGunzip(), async (pieces: AsyncIterable<Buffer>) => {
    for await (const piece of pieces) {
      bytes += piece.length;
      if (bytes > unpackedBytesMax) throw new Error('it unpacks to more than a day of checkpoints');
      const newline = piece.lastIndexOf(0x0a);
      lineBytes = newline === -1 ? lineBytes + piece.length : piece.length - newline - 1;
      if (lineBytes > tailBytes) throw new Error(`it has more than ${tailBytes} bytes without a newline`);
      tail = Buffer.concat([tail, piece]);
      if (tail.length > 2 * tailBytes) tail = tail.subarray(tail.length - tailBytes);
    }
  });
  const end = tail.lastIndexOf(0x0a);
  const start = tail.length < bytes ? tail.indexOf(0x0a) + 1 : 0;
  return end < start ? [] : tail.subarray(start, end).toString('utf8').split('\n');
}

function noteOf(line: string): string {
  if (line.length > lineBytesMax) throw new Error('a line is longer than any note');
  const note: unknown = JSON.parse(line);
  if (typeof note !== 'string') throw new Error('a line is not a signed note');
  parseNote(note);
  return note;
}

/**
 * Returns the newest note among these lines that `isOurs` accepts. The candidates are verified from the newest on, and
 * the search ends with the first genuine one. The last line need not be the newest: of two wardens the slower one may
 * have written last.
 */
function newestOfLines(name: string, lines: readonly string[], isOurs: (note: string) => boolean): OneFile {
  const doubts: string[] = [];
  const doubt = (why: string): void => {
    if (doubts.length < doubtsMax) doubts.push(`${name}: ${why}`);
  };
  const candidates: { readonly note: string; readonly rank: Rank; readonly at: number }[] = [];
  for (const [at, line] of lines.entries()) {
    if (line === '') continue;
    try {
      const note = noteOf(line);
      candidates.push({ note, rank: rankOf(note), at });
    } catch {
      doubt('a line is no signed note');
    }
  }
  candidates.sort((a, b) => compareRanks(b.rank, a.rank) || b.at - a.at);
  for (const { note, rank } of candidates) {
    if (isOurs(note)) return { note, doubts };
    doubt(`a note of ${rank[1]} heads, era ${rank[0]}, is not signed by the ledger key of this gateway`);
  }
  return { note: undefined, doubts };
}

const accepts = (key: string | undefined): ((note: string) => boolean) => {
  if (key === undefined) return () => true;
  const open = checkpointOpener(key);
  return (note) => {
    try {
      open(note);
      return true;
    } catch {
      return false;
    }
  };
};

/** The directory of one witness. Every method throws the error of the file system, or one that says what was found. */
export class WitnessDirectory {
  readonly #path: string;
  readonly #known = new Map<string, Known>();
  #key: string | undefined;
  #file: { readonly name: string; readonly fd: number } | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** Does the work in the directory as it is opened now: a directory that takes its name meanwhile is not used. */
  async #within<T>(work: (at: string, fd: number) => T | Promise<T>): Promise<T> {
    const fd = openSync(this.#path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NONBLOCK);
    try {
      return await work(`/proc/self/fd/${fd}`, fd);
    } finally {
      closeSync(fd);
    }
  }

  async #newestIn(
    at: string,
    name: PathPart,
    isOurs: (note: string) => boolean,
  ): Promise<{ readonly found: OneFile; readonly info: Stats }> {
    const { fd, info } = openRegular(`${at}/${name}`, name, constants.O_RDONLY);
    try {
      const stamp = stampOf(info);
      const before = this.#known.get(name);
      if (before?.stamp === stamp) return { found: before, info };
      const lines = name.endsWith('.gz') ? await lastLinesCompressed(fd) : lastLines(fd, info.size).lines;
      const found = newestOfLines(name, lines, isOurs);
      this.#known.set(name, { ...found, stamp });
      return { found, info };
    } catch (cause) {
      throw new Error(`${name}: ${cause instanceof Error ? cause.message : 'it cannot be read'}`, { cause });
    } finally {
      closeSync(fd);
    }
  }

  /**
   * Returns the newest note that `key` has signed of all files that are not compressed, whatever their names, and of
   * the compressed ones among the newest days; every well-formed note counts when `key` is undefined. A day that is
   * being compressed stands there twice, and the whole file counts. Throws when a file that counts cannot be read.
   */
  newest(key: string | undefined): Promise<Newest> {
    if (key !== this.#key) this.#known.clear();
    this.#key = key;
    return this.#within(async (at) => {
      const names = readdirSync(at).filter((name) => namePattern.test(name));
      if (names.length > filesMax) throw new Error(`${names.length} files, of which ${filesMax} may be`);
      for (const name of this.#known.keys()) if (!names.includes(name)) this.#known.delete(name);
      let newest: { readonly note: string; readonly mark: Mark } | undefined;
      const doubts: string[] = [];
      const days = new Set<string>();
      let unpacked = 0;
      // The newest day first, and of a day the file that is not compressed.
      for (const name of names
        .sort((a, b) => (dayOf(a) === dayOf(b) ? a.length - b.length : dayOf(a) < dayOf(b) ? 1 : -1))
        .map(entryPart)) {
        const isPacked = name.endsWith('.gz');
        if (isPacked && (days.size >= newestDays || unpacked >= unpackedMax)) continue;
        if (isPacked) unpacked += 1;
        const read = await this.#newestIn(at, name, accepts(key)).catch((error: unknown) => {
          // The compressed file is not whole yet while the plain one is there: `gzip` removes that when it has
          // finished.
          if (isPacked && names.includes(name.slice(0, -'.gz'.length))) return undefined;
          throw error;
        });
        if (read === undefined) continue;
        const { found, info } = read;
        doubts.push(...found.doubts);
        if (found.note === undefined) continue;
        const rank = rankOf(found.note);
        // Only a day whose name is that of its notes stands for the newest days: another name hides nothing.
        if (dayOf(name).endsWith(rank[2].slice(0, 10))) days.add(dayOf(name));
        if (newest === undefined || compareRanks(rank, newest.mark.rank) > 0)
          newest = { note: found.note, mark: { name, stamp: stampOf(info), rank } };
      }
      return { note: newest?.note, mark: newest?.mark, doubts: doubts.slice(0, doubtsMax) };
    });
  }

  /**
   * Returns the mark of the newest note, which may be in another file than before, because old days are compressed and
   * mounts are copied; or `lost` when the directory no longer has a note as new as the one of `mark`. A directory that
   * cannot be read has lost nothing as far as anybody knows: then the error of the reading is thrown.
   */
  async remembered(mark: Mark): Promise<Mark | 'lost'> {
    const now = await this.#within((at) => {
      const { fd, info } = openRegular(`${at}/${entryPart(mark.name)}`, mark.name, constants.O_RDONLY);
      closeSync(fd);
      return info;
    }).catch(() => undefined);
    if (now !== undefined && stampOf(now) === mark.stamp) return mark;
    // Another warden has written there, or somebody else: the notes are read again.
    const [era, size] = mark.rank;
    const found = await this.newest(this.#key).catch((error: unknown) => {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw error;
    });
    return found?.mark !== undefined && compareRanks(found.mark.rank, [era, size, '']) >= 0 ? found.mark : 'lost';
  }

  /**
   * Appends a note to the file of its day, and syncs it. Before anything is written the newest note of `mark` must
   * still be there: when the mount is gone, the empty directory below it is on our own disk. Throws when it is not and
   * `isRequired` is set.
   */
  async keep(note: string, mark: Mark | undefined, isRequired: boolean): Promise<Kept> {
    const rank = rankOf(note);
    const name = filePart(`checkpoints-${rank[2].slice(0, 10)}.jsonl`);
    mkdirSync(this.#path, { recursive: true });
    const remembered = mark === undefined ? undefined : await this.remembered(mark);
    if (remembered === 'lost' && isRequired) throw new Error('it has lost the newest checkpoint that it had');
    const before = remembered === 'lost' ? undefined : remembered;
    return this.#within((at, directory) => {
      try {
        const fd = this.#open(at, directory, name);
        const line = Buffer.from(`${JSON.stringify(note)}\n`);
        if (writeSync(fd, line) !== line.length) throw new Error('a short write');
        fdatasyncSync(fd);
        const stamp = stampOf(fstatSync(fd));
        const isOlder = before !== undefined && compareRanks(rank, before.rank) < 0;
        return {
          mark: isOlder ? { ...before, stamp: before.name === name ? stamp : before.stamp } : { name, stamp, rank },
          hasLost: remembered === 'lost',
        };
      } catch (error) {
        // A line that was written in part is cut off when the file is opened again.
        this.close();
        throw error;
      }
    });
  }

  close(): void {
    const file = this.#file;
    this.#file = undefined;
    if (file !== undefined) closeSync(file.fd);
  }

  /**
   * Returns the open file of this name, as long as it is the one in the directory. Notes written into a file that was
   * removed would be lost.
   */
  #open(at: string, directory: number, name: PathPart): number {
    const { fd, info } = openRegular(`${at}/${name}`, name, constants.O_RDWR | constants.O_CREAT | constants.O_APPEND);
    const ours = this.#file;
    if (ours?.name === name) {
      const open = fstatSync(ours.fd);
      if (open.ino === info.ino && open.dev === info.dev) {
        closeSync(fd);
        return ours.fd;
      }
    }
    this.close();
    this.#file = { name, fd };
    if (info.size > 0) {
      const { wholeBytes } = lastLines(fd, info.size);
      if (wholeBytes < info.size) ftruncateSync(fd, wholeBytes);
    } else fsyncSync(directory);
    return fd;
  }
}
