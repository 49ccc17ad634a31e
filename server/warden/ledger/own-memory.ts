// Owns: the file in which this warden remembers, outside of the database and of every witness, what it signed last, a
// freeze that it found, which required witnesses had a checkpoint, and which of its entries nobody has seen sealed
// (decisions 0042 and 0047).
// Must never: let a note leave the process that is not on the disk yet, or forget a freeze that nobody released.
import { readFile } from 'node:fs/promises';
import { replaceDurablyMeanwhile } from '../../disk/durable-file.ts';
import { CofferdamError, toCofferdamError } from '../../domain/errors.ts';
import type { Vouched } from './comparison.ts';
import { type Left, parseLeft, storedLeft } from './left-entries.ts';
import type { Signing } from './seal.ts';
import type { Freeze } from './seal-queries.ts';
import { openNote } from './signatures.ts';

type Remembered = {
  readonly note: string | null;
  readonly freeze: Freeze | null;
  /** The names of the required witnesses that had a checkpoint; null: none is known. */
  readonly witnesses: readonly string[] | null;
  /** Its entries that nobody has seen sealed. */
  readonly left: Left | null;
};
const nothing: Remembered = { note: null, freeze: null, witnesses: null, left: null };
const bytesMax = 8 * 1024 * 1024;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isNames = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((one) => typeof one === 'string');

function parse(text: string): Remembered | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(value) || (value.note !== null && typeof value.note !== 'string')) return undefined;
  const { note, freeze, witnesses = null } = value;
  if (witnesses !== null && !isNames(witnesses)) return undefined;
  const left = parseLeft(value.left ?? null);
  if (left === undefined) return undefined;
  if (freeze === null) return { note, freeze, witnesses, left };
  if (!isObject(freeze) || typeof freeze.id !== 'string' || typeof freeze.text !== 'string' || !isObject(freeze.facts))
    return undefined;
  const { id, why, text: said, facts } = freeze;
  if (why !== 'behind' && why !== 'diverged' && why !== 'clock') return undefined;
  return { note, freeze: { id, why, text: said, facts }, witnesses, left };
}

/**
 * The memory of one warden, which writes it in its beat, one after the other. Without a path, as in tests of the record
 * alone, no freeze outlives its row, and nothing outlives the process.
 */
export class OwnMemory {
  readonly #path: string | undefined;
  #remembered: Remembered | undefined;
  /** Whether the file does not hold yet what is remembered. */
  #isOwed = false;

  constructor(path: string | undefined) {
    this.#path = path;
  }

  /**
   * Reads the file once. A file that does not exist holds nothing. Throws `corrupt` when it is none that a warden
   * wrote.
   */
  async load(): Promise<void> {
    this.#remembered ??= await this.#read();
  }

  async #read(): Promise<Remembered> {
    if (this.#path === undefined) return nothing;
    let text: string;
    try {
      text = await readFile(this.#path, { encoding: 'utf8', signal: AbortSignal.timeout(10_000) });
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return nothing;
      throw error;
    }
    const remembered = text.length > bytesMax ? undefined : parse(text);
    if (remembered === undefined)
      throw new CofferdamError(
        'corrupt',
        `${this.#path} is not what a warden writes there: nothing is served before it is known what was signed last`,
      );
    return remembered;
  }

  /** The checkpoint that this warden signed last, if it is one of this gateway. */
  vouched(signing: Signing): Vouched | undefined {
    const { note } = this.#remembered ?? nothing;
    const signed = openNote(signing, note);
    if (note === null || signed === undefined) return undefined;
    const { time } = signing.signer.open(note);
    return { ...signed, by: 'this warden, before it was started,', time };
  }

  /** The freeze that this warden found and no release has ended yet, which stands whatever became of its row. */
  get freeze(): Freeze | undefined {
    return this.#path === undefined ? undefined : (this.#remembered?.freeze ?? undefined);
  }

  /** Returns whether this warden found the freeze that stands. */
  get hasFound(): boolean {
    return (this.#remembered?.freeze ?? null) !== null;
  }

  /** The required witnesses that had a checkpoint; undefined when none is known. */
  get witnesses(): readonly string[] | undefined {
    return this.#remembered?.witnesses ?? undefined;
  }

  /** The entries that nobody has seen sealed, as they were written here last; undefined: none are known. */
  get left(): Left | undefined {
    return this.#remembered?.left ?? undefined;
  }

  /** Remembers what this run leaves to the next one. Throws `unavailable` when the disk does not take it. */
  leave(left: Left | null): Promise<void> {
    return this.#keep({ left });
  }

  /** Remembers that these required witnesses have a checkpoint. Throws `unavailable` when the disk does not take it. */
  async saw(names: readonly string[]): Promise<void> {
    const known = this.witnesses ?? [];
    const fresh = names.filter((one) => !known.includes(one));
    if (fresh.length > 0) await this.#keep({ witnesses: [...known, ...fresh] });
  }

  /** Writes what could not be written when it happened. Throws `unavailable` when it still cannot be written. */
  async settle(): Promise<void> {
    if (this.#isOwed && this.#remembered !== undefined) await this.#write(this.#remembered);
  }

  /** Resolves when the note is on the disk. Throws `unavailable` when the disk does not take it. */
  signed(note: string): Promise<void> {
    return this.#keep({ note });
  }

  /** Remembers the freeze that this warden found; null when two operators have released it. */
  async froze(freeze: Freeze | null): Promise<void> {
    if (freeze !== null || this.hasFound) await this.#keep({ freeze });
  }

  async #keep(part: Partial<Remembered>): Promise<void> {
    this.#remembered = { ...(this.#remembered ?? nothing), ...part };
    await this.#write(this.#remembered);
  }

  async #write(remembered: Remembered): Promise<void> {
    if (this.#path === undefined) return;
    this.#isOwed = true;
    try {
      await replaceDurablyMeanwhile({
        path: this.#path,
        content: JSON.stringify({ ...remembered, left: storedLeft(remembered.left) }),
        mode: 0o600,
      });
    } catch (error) {
      const why = error instanceof Error ? error.message : toCofferdamError(error).message;
      throw new CofferdamError('unavailable', `the memory of this warden cannot be written: ${why}`, { cause: error });
    }
    this.#isOwed = false;
  }
}
