// Owns: what a verifier knows from its earlier runs, in memory and in its file, and whether the next run may read only what was sealed since.
// Must never: go on from what does not fit its own checkpoint, its keys or this version, or move on after a run that was not good.
import { z } from 'zod';
import { toCofferdamError } from '../domain/errors.ts';
import { type Base, type Known, libraryHash, prove } from './library.ts';
import { readState, removeState, writeState } from './state-file.ts';

const format = 1;
const hourMs = 3_600_000;

/** A good run: when it began, the last head that it covers, and the number of the last entry of that. */
const mark = z.strictObject({ at: z.iso.datetime(), head: z.number(), entry: z.number() });
export type Mark = z.infer<typeof mark>;
const kept = z.strictObject({
  format: z.literal(format),
  library: z.string(),
  keys: z.array(z.string()),
  witnesses: z.array(z.string()),
  full: mark,
  last: mark,
  /** Why the next run reads everything, whenever the last full one was; null: nothing asks for it. */
  due: z.string().nullable(),
  known: z.unknown(),
});
type Kept = Omit<z.infer<typeof kept>, 'known'> & { readonly known: unknown };

export type MemorySettings = {
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
  /** Why there is nothing to go on from. */
  #why = 'this process has verified nothing yet';

  constructor(settings: MemorySettings) {
    this.#settings = settings;
    if (settings.state !== null) this.#load(settings.state);
  }

  #load(path: string): void {
    const read = readState(path);
    const parsed = typeof read === 'string' ? undefined : kept.safeParse(read.value);
    if (typeof read === 'string') this.#why = read;
    else if (parsed?.success !== true) this.#why = `the state ${path} is of another format`;
    else if (parsed.data.library !== this.#library) this.#why = `the state ${path} is of another version of the verifier`;
    else if (!isSame(parsed.data.keys, this.#settings.keys)) this.#why = `the state ${path} is of other keys`;
    else if (!isSame(parsed.data.witnesses, this.#settings.witnesses)) this.#why = `the state ${path} is of other witnesses`;
    else this.#kept = { ...parsed.data, known: parsed.data.known };
  }

  get full(): Mark | null {
    return this.#kept?.full ?? null;
  }

  get last(): Mark | null {
    return this.#kept?.last ?? null;
  }

  /** What was proved before, proved anew. What does not fit itself is forgotten, and said by `whyFull`. */
  base(): Base | undefined {
    if (this.#kept === undefined) return undefined;
    const base = prove(this.#kept.known, this.#settings.keys);
    if (typeof base !== 'string') return base;
    this.#why = `the state is not used: ${base}`;
    this.#kept = undefined;
    return undefined;
  }

  /** Why the next run reads everything; undefined: it reads what was sealed since. */
  whyFull(now: number): string | undefined {
    if (this.#kept === undefined) return this.#why;
    const { full, due } = this.#kept;
    if (due !== null) return due;
    const { fullEveryHours, everyMinutes } = this.#settings;
    const began = Date.parse(full.at);
    if (now < began) return `the clock of this machine stands before the last full run (${full.at})`;
    // The next one would come too late.
    return now + everyMinutes * 60_000 > began + fullEveryHours * hourMs ? `the last full run was of ${full.at}` : undefined;
  }

  /** A good run began at `at`. Returns why the file was not written; null: it was, or there is none. */
  good(at: number, isFull: boolean, known: Known): string | null {
    const { position: head, number: entry } = known.head;
    const last = { at: new Date(at).toISOString(), head, entry };
    const { keys, witnesses } = this.#settings;
    const full = isFull || this.#kept === undefined ? last : this.#kept.full;
    this.#kept = { format, library: this.#library, keys: [...keys], witnesses: [...witnesses], full, last, due: null, known };
    return this.#write();
  }

  /** A run was not good: what is known stays as it was, and the next one reads everything. */
  notGood(why: string): string | null {
    if (this.#kept === undefined) return null;
    this.#kept = { ...this.#kept, due: why };
    return this.#write();
  }

  #write(): string | null {
    const { state } = this.#settings;
    if (state === null) return null;
    try {
      writeState(state, this.#kept);
      return null;
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : toCofferdamError(cause).message;
      // Rather none than one that says less than is known: what stands there asks for no full run.
      try {
        if (this.#kept?.due !== null) removeState(state);
      } catch {
        return `${why}; it could not be removed either, and may ask for less than a full run`;
      }
      return why;
    }
  }
}
