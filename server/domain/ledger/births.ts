// Owns: the entries that a process wrote into the record and has not yet seen sealed: of each its id, its kind, and the
// digest of its content as the database returned it.
// Must never: forget an entry because there are many; remember an entry whose transaction was rolled back; keep entries
// that two operators gave up with a release (decision 36).
import { CofferdamError } from '../errors.ts';

/** A written entry as the text of its row, with the values of all columns: `(id,"at",kind,…)`. */
export type Content = string;
export type DigestOf = (content: Content) => string;

export type Birth = {
  readonly id: number;
  readonly kind: string;
  readonly digest: string;
  /** The number that the entry gets in the record will be higher than this. */
  readonly above: number;
  /** When the entry was written, in milliseconds of the caller's clock. */
  readonly at: number;
  /** Whether it is unknown if the transaction was committed. */
  readonly isUnsure: boolean;
  /** Whether the entry was written to another server or timeline than the present one. */
  readonly isOfOtherServer: boolean;
};

/** How a transaction ended. `unknown`: its connection was lost during the commit. */
export type End = 'committed' | 'undone' | 'unknown';

/** The entries that one transaction writes. */
export type Draft = {
  /** Throws `unavailable` when no more entries may be written. It must be called before each entry. */
  requireRoom(): void;
  add(content: Content): void;
  /** Takes note of a statement that was executed, so that savepoints and rollbacks to them are followed. */
  heard(statement: string): void;
  end(end: End): void;
};

/** Where an entry was found that was asked for. All sightings of one look are of the same moment. */
export type Sighting = { readonly id: number; readonly content: Content; readonly isSealed: boolean };
export type Sight = {
  /** The number of the entry that was sealed last. */
  readonly number: number;
  /** The sealed entries were searched up to this number. */
  readonly upTo: number;
  readonly sightings: readonly Sighting[];
};
/**
 * An entry that is missing. `gone`: it neither waits to be sealed nor is it sealed. `changed`: its content differs from
 * what was written.
 */
export type Miss = { readonly id: number; readonly kind: string; readonly is: 'gone' | 'changed'; readonly isOfOtherServer: boolean };

