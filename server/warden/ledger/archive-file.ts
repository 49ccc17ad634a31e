// Owns: writing the archive file of one month: as a stream, synced to the disk and read back; and the names of archive
// files and of their drafts.
// Must never: hold more than a few pages of a file in memory, overwrite an existing file, or wait without end for a
// disk that makes no progress.
import { createHash, randomUUID } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { syncDirectoryMeanwhile } from '../../disk/durable-file.ts';
import { CofferdamError } from '../../domain/errors.ts';
import { archivePart, entryPart, filePart } from '../../domain/path-parts.ts';

export type ArchiveLine = { readonly tree: string; readonly position: number; readonly line: string };
/** The entries of one tree that an archive file holds: the first and the last position, and the number of entries. */
export type Range = { readonly tree: string; readonly first: number; readonly last: number; readonly entries: number };
/**
 * A draft file that is durable and was read back. `sha256` is the hexadecimal hash of the compressed file as it stands
 * on the disk.
 */
export type Draft = {
  readonly path: string;
  readonly sha256: string;
  readonly entries: number;
  readonly ranges: readonly Range[];
};

/**
 * The age beyond which a draft is removed. Each attempt of each warden writes a draft of its own, so an older draft was
 * left behind by a process that was killed.
 */
const draftMsMax = 24 * 3_600_000;
const draftPattern = /^(?<file>ledger-\d{4}-\d\d\.jsonl\.gz)\.[0-9a-f-]{36}\.draft$/;

/**
 * The time without any progress after which an attempt is aborted. A disk that hangs therefore ends one attempt and
 * blocks nothing else.
 */
const stallMs = 5 * 60_000;

class Pace {
  readonly #stalled = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly signal: AbortSignal;

