// Owns: the entries of this warden that nobody has seen sealed, as they are kept in its memory on the disk: while a
// freeze stands, because nothing is sealed behind one, and when the warden stops (decision 42).
// Must never: take one of them off the disk before this process has seen what became of it.
import type { Birth, Births } from '../../domain/ledger/births.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Look } from './seal-queries.ts';

/** Entries that were left, with the era and the server of which they are. `number`: `Birth.above`, of all of them. */
export type Left = {
  readonly era: number;
  readonly identity: string;
  readonly number: number;
  readonly entries: readonly Omit<Birth, 'at' | 'above'>[];
};

/** The largest number of entries that are kept, the oldest first: some megabytes. */
const leftMax = 20_000;
/**
 * How far back in the record a warden looks for what it wrote before its first look at it: others may have sealed that
 * meanwhile.
 */
const beforeFirstLook = 40_000;
const tellEveryMs = 60_000;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function entryOf(value: unknown): Left['entries'][number] | undefined {
  if (!Array.isArray(value) || value.length !== 7) return undefined;
  const [id, kind, digest, writtenAt, isTimed, isUnsure, isOfOtherServer]: readonly unknown[] = value;
  if (!Number.isSafeInteger(id) || !Number.isSafeInteger(writtenAt)) return undefined;
  if (typeof kind !== 'string' || typeof digest !== 'string') return undefined;
  return {
    id: Number(id),
    kind,
    digest,
    writtenAt: Number(writtenAt),
    isTimed: isTimed === 1,
    isUnsure: isUnsure === 1,
    isOfOtherServer: isOfOtherServer === 1,
  };
}

/** Returns what a memory says of entries that were left; undefined when that is of a wrong form. */
export function parseLeft(value: unknown): Left | null | undefined {
  if (value === null) return null;
  if (!isObject(value) || !Array.isArray(value.entries) || typeof value.identity !== 'string') return undefined;
  const { era, identity, number } = value;
  const entries = value.entries.map(entryOf);
  const isWhole = entries.every((one) => one !== undefined);
  if (!isWhole || !Number.isSafeInteger(era) || !Number.isSafeInteger(number)) return undefined;
  return { era: Number(era), identity, number: Number(number), entries };
}

/** Returns the same in the form in which it is stored: a few words for each entry. */
export const storedLeft = (left: Left | null): unknown =>
  left && {
    ...left,
    entries: left.entries.map((one) => [
      one.id,
      one.kind,
      one.digest,
      one.writtenAt,
      ...[one.isTimed, one.isUnsure, one.isOfOtherServer].map(Number),
    ]),
  };

type Keeping = {
  readonly births: Births;
  /** Of which era and server the entries are that this process waits for; undefined before its first look. */
  readonly place: () => Pick<Left, 'era' | 'identity'> | undefined;
  readonly begin: (place: Pick<Left, 'era' | 'identity'>) => void;
  readonly own: { readonly left: Left | undefined; leave(left: Left | null): Promise<void> };
  readonly log: Logger;
};

export class LeftEntries {
  readonly #given: Keeping;
  #hasBegun = false;
  /** What was on the disk, by the count of changes of the births. */
  #keptAt: number | undefined;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(given: Keeping) {
    this.#given = given;
  }

  /** Is called at the first look of this process: waits again for the entries that an earlier process left. */
  begin({ era, identity, number }: Pick<Look, 'era' | 'identity' | 'number'>): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    const { births, begin, own, log } = this.#given;
    births.startAt(Math.max(0, number - beforeFirstLook));
    const { left } = own;
    begin(left ?? { era, identity });
    if (left === undefined) return;
    births.recall(left.entries.map((one) => ({ ...one, above: left.number })));
    log.warn(
      { entries: left.entries.length },
      'an earlier run of this warden left entries that it had not seen sealed: they are looked for',
    );
  }

  /**
   * Keeps on the disk what is unseen now. A disk that does not take it is told of, and it is tried again; the process
   * remembers it meanwhile.
   */
  async keep(): Promise<void> {
    const { births, place, own, log } = this.#given;
    const of = place();
    if (!this.#hasBegun || of === undefined || this.#keptAt === births.changes) return;
    const [keptAt, { unseen }] = [births.changes, births];
    if (unseen.length === 0 && own.left === undefined) return;
    const entries = unseen.slice(0, leftMax);
    const number = entries.reduce((least, { above }) => Math.min(least, above), Number.MAX_SAFE_INTEGER);
    try {
      await own.leave(entries.length === 0 ? null : { ...of, number, entries });
      this.#keptAt = keptAt;
    } catch (error) {
      if (performance.now() - this.#toldAt < tellEveryMs) return;
      this.#toldAt = performance.now();
      log.error({ err: error }, 'the entries that wait for a seal could not be written into the memory of this warden');
    }
  }

  /** The record is in order. What was left is taken off the disk when this process has seen what became of it. */
  async settle(): Promise<void> {
    const { births, own } = this.#given;
    const { left } = own;
    if (left === undefined) return;
    const unseen = new Set(births.unseen.map(({ id, digest }) => `${id} ${digest}`));
    if (left.entries.some(({ id, digest }) => unseen.has(`${id} ${digest}`))) return;
    await own.leave(null);
    this.#keptAt = undefined;
  }

  /** Says at the end of the process what it has not seen sealed, whatever the state of the record is. */
  tell(): void {
    const { births, own, log } = this.#given;
    const { size: entries, oldestMs } = births;
    if (entries === 0) return;
    const kept = own.left?.entries.length ?? 0;
    log.error(
      { entries, kept, oldestMs: Math.round(oldestMs) },
      'this warden ends and has not seen all of its entries sealed; its next start looks for those that are kept, and nobody else watches them',
    );
  }
}
