// Owns: what a verifier knows from its earlier runs, in memory and in its file, and whether the next run may read only
// what was sealed since.
// Must never: go on from a state that does not agree with its own checkpoint, with the configured keys or with this
// version of the verifier, or from a run that was not good.
import { z } from 'zod';
import { CofferdamError, toCofferdamError } from '../domain/errors.ts';
import { type Base, type Known, libraryHash, prove } from './library.ts';
import { readState, removeState, type StateLock, stateLock, writeState } from './state-file.ts';

const format = 2;
const hourMs = 3_600_000;

/**
 * A good run: when it began, the position of the last head that it covers, and the number of that head's last entry.
 */
const mark = z.strictObject({ at: z.iso.datetime(), head: z.number(), entry: z.number() });
export type Mark = z.infer<typeof mark>;
const kept = z.strictObject({
  format: z.literal(format),
  library: z.string(),
  keys: z.array(z.string()),
  witnesses: z.array(z.string()),
  full: mark,
  last: mark,
  /**
   * Why, and since when, the next run must be a full one; null when only the age of the last full run can ask for one.
   */
  due: z.strictObject({ at: z.iso.datetime(), why: z.string() }).nullable(),
  known: z.unknown(),
});
type Kept = Omit<z.infer<typeof kept>, 'known'> & { readonly known: unknown };

type MemorySettings = {
  readonly keys: readonly string[];
  readonly witnesses: readonly string[];
  readonly state: string | null;
  readonly fullEveryHours: number;
  readonly everyMinutes: number;
};

const isSame = (one: readonly string[], other: readonly string[]): boolean =>
  JSON.stringify([...one].sort()) === JSON.stringify([...other].sort());

export class Memory {
  readonly #settings: MemorySettings;
  readonly #library = libraryHash();
  #kept: Kept | undefined;
  /** Whether the file has what this process knows. */
  #isWritten = true;
  /** Why there is nothing to go on from, while `#kept` is undefined. */
  #why = 'this process has verified nothing yet';

  constructor(settings: MemorySettings) {
    this.#settings = settings;
    if (settings.state !== null) this.#load(settings.state);
  }

  /**
   * Begins a run: until `end`, no other process begins one with the same file. What the file says now, also when
   * another process wrote it, is what this one goes on from. Throws `conflict` when another run is under way. Where no
   * lock can be written, the run goes on without one.
   */
  begin(): StateLock {
    const { state } = this.#settings;
    if (state === null) return { end: () => {} };
    let lock: StateLock = { end: () => {} };
    try {
      lock = stateLock(state);
    } catch (cause) {
      if (cause instanceof CofferdamError) throw cause;
    }
    this.#load(state);
    return lock;
  }

  #load(path: string): void {
    const before = this.#kept;
    this.#kept = undefined;
    const read = readState(path);
    const parsed = typeof read === 'string' ? undefined : kept.safeParse(read.value);
    if (typeof read === 'string') this.#why = read;
    else if (parsed?.success !== true) this.#why = `the state ${path} has another format`;
    else if (parsed.data.library !== this.#library)
      this.#why = `the state ${path} was written by another version of the verifier`;
    else if (!isSame(parsed.data.keys, this.#settings.keys))
      this.#why = `the state ${path} was written with other verifier keys`;
    else if (!isSame(parsed.data.witnesses, this.#settings.witnesses))
      this.#why = `the state ${path} was written with other witnesses`;
    else this.#kept = { ...parsed.data, known: parsed.data.known };
    // What this process could not write counts more than the file, and a full run that the file asks for is still due.
    if (before !== undefined && !this.#isWritten)
      this.#kept = { ...before, due: before.due ?? this.#kept?.due ?? null };
  }

  get full(): Mark | null {
    return this.#kept?.full ?? null;
  }

  get last(): Mark | null {
    return this.#kept?.last ?? null;
  }

  /**
   * Returns what the last good run left, proved anew from its checkpoint; undefined when there is nothing to go on
   * from. A state that cannot be proved is forgotten, and `whyFull` says why.
   */
  base(): Base | undefined {
    if (this.#kept === undefined) return undefined;
    const base = prove(this.#kept.known, this.#settings.keys);
    if (typeof base !== 'string') return base;
    this.#why = `the state is not used: ${base}`;
    this.#kept = undefined;
    return undefined;
  }

  /**
   * Returns why the next run reads everything; undefined when it may read only what was sealed since. `now` is in
   * milliseconds since 1970.
   */
  whyFull(now: number): string | undefined {
    if (this.#kept === undefined) return this.#why;
    const { full, due } = this.#kept;
    if (due !== null) return due.why;
    const { fullEveryHours, everyMinutes } = this.#settings;
    const began = Date.parse(full.at);
    if (now < began) return `the clock of this machine shows a time before the last full run (${full.at})`;
    // The run after this one would be too late for a full one.
    return now + everyMinutes * 60_000 > began + fullEveryHours * hourMs
      ? `the last full run was at ${full.at}`
      : undefined;
  }

  /**
   * Keeps a good run that began at `at` (milliseconds since 1970). Only a full run that began after something asked for
   * one withdraws that. Returns why the file was not written; null when it was, or when there is none.
   */
  good(at: number, isFull: boolean, known: Known): string | null {
    const { position: head, number: entry } = known.head;
    const last = { at: new Date(at).toISOString(), head, entry };
    const { keys, witnesses } = this.#settings;
    const full = isFull || this.#kept === undefined ? last : this.#kept.full;
    const before = this.#kept?.due ?? null;
    const due = before === null || (isFull && Date.parse(before.at) <= at) ? null : before;
    this.#kept = { format, library: this.#library, keys: [...keys], witnesses: [...witnesses], full, last, due, known };
    return this.#write();
  }

  /**
   * Keeps that a run was not good: what is known stays as it was, and the next run reads everything. Returns why the
   * file was not written; null when it was, or when there is none.
   */
  notGood(why: string, now = Date.now()): string | null {
    if (this.#kept === undefined) return null;
    this.#kept = { ...this.#kept, due: { at: new Date(now).toISOString(), why } };
    return this.#write();
  }

  #write(): string | null {
    const { state } = this.#settings;
    if (state === null) return null;
    this.#isWritten = false;
    try {
      writeState(state, this.#kept);
      this.#isWritten = true;
      return null;
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : toCofferdamError(cause).message;
      // The old file may not ask for the full run that is due. No file at all asks for one.
      try {
        if (this.#kept?.due !== null) removeState(state);
      } catch {
        return `${why}; the old state could not be removed either, so a run that starts from it may not be the full run that is due`;
      }
      return why;
    }
  }
}