  constructor(signal: AbortSignal) {
    this.signal = AbortSignal.any([signal, this.#stalled.signal]);
    const late = (): void =>
      this.#stalled.abort(new CofferdamError('unavailable', `nothing of the archive moved for ${stallMs / 1000} s`));
    this.#timer = setTimeout(late, stallMs);
    this.#timer.unref();
  }

  moved(): void {
    this.#timer.refresh();
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}

/**
 * Returns a transform that calls `onPiece` with each chunk and passes the chunk on unchanged. The next chunk is read
 * when this one was consumed (back-pressure).
 */
const passing = (onPiece: (piece: Buffer) => void): Transform =>
  new Transform({
    transform(piece: Buffer, _encoding, done) {
      onPiece(piece);
      done(null, piece);
    },
  });

/**
 * Returns whether something exists at this path, whatever it is. Follows no link. Throws every error of `lstat` except
 * ENOENT.
 */
export const isThere = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );

type LineOrder = { readonly tree: string; readonly position: number };
/** Adds an entry to the range of its tree. Throws `corrupt` when it does not follow the entry `before` it. */
function addTo(ranges: Map<string, Range>, before: LineOrder | undefined, { tree, position }: LineOrder): void {
  const range = ranges.get(tree);
  if (before !== undefined && (tree < before.tree || (tree === before.tree && position <= before.position)))
    throw new CofferdamError(
      'corrupt',
      `the record has no order, or an entry twice: tree ${tree}, position ${position}`,
    );
  const { first, entries } = range ?? { first: position, entries: 0 };
  ranges.set(tree, { tree, first, last: position, entries: entries + 1 });
}

/**
 * Yields the text of each page as the consumer asks for it, and adds up in `ranges` what was yielded. Throws `corrupt`
 * when the entries are not in strictly ascending order of tree and position.
 */
async function* textOf(
  pages: AsyncIterable<readonly ArchiveLine[]>,
  ranges: Map<string, Range>,
  onText: (text: string) => void,
) {
  let before: LineOrder | undefined;
  for await (const page of pages) {
    for (const line of page) {
      addTo(ranges, before, line);
      before = line;
    }
    const text = page.map((row) => `${row.line}\n`).join('');
    onText(text);
    yield text;
  }
}

/**
 * Writes through the same handle that is synced afterwards, because the kernel reports a failed write-back to that
 * handle.
 */
async function store(handle: FileHandle, pieces: AsyncIterable<Buffer>): Promise<void> {
  for await (const piece of pieces)
    for (let from = 0; from < piece.length; ) {
      const { bytesWritten } = await handle.write(piece, from);
      if (bytesWritten === 0) throw new CofferdamError('unavailable', 'the disk takes nothing more of the archive');
      from += bytesWritten;
    }
}

async function fill(
  handle: FileHandle,
  pages: AsyncIterable<readonly ArchiveLine[]>,
  ranges: Map<string, Range>,
  pace: Pace,
) {
  const [plain, packed] = [createHash('sha256'), createHash('sha256')];
  await pipeline(
    textOf(pages, ranges, (text) => {
      plain.update(text);
      pace.moved();
    }),
    createGzip(),
    passing((piece) => packed.update(piece)),
    (pieces: AsyncIterable<Buffer>) => store(handle, pieces),
    { signal: pace.signal },
  );
  await handle.sync();
  return { plain: plain.digest('hex'), packed: packed.digest('hex') };
}

/**
 * Reads a file from the disk and returns both hashes and the number of its lines. Throws the errors of the disk and of
 * the decompression.
 */
async function readBack(
  path: string,
  pace: Pace,
): Promise<{ readonly plain: string; readonly packed: string; readonly lines: number }> {
  const [plain, packed] = [createHash('sha256'), createHash('sha256')];
  let lines = 0;
  await pipeline(
    createReadStream(path),
    passing((piece) => packed.update(piece)),
    createGunzip(),
    async (pieces: AsyncIterable<Buffer>) => {
      for await (const piece of pieces) {
        plain.update(piece);
        for (let at = piece.indexOf(0x0a); at !== -1; at = piece.indexOf(0x0a, at + 1)) lines += 1;
        pace.moved();
      }
    },
    { signal: pace.signal },
  );
  return { plain: plain.digest('hex'), packed: packed.digest('hex'), lines };
}

/**
 * Writes the file of one month under a name of this attempt, syncs it, and reads it back from the disk before it
 * counts. Throws `corrupt` when it was not read back as written, and otherwise the error of the disk, of the database
 * or of `signal`; the draft is then removed.
 */
export async function writeDraft(
  directory: string,
  month: string,
  pages: AsyncIterable<readonly ArchiveLine[]>,
  signal: AbortSignal,
): Promise<Draft> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, filePart(`${archivePart(month)}.${randomUUID()}.draft`));
  const pace = new Pace(signal);
  try {
    const ranges = new Map<string, Range>();
    const handle = await open(path, 'wx', 0o600);
    let written: { readonly plain: string; readonly packed: string };
    try {
      written = await fill(handle, pages, ranges, pace);
    } finally {
      await handle.close();
    }
    await syncDirectoryMeanwhile(directory);
    const read = await readBack(path, pace);
    const entries = [...ranges.values()].reduce((sum, one) => sum + one.entries, 0);
    if (read.plain !== written.plain || read.packed !== written.packed || read.lines !== entries)
      throw new CofferdamError(
        'corrupt',
        `the draft of ${archivePart(month)} is not what was written: the disk, or somebody beside us`,
      );
    return { path, sha256: written.packed, entries, ranges: [...ranges.values()] };
  } catch (error) {
    await rm(path, { force: true }).catch(() => {});
    throw error;
  } finally {
    pace.end();
  }
}

/**
 * Opens a regular file that has one name, without following a link or waiting for a pipe. Returns undefined when there
 * is no such file at this path.
 */
async function openRegular(path: string): Promise<FileHandle | undefined> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ELOOP') return undefined;
      throw error;
    },
  );
  const info = await handle?.stat();
  if (info?.isFile() === true && info.nlink === 1) return handle;
  await handle?.close();
  return undefined;
}

/**
 * Returns the hexadecimal SHA-256 of a regular file with one name, or undefined when there is no such file at this
 * path.
 */
export async function hashOf(path: string, signal: AbortSignal): Promise<string | undefined> {
  const handle = await openRegular(path);
  if (handle === undefined) return undefined;
  const pace = new Pace(signal);
  const sum = createHash('sha256');
  try {
    for await (const piece of handle.createReadStream({ signal: pace.signal, autoClose: false })) {
      sum.update(piece as Buffer);
      pace.moved();
    }
  } finally {
    pace.end();
    await handle.close();
  }
  return sum.digest('hex');
}

