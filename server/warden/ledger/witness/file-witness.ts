// Owns: a witness that is a directory, best on another mount: one file a day, one signed note a line.
// Must never: write over a line, or take a line for whole that a crash has cut off.
import { constants, createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createGunzip } from 'node:zlib';
import { CofferdamError } from '../../../domain/errors.ts';
import { parseNote } from '../../../domain/ledger/checkpoint.ts';
import type { Witness } from './witness.ts';

const namePattern = /^checkpoints-\d{4}-\d{2}-\d{2}\.jsonl(?:\.gz)?$/;
/** Longer than any note. */
const tailBytes = 65_536;

const unavailable = (directory: string, cause: unknown): CofferdamError =>
  new CofferdamError('unavailable', `the witness in ${directory} cannot be read or written`, { cause });

async function namesIn(directory: string): Promise<readonly string[]> {
  return (await readdir(directory)).filter((name) => namePattern.test(name)).sort();
}

/** The last whole lines, and how many bytes the file has up to their end. */
async function lastLines(path: string): Promise<{ readonly lines: readonly string[]; readonly wholeBytes: number }> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const tail = Buffer.alloc(Math.min(size, tailBytes));
    await file.read(tail, 0, tail.length, size - tail.length);
    const end = tail.lastIndexOf(0x0a);
    if (end === -1) return { lines: [], wholeBytes: size - tail.length };
    // What the tail begins with may be the rest of a line.
    const start = tail.length < size ? tail.indexOf(0x0a) + 1 : 0;
    const lines = end < start ? [] : tail.subarray(start, end).toString('utf8').split('\n');
    return { lines, wholeBytes: size - tail.length + end + 1 };
  } finally {
    await file.close();
  }
}

async function lastLineCompressed(path: string): Promise<readonly string[]> {
  let last: string | undefined;
  for await (const line of createInterface({ input: createReadStream(path).pipe(createGunzip()), crlfDelay: Number.POSITIVE_INFINITY }))
    if (line !== '') last = line;
  return last === undefined ? [] : [last];
}

function noteOf(line: string): string {
  const note: unknown = JSON.parse(line);
  if (typeof note !== 'string') throw new CofferdamError('corrupt', 'a line of the witness is not a signed note');
  parseNote(note);
  return note;
}

/** Of two wardens the slower one may have written last. */
function newestOf(notes: readonly string[]): string | undefined {
  const rank = (note: string): readonly [number, number, string] => {
    const { era, size, time } = parseNote(note).checkpoint;
    return [era, size, time];
  };
  return notes.reduce((newest, note) => {
    const [a, b] = [rank(newest), rank(note)];
    const isNewer = b[0] !== a[0] ? b[0] > a[0] : b[1] !== a[1] ? b[1] > a[1] : b[2] >= a[2];
    return isNewer ? note : newest;
  });
}

/** The newest note of a directory of checkpoints; undefined: there is none. Throws `unavailable`, or `corrupt` for a line that is no note. */
export async function newestNote(directory: string): Promise<string | undefined> {
  try {
    for (const name of [...(await namesIn(directory))].reverse()) {
      const path = join(directory, name);
      const lines = name.endsWith('.gz') ? await lastLineCompressed(path) : (await lastLines(path)).lines;
      if (lines.length > 0) return newestOf(lines.map(noteOf));
    }
    return undefined;
  } catch (cause) {
    if (cause instanceof CofferdamError && cause.code === 'corrupt') throw cause;
    if (cause instanceof SyntaxError || (cause instanceof CofferdamError && cause.code === 'invalid'))
      throw new CofferdamError('corrupt', `the newest line of the witness in ${directory} is not a checkpoint`, { cause });
    throw unavailable(directory, cause);
  }
}

export class FileWitness implements Witness {
  readonly name: string;
  readonly isRequired: boolean;
  readonly #directory: string;
  #file: { readonly name: string; readonly handle: FileHandle } | undefined;

  constructor(name: string, isRequired: boolean, directory: string) {
    this.name = name;
    this.isRequired = isRequired;
    this.#directory = directory;
  }

  readonly newest = (): Promise<string | undefined> => newestNote(this.#directory);

  async keep(note: string): Promise<void> {
    const { checkpoint } = parseNote(note);
    try {
      const handle = await this.#open(`checkpoints-${checkpoint.time.slice(0, 10)}.jsonl`);
      const line = Buffer.from(`${JSON.stringify(note)}\n`);
      const { bytesWritten } = await handle.write(line);
      if (bytesWritten !== line.length) throw new Error('a short write');
      await handle.datasync();
    } catch (cause) {
      // Whatever is half written is cut off when the file is opened again.
      const file = this.#file;
      this.#file = undefined;
      await file?.handle.close().catch(() => {});
      throw unavailable(this.#directory, cause);
    }
  }

  async #open(name: string): Promise<FileHandle> {
    if (this.#file?.name === name) return this.#file.handle;
    await this.#file?.handle.close();
    this.#file = undefined;
    await mkdir(this.#directory, { recursive: true });
    const path = join(this.#directory, name);
    const handle = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND, 0o644);
    const { size } = await handle.stat();
    if (size > 0) {
      const { wholeBytes } = await lastLines(path);
      if (wholeBytes < size) await truncate(path, wholeBytes);
    } else await syncDirectory(this.#directory);
    this.#file = { name, handle };
    return handle;
  }
}

/** A new file is there after a power cut only when its directory is. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
