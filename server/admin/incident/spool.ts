// Owns: results that are larger than an answer: lines of JSON in a file that has no name any more, paged by offset.
// Must never: leave a readable file behind, or keep more than a few results, or keep them for long.

import { randomUUID } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { CofferdamError } from '../../domain/errors.ts';

/** Of lines in one answer: a frame of the rpc with room to spare, once the lines are JSON inside JSON. */
const pageBytes = 48_000;
const writeBytes = 65_536;

export class Spool {
  readonly #file: number;
  #waiting: string[] = [];
  #waitingBytes = 0;
  #count = 0;

  constructor(directory: string) {
    const path = join(directory, `.spool-${randomUUID()}`);
    this.#file = openSync(path, 'wx+', 0o600);
    unlinkSync(path);
  }

  get count(): number {
    return this.#count;
  }

  add(row: unknown): void {
    const line = `${JSON.stringify(row)}\n`;
    this.#waiting.push(line);
    this.#waitingBytes += line.length;
    this.#count += 1;
    if (this.#waitingBytes >= writeBytes) this.#flush();
  }

  #flush(): void {
    if (this.#waiting.length === 0) return;
    const bytes = Buffer.from(this.#waiting.join(''));
    this.#waiting = [];
    this.#waitingBytes = 0;
    for (let done = 0; done < bytes.length; ) done += writeSync(this.#file, bytes, done);
  }

  /** Whole lines from this offset on, at least one; `next` is null at the end. */
  page(offset: number): { readonly lines: string; readonly next: number | null } {
    this.#flush();
    const { size } = fstatSync(this.#file);
    if (offset >= size) return { lines: '', next: null };
    for (let want = pageBytes; ; want *= 2) {
      const bytes = Buffer.alloc(Math.min(want, size - offset));
      readSync(this.#file, bytes, 0, bytes.length, offset);
      const end = bytes.lastIndexOf(0x0a) + 1;
      if (end === 0 && offset + bytes.length < size) continue;
      const next = offset + end;
      return { lines: bytes.subarray(0, end).toString('utf8'), next: next >= size ? null : next };
    }
  }

  close(): void {
    closeSync(this.#file);
  }
}

type Kept<T> = { readonly id: string; readonly value: T; readonly at: number; readonly close: () => void };

/** A few results, each for a while. The oldest goes when there is one too many. */
export class Shelf<T> {
  readonly #max: number;
  readonly #lifeMs: number;
  readonly #kept: Kept<T>[] = [];

  constructor(max: number, lifeMs: number) {
    this.#max = max;
    this.#lifeMs = lifeMs;
  }

  put(value: T, close: () => void): string {
    const id = randomUUID();
    this.#sweep();
    while (this.#kept.length >= this.#max) this.#kept.shift()?.close();
    this.#kept.push({ id, value, at: performance.now(), close });
    return id;
  }

  get(id: string): T {
    this.#sweep();
    const found = this.#kept.find((one) => one.id === id);
    if (found === undefined) throw new CofferdamError('not-found', 'this result is not kept any more: ask again');
    return found.value;
  }

  #sweep(): void {
    while (this.#kept[0] !== undefined && performance.now() - this.#kept[0].at > this.#lifeMs) this.#kept.shift()?.close();
  }

  clear(): void {
    for (const one of this.#kept.splice(0)) one.close();
  }
}