/** The longest line of an archive in characters; a longer one is none that was written. */
const lineMax = 16 * 2 ** 20;
const linePattern = /^\{"entry" ?: ?\["([0-9a-f-]{36})", ?(\d{1,15}),/;

/**
 * Reads an archive from the disk and returns the range of each tree of which it holds entries: what may be stated about
 * it, whatever rows say. Returns undefined when there is no regular file, or not the one with this hash. Throws
 * `corrupt` for lines that no archive has.
 */
export async function rangesOf(
  path: string,
  sha256: string,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Range> | undefined> {
  const handle = await openRegular(path);
  if (handle === undefined) return undefined;
  const pace = new Pace(signal);
  const packed = createHash('sha256');
  const ranges = new Map<string, Range>();
  let before: LineOrder | undefined;
  const take = (line: string): void => {
    const [, tree, position] = linePattern.exec(line) ?? [];
    if (tree === undefined) throw new CofferdamError('corrupt', 'the archive has a line that is no entry');
    const order = { tree, position: Number(position) };
    addTo(ranges, before, order);
    before = order;
  };
  try {
    await pipeline(
      handle.createReadStream({ autoClose: false }),
      passing((piece) => packed.update(piece)),
      createGunzip(),
      async (pieces: AsyncIterable<Buffer>) => {
        const decoder = new TextDecoder();
        let rest = '';
        for await (const piece of pieces) {
          const lines = (rest + decoder.decode(piece, { stream: true })).split('\n');
          rest = lines.pop() ?? '';
          if (rest.length > lineMax) throw new CofferdamError('corrupt', 'the archive has a line that does not end');
          for (const line of lines) take(line);
          pace.moved();
        }
        if (rest !== '') throw new CofferdamError('corrupt', 'the last line of the archive does not end');
      },
      { signal: pace.signal },
    );
  } catch (error) {
    // What is not the file that was written may be anything.
    if ((await hashOf(path, signal)) !== sha256) return undefined;
    throw error;
  } finally {
    pace.end();
    await handle.close();
  }
  return packed.digest('hex') === sha256 ? ranges : undefined;
}

/** A draft on its way to the name of the archive of its month, with its hexadecimal SHA-256. */
type WrittenDraft = { readonly month: string; readonly draft: string; readonly sha256: string };

/**
 * Renames a draft to the name of the archive and syncs the directory. An existing file of that name is renamed and kept
 * beside it, because it may be the only copy of its content; the same content, which another warden put there
 * meanwhile, is replaced.
 */
export async function nameAsArchive(
  directory: string,
  { month, draft, sha256 }: WrittenDraft,
  signal: AbortSignal,
): Promise<void> {
  const path = join(directory, archivePart(month));
  if ((await isThere(path)) && (await hashOf(path, signal)) !== sha256)
    await rename(path, `${path}.other-${randomUUID()}`);
  await rename(draft, path);
  await syncDirectoryMeanwhile(directory);
}

async function draftsIn(directory: string): Promise<readonly { readonly path: string; readonly file: string }[]> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return names.flatMap((name) => {
    const file = draftPattern.exec(name)?.groups?.file;
    return file === undefined ? [] : [{ path: join(directory, entryPart(name)), file }];
  });
}

/**
 * Returns the path of a draft of the month that has this hash: a process that was killed before it could rename the
 * draft left it. Returns undefined when there is none.
 */
export async function findDraft(
  directory: string,
  month: string,
  sha256: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  for (const { path, file } of await draftsIn(directory))
    if (file === archivePart(month) && (await hashOf(path, signal)) === sha256) return path;
  return undefined;
}

/** Removes drafts that are so old that no process can still be working on them. */
export async function clearDrafts(directory: string): Promise<void> {
  for (const { path } of await draftsIn(directory)) {
    const { mtimeMs } = await lstat(path);
    if (Date.now() - mtimeMs > draftMsMax) await rm(path, { force: true });
  }
}
