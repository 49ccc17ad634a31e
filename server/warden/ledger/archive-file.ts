// Owns: the file of one month on its way to the disk: written as a stream, durable, read back; and the names that files and drafts have.
// Must never: hold more of a file than a few pages in memory, write over a file that is there, or wait for a disk that does not go on.
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { CofferdamError } from '../../domain/errors.ts';

export type ArchiveLine = { readonly tree: string; readonly position: number; readonly line: string };
/** What a file holds of one tree. */
export type Range = { readonly tree: string; readonly first: number; readonly last: number; readonly entries: number };
/** A draft that is durable and was read back. `sha256`: of the file as it stands there, hexadecimal. */
export type Draft = { readonly path: string; readonly sha256: string; readonly entries: number; readonly ranges: readonly Range[] };

/** `month`: its first day. */
export const fileOf = (month: string): string => `ledger-${month.slice(0, 7)}.jsonl.gz`;
/** A draft is the work of one attempt of one warden. One that is older than this was left behind by a process that was killed. */
const draftMsMax = 24 * 3_600_000;
const draftPattern = /^(?<file>ledger-\d{4}-\d\d\.jsonl\.gz)\.[0-9a-f-]{36}\.draft$/;

/** Aborts when nothing moved for so long. A disk that hangs holds up one attempt, and no more. */
const stallMs = 5 * 60_000;

class Pace {
  readonly #stalled = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly signal: AbortSignal;

  constructor(signal: AbortSignal) {
    this.signal = AbortSignal.any([signal, this.#stalled.signal]);
    const late = (): void => this.#stalled.abort(new CofferdamError('unavailable', `nothing of the archive moved for ${stallMs / 1000} s`));
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

/** Says of each piece that passes what it is; the next one comes when the piece was taken. */
const passing = (onPiece: (piece: Buffer) => void): Transform =>
  new Transform({
    transform(piece: Buffer, _encoding, done) {
      onPiece(piece);
      done(null, piece);
    },
  });

export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Whether there is such a file, whatever is in it. */
export const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );

/** Lines as they come: whoever reads them takes the next page when there is room. Counts what it hands over. */
async function* textOf(pages: AsyncIterable<readonly ArchiveLine[]>, ranges: Map<string, Range>, onText: (text: string) => void) {
  let before: ArchiveLine | undefined;
  for await (const page of pages) {
    for (const { tree, position } of page) {
      const range = ranges.get(tree);
      if (before !== undefined && (tree < before.tree || (tree === before.tree && position <= before.position)))
        throw new CofferdamError('corrupt', `the record has no order, or an entry twice: tree ${tree}, position ${position}`);
      before = { tree, position, line: '' };
      ranges.set(
        tree,
        range === undefined
          ? { tree, first: position, last: position, entries: 1 }
          : { ...range, last: position, entries: range.entries + 1 },
      );
    }
    const text = page.map((row) => `${row.line}\n`).join('');
    onText(text);
    yield text;
  }
}

/** By the handle that is synced afterwards: what the disk could not write is said by that very handle. */
async function store(handle: FileHandle, pieces: AsyncIterable<Buffer>): Promise<void> {
  for await (const piece of pieces)
    for (let from = 0; from < piece.length; ) {
      const { bytesWritten } = await handle.write(piece, from);
      if (bytesWritten === 0) throw new CofferdamError('unavailable', 'the disk takes nothing more of the archive');
      from += bytesWritten;
    }
}

async function fill(handle: FileHandle, pages: AsyncIterable<readonly ArchiveLine[]>, ranges: Map<string, Range>, pace: Pace) {
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

/** What a file holds when it is read from the disk. Throws what the disk or the unpacking says. */
async function readBack(path: string, pace: Pace): Promise<{ readonly plain: string; readonly packed: string; readonly lines: number }> {
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
 * Writes the file of one month under a name of this attempt: durable, and read from the disk again before it counts for anything. Throws what the disk, the
 * database or `signal` says; then nothing of it is left.
 */
export async function writeDraft(
  directory: string,
  month: string,
  pages: AsyncIterable<readonly ArchiveLine[]>,
  signal: AbortSignal,
): Promise<Draft> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, `${fileOf(month)}.${randomUUID()}.draft`);
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
    await syncDirectory(directory);
    const read = await readBack(path, pace);
    const entries = [...ranges.values()].reduce((sum, one) => sum + one.entries, 0);
    if (read.plain !== written.plain || read.packed !== written.packed || read.lines !== entries)
      throw new CofferdamError('corrupt', `the draft of ${fileOf(month)} is not what was written: the disk, or somebody beside us`);
    return { path, sha256: written.packed, entries, ranges: [...ranges.values()] };
  } catch (error) {
    await rm(path, { force: true }).catch(() => {});
    throw error;
  } finally {
    pace.end();
  }
}

/** SHA-256 of a file, hexadecimal; undefined: there is none. */
export async function hashOf(path: string, signal: AbortSignal): Promise<string | undefined> {
  if (!(await isThere(path))) return undefined;
  const pace = new Pace(signal);
  const sum = createHash('sha256');
  try {
    for await (const piece of createReadStream(path, { signal: pace.signal })) {
      sum.update(piece as Buffer);
      pace.moved();
    }
  } finally {
    pace.end();
  }
  return sum.digest('hex');
}

/** Gives a draft its name, durably. A file of that name that is another one is kept beside it: it may be the only one of its kind. */
export async function place(directory: string, month: string, draft: string): Promise<void> {
  const path = join(directory, fileOf(month));
  if (await isThere(path)) await rename(path, `${path}.other-${randomUUID()}`);
  await rename(draft, path);
  await syncDirectory(directory);
}

async function draftsIn(directory: string): Promise<readonly { readonly path: string; readonly file: string }[]> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return names.flatMap((name) => {
    const file = draftPattern.exec(name)?.groups?.file;
    return file === undefined ? [] : [{ path: join(directory, name), file }];
  });
}

/** A draft of the month with this hash, which a process left when it was killed before it had named it; undefined: there is none. */
export async function findDraft(directory: string, month: string, sha256: string, signal: AbortSignal): Promise<string | undefined> {
  for (const { path, file } of await draftsIn(directory))
    if (file === fileOf(month) && (await hashOf(path, signal)) === sha256) return path;
  return undefined;
}

/** Removes drafts that nobody can be working on any more. */
export async function clearDrafts(directory: string): Promise<void> {
  for (const { path } of await draftsIn(directory)) {
    const { mtimeMs } = await stat(path);
    if (Date.now() - mtimeMs > draftMsMax) await rm(path, { force: true });
  }
}
