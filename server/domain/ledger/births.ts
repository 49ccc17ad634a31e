// Owns: what a process wrote into the record and has not seen sealed yet: of each entry its id, its kind and the digest of its content, as the database gave it back.
// Must never: forget an entry because there are many; remember one whose transaction was undone; keep what two operators gave up with a release (decision 0036).
import { CofferdamError } from '../errors.ts';

/** A written entry, as text that names every column: `(id,"at",kind,…)`. */
export type Content = string;
export type DigestOf = (content: Content) => string;

export type Birth = {
  readonly id: number;
  readonly kind: string;
  readonly digest: string;
  /** Its number in the record will be higher than this. */
  readonly above: number;
  /** By a clock of the caller's, milliseconds. */
  readonly at: number;
  /** Nobody knows whether its transaction was committed. */
  readonly isUnsure: boolean;
  /** Written to a server or timeline before the present one. */
  readonly isOfOtherServer: boolean;
};

/** How a transaction ended. `unknown`: its connection was lost while it was being committed. */
export type End = 'committed' | 'undone' | 'unknown';

/** What one transaction writes. */
export type Draft = {
  /** Before something is written. Throws `unavailable` when nothing more may be. */
  requireRoom(): void;
  add(content: Content): void;
  /** A statement that was run: a savepoint, and the way back to it, are told from the others. */
  heard(statement: string): void;
  end(end: End): void;
};

/** Where an asked entry was found, all at one moment. */
export type Sighting = { readonly id: number; readonly content: Content; readonly isSealed: boolean };
export type Sight = {
  /** Of the entry that was sealed last. */
  readonly number: number;
  /** Up to this number what is sealed was looked through. */
  readonly upTo: number;
  readonly sightings: readonly Sighting[];
};
/** `gone`: neither waiting nor sealed. `changed`: it says something else than when it was written. */
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
  /** Beyond this nothing begins that would write more; beyond twice as many nothing is written at all. */
  readonly entriesMax: number;
  /** So long an entry is asked for of which nobody knows whether it was committed: no server is still at it then. */
  readonly unsureMs: number;
};

export class Births {
  readonly #options: BirthsOptions;
  /** In the order in which they are asked for. */
  #waiting = new Map<number, Birth>();
  #newest = 0;
  /** Drafts of before a release end as nothing. */
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

  /** `isBounded` false: for what says that the record stopped, which is written whatever waits. */
  begin(isBounded = true): Draft {
    const above = this.#newest;
    const generation = this.#generation;
    const written: Content[] = [];
    // As the database keeps them: the innermost of a name counts, and whoever leaves one leaves those within it.
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
        // The database knows no such savepoint either, and the transaction is lost.
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
      // A number is given twice only where the database forgot that it had been given: the first one is what is missed.
      if (this.#waiting.has(id)) continue;
      this.#waiting.set(id, { id, kind, digest: this.#options.digestOf(content), above, at, isUnsure, isOfOtherServer: false });
    }
  }

  /** Whom to look for next, at most so many, and above which number what is sealed has to be looked through. */
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

  /** What was found of those that were asked for. A miss stays: until two operators gave it up, every look finds it again. */
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
    // One that waits had no number at that moment; behind the others, so that all of them are asked for in turn.
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

  /** The database is another server or timeline: what is gone may have been lost with the one before. */
  moved(): void {
    this.#waiting = new Map([...this.#waiting].map(([id, birth]) => [id, { ...birth, isOfOtherServer: true }]));
  }

  /** An era began with a release: what had not been sealed before was given up with it, also where it is being written now. `number`: it goes on there. */
  forget(number: number): void {
    this.#waiting.clear();
    this.#generation += 1;
    this.#newest = number;
  }
}
