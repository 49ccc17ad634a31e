// Owns: the rows of one answer, however many: lines of JSON in an unnamed file that is read page by page.
// Must never: hold more rows in memory than a small buffer, or leave a file behind. The file is unlinked as soon as it
// is open.
import { randomUUID } from 'node:crypto';
import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { CofferdamError } from '../../domain/errors.ts';
import { filePart } from '../../domain/path-parts.ts';

const bufferBytes = 256 * 1024;
const copyBytes = 4 * 1024 * 1024;
const newline = 0x0a;

type Range = { readonly start: number; end: number };
type SpoolRange = Range & { rows: number; readonly groups: Map<string, Range> };
type Page = { readonly rows: readonly unknown[]; readonly next: number | null };
type SpoolLimits = {
  /** The largest size of the whole answer, in bytes. */
  readonly bytesMax: number;
  /** The largest size of the JSON in one page, in bytes. */
  readonly pageBytesMax: number;
};

/** The rows of one answer. Rows are buffered, so `flush` must be called before they are read. */
export class Spool {
  readonly #directory: string;
  readonly #limits: SpoolLimits;
  readonly #parts = new Map<string, SpoolRange>();
  /** The size and the number of rows of the whole answer, in however many files it is written. */
  readonly #all: { bytes: number; rows: number };
  #file: number | undefined;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #size = 0;

  constructor(directory: string, limits: SpoolLimits, all = { bytes: 0, rows: 0 }) {
    this.#directory = directory;
    this.#limits = limits;
    this.#all = all;
    const path = join(directory, filePart(`.scope-${randomUUID()}`));
    this.#file = openSync(path, 'wx+', 0o600);
    unlinkSync(path);
  }

  #open(): number {
    if (this.#file === undefined) throw new CofferdamError('not-found', 'this answer is gone: ask again');
    return this.#file;
  }

  /** Returns a spool with a file of its own for rows of the same answer. `append` joins them later. */
  beside(): Spool {
    return new Spool(this.#directory, this.#limits, this.#all);
  }

  /**
   * Takes over the rows of another spool of the same answer and closes that one. A part that both have must continue in
   * other groups. Other work of the process runs between the chunks.
   */
  async append(other: Spool): Promise<void> {
    this.flush();
    other.flush();
    const shift = this.#size;
    const bytes = Buffer.alloc(copyBytes);
    for (let at = 0; at < other.#size; ) {
      const chunk = bytes.subarray(0, Math.min(copyBytes, other.#size - at));
      readAll(other.#open(), chunk, at);
      this.#write(chunk);
      at += chunk.length;
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#size += other.#size;
    const moved = ({ start, end }: Range): Range => ({ start: start + shift, end: end + shift });
    for (const [part, { rows, groups, ...range }] of other.#parts) {
      const { start, end } = moved(range);
      const whole: SpoolRange = this.#parts.get(part) ?? {
        start,
        end: start,
        rows: 0,
        groups: new Map<string, Range>(),
      };
      if (whole.end !== start) throw new Error(`rows of ${part} do not stand together`);
      whole.end = end;
      whole.rows += rows;
      for (const [group, one] of groups) {
        if (whole.groups.has(group)) throw new Error(`rows of ${part} are not in order`);
        whole.groups.set(group, moved(one));
      }
      this.#parts.set(part, whole);
    }
    other.close();
  }

  /**
   * Adds a row. Parts must come one after the other, and within a part the rows of one group must come together. Throws
   * `over-limit` when the answer becomes too large.
   */
  add(part: string, group: string, row: unknown): void {
    const line = Buffer.from(`${JSON.stringify(row)}\n`, 'utf8');
    const start = this.#size;
    this.#size += line.length;
    this.#all.bytes += line.length;
    this.#all.rows += 1;
    if (this.#all.bytes > this.#limits.bytesMax)
      throw new CofferdamError(
        'over-limit',
        'the answer is longer than there is room for: narrow the question, by a time or an account',
      );
    const whole = this.#parts.get(part) ?? { start, end: start, rows: 0, groups: new Map<string, Range>() };
    this.#parts.set(part, whole);
    if (whole.end !== start) throw new Error(`rows of ${part} do not stand together`);
    whole.end = this.#size;
    whole.rows += 1;
    const range = whole.groups.get(group) ?? { start, end: start };
    if (range.end !== start) throw new Error(`rows of ${part} are not in order`);
    range.end = this.#size;
    whole.groups.set(group, range);
    this.#waiting.push(line);
    this.#waitingBytes += line.length;
    if (this.#waitingBytes >= bufferBytes) this.flush();
  }

  flush(): void {
    this.#write(Buffer.concat(this.#waiting));
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  #write(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#open(), bytes, at);
  }

  /** The number of rows of the answer so far, in all of its files. */
  get rows(): number {
    return this.#all.rows;
  }

  rowsOf(part: string): number {
    return this.#parts.get(part)?.rows ?? 0;
  }

  /**
   * Returns a page. `offset` is in bytes from the first row of the part or group: 0, or the `next` of the page before,
   * which is null after the last page. Throws `invalid` where no row begins, and `not-found` when the spool is closed.
   */
  page(part: string, group: string | undefined, offset: number): Page {
    const file = this.#open();
    const partRange = this.#parts.get(part);
    const range = group === undefined ? partRange : partRange?.groups.get(group);
    if (range === undefined) return { rows: [], next: null };
    const start = range.start + offset;
    if (start > range.end || (offset > 0 && this.#byte(file, start - 1) !== newline))
      throw new CofferdamError('invalid', 'there is no such page');
    const bytes = Buffer.alloc(Math.min(this.#limits.pageBytesMax, range.end - start));
    readAll(file, bytes, start);
    const whole = bytes.lastIndexOf(newline) + 1;
    if (whole === 0 && bytes.length > 0) throw new Error('a row is longer than a page');
    const rows = bytes
      .toString('utf8', 0, whole)
      .split('\n')
      .slice(0, -1)
      .map((line): unknown => JSON.parse(line));
    return { rows, next: start + whole >= range.end ? null : offset + whole };
  }

  #byte(file: number, position: number): number {
    const one = Buffer.alloc(1);
    readAll(file, one, position);
    return one[0] ?? 0;
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
    this.#waiting = [];
    this.#parts.clear();
  }
}

function readAll(file: number, bytes: Buffer, position: number): void {
  for (let at = 0; at < bytes.length; ) {
    const count = readSync(file, bytes, at, bytes.length - at, position + at);
    if (count === 0) throw new Error('the spool is shorter than what was written');
    at += count;
  }
}
