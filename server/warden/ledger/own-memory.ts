// Owns: the file in which this warden remembers, outside of the database and of every witness, what it signed last and a freeze that
// it found (decision 0042).
// Must never: hold a note that is not on the disk yet when it leaves the process, or forget a freeze before its era is over.
import { open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CofferdamError } from '../../domain/errors.ts';
import type { Vouched } from './comparison.ts';
import type { Signing } from './seal.ts';
import type { Freeze } from './seal-queries.ts';
import { openNote } from './signatures.ts';

type Remembered = { readonly note: string | null; readonly freeze: Omit<Freeze, 'id'> | null };
const nothing: Remembered = { note: null, freeze: null };
const bytesMax = 65_536;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function parse(text: string): Remembered | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(value) || (value.note !== null && typeof value.note !== 'string')) return undefined;
  const { note, freeze } = value;
  if (freeze === null) return { note, freeze };
  if (!isObject(freeze) || typeof freeze.text !== 'string' || !isObject(freeze.facts)) return undefined;
  const { why, text: said, facts } = freeze;
  if (why !== 'behind' && why !== 'diverged' && why !== 'clock') return undefined;
  return { note, freeze: { why, text: said, facts } };
}

/** The memory of one warden, which writes it in its beat, one after the other. Without a path, as in tests of the record alone, no freeze outlives its row, and nothing outlives the process. */
export class OwnMemory {
  readonly #path: string | undefined;
  #remembered: Remembered | undefined;

  constructor(path: string | undefined) {
    this.#path = path;
  }

  /** Reads the file once. A file that does not exist holds nothing. Throws `corrupt` when it is none that a warden wrote. */
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
  get freeze(): Omit<Freeze, 'id'> | undefined {
    return this.#path === undefined ? undefined : (this.#remembered?.freeze ?? undefined);
  }

  /** Returns whether this warden found the freeze that stands. */
  get hasFound(): boolean {
    return (this.#remembered?.freeze ?? null) !== null;
  }

  /** Resolves when the note is on the disk. */
  signed(note: string): Promise<void> {
    return this.#keep({ note });
  }

  /** Null: two operators released it, or its era is over. */
  async froze(freeze: Omit<Freeze, 'id'> | null): Promise<void> {
    if (freeze !== null || this.hasFound) await this.#keep({ freeze });
  }

  async #keep(part: Partial<Remembered>): Promise<void> {
    this.#remembered = { ...(this.#remembered ?? nothing), ...part };
    await this.#write(this.#remembered);
  }

  async #write(remembered: Remembered): Promise<void> {
    if (this.#path === undefined) return;
    const fresh = `${this.#path}.new`;
    const file = await open(fresh, 'w', 0o600);
    try {
      await file.writeFile(JSON.stringify(remembered));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(fresh, this.#path);
    const directory = await open(dirname(this.#path), 'r');
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  }
}