const headPattern = /^\((\d{1,15}),"?[^",]+"?,"?([^",]+)"?,/;

function headOf(content: Content): { readonly id: number; readonly kind: string } {
  const [, id, kind] = headPattern.exec(content) ?? [];
  if (id === undefined || kind === undefined) throw new CofferdamError('bug', 'the database gave back no entry');
  return { id: Number(id), kind };
}

export type BirthsOptions = {
  readonly digestOf: DigestOf;
  readonly now: () => number;
  /**
   * Beyond this number of unseen entries, nothing may begin that would write more. Beyond twice this number, no entry
   * may be written at all.
   */
  readonly entriesMax: number;
  /**
   * How long, in milliseconds, an entry is asked for when it is unknown whether it was committed. After this time no
   * server can still be committing it.
   */
  readonly unsureMs: number;
};

export class Births {
  readonly #options: BirthsOptions;
  /** The unseen entries, in the order in which they are asked for. */
  #waiting = new Map<number, Birth>();
  #newest = 0;
  /** Grows with each release. A draft that began before the release is not remembered when it ends. */
  #generation = 0;

  constructor(options: BirthsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#waiting.size;
  }

  get hasRoom(): boolean {
    return this.#waiting.size < this.#options.entriesMax;
  }

  #requireRoom(): void {
    if (this.#waiting.size >= 2 * this.#options.entriesMax)
      throw new CofferdamError('unavailable', 'the record is behind; try again in a moment');
  }

  /**
   * Begins the draft of a transaction. `isBounded` is false for entries that say that the record stopped; they are
   * written however many entries wait.
   */
  begin(isBounded = true): Draft {
    const above = this.#newest;
    const generation = this.#generation;
    const written: Content[] = [];
    // Savepoints are treated as the database treats them: of several with one name the innermost counts, and leaving a
    // savepoint also leaves those inside it.
    const marks: { readonly name: string; readonly at: number }[] = [];
    return {
      requireRoom: () => {
        if (isBounded) this.#requireRoom();
      },
      add: (content) => void written.push(content),
      heard: (statement) => {
        const [, verb, name] = /^(rollback to |release )?savepoint ([a-z_]+)$/.exec(statement) ?? [];
        if (name === undefined) return;
        if (verb === undefined) {
          marks.push({ name, at: written.length });
          return;
        }
        const innermost = marks.findLastIndex((one) => one.name === name);
        const mark = marks[innermost];
        // The database does not know such a savepoint either, so the statement fails and the transaction is aborted.
        if (mark === undefined) return;
        if (verb === 'rollback to ') written.length = Math.min(written.length, mark.at);
        marks.length = verb === 'rollback to ' ? innermost + 1 : innermost;
      },
      end: (end) => {
        if (end !== 'undone' && generation === this.#generation) this.#remember(written, above, end === 'unknown');
        written.length = 0;
      },
    };
  }

  #remember(written: readonly Content[], above: number, isUnsure: boolean): void {
    const at = this.#options.now();
    for (const content of written) {
      const { id, kind } = headOf(content);
      // The database assigns an id twice only when it has forgotten that the id was assigned. The first entry is the
      // one that will be missed, so it stays.
      if (this.#waiting.has(id)) continue;
      this.#waiting.set(id, { id, kind, digest: this.#options.digestOf(content), above, at, isUnsure, isOfOtherServer: false });
    }
  }

  /** Returns the ids to look for next, at most `most` of them, and the number above which the sealed entries have to be searched. */
  ask(most: number): { readonly ids: readonly number[]; readonly above: number } {
    const ids: number[] = [];
    let above = Number.POSITIVE_INFINITY;
    for (const birth of this.#waiting.values()) {
      if (ids.length === most) break;
      ids.push(birth.id);
      above = Math.min(above, birth.above);
    }
    return { ids, above: ids.length === 0 ? this.#newest : above };
  }

  /**
   * Compares what was found with what was asked for, and returns the misses. A missing entry stays unseen: every look
   * finds it again until two operators give it up.
   */
  learn(asked: readonly number[], { number, upTo, sightings }: Sight): readonly Miss[] {
    const found = new Map(sightings.map((one) => [one.id, one]));
    const misses: Miss[] = [];
    for (const id of asked) {
      const birth = this.#waiting.get(id);
      if (birth === undefined) continue;
      const seen = found.get(id);
      const miss = seen === undefined ? this.#unseen(birth, number, upTo) : this.#seen(birth, seen, number);
      if (miss !== undefined) misses.push({ id, kind: birth.kind, is: miss, isOfOtherServer: birth.isOfOtherServer });
    }
    this.#newest = Math.max(this.#newest, number);
    return misses;
  }

  #seen(birth: Birth, { content, isSealed }: Sighting, number: number): Miss['is'] | undefined {
    if (this.#options.digestOf(content) !== birth.digest) return 'changed';
    this.#waiting.delete(birth.id);
    // An entry that still waits had no number at that moment. It goes to the end of the order, so that all entries are
    // asked for in turn.
    if (!isSealed) this.#waiting.set(birth.id, { ...birth, above: Math.max(birth.above, number), isUnsure: false });
    return undefined;
  }

  #unseen(birth: Birth, number: number, upTo: number): Miss['is'] | undefined {
    if (upTo < number) {
      if (upTo > birth.above) this.#waiting.set(birth.id, { ...birth, above: upTo });
      return undefined;
    }
    if (!birth.isUnsure) return 'gone';
    if (this.#options.now() - birth.at > this.#options.unsureMs) this.#waiting.delete(birth.id);
    return undefined;
  }

  /** Marks all unseen entries as written to a former server or timeline, with which they may have been lost. */
  moved(): void {
    this.#waiting = new Map([...this.#waiting].map(([id, birth]) => [id, { ...birth, isOfOtherServer: true }]));
  }

  /**
   * Forgets all unseen entries, because a release began an era. Entries that were not sealed before were given up with
   * the release, also those of transactions that are still running. `number` is the number at which the record continues.
   */
  forget(number: number): void {
    this.#waiting.clear();
    this.#generation += 1;
    this.#newest = number;
  }
}
