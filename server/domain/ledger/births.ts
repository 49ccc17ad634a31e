// Owns: the entries that a process wrote into the record and has not yet seen sealed: of each its id, its kind, and the
// digest of its content as the database returned it.
// Must never: forget an entry because there are many; remember an entry whose transaction was rolled back; keep entries
// that two operators gave up with a release (decisions 36, 42 and 47).
import { CofferdamError } from '../errors.ts';
import { Queue } from '../queue.ts';
import { SavepointList } from '../savepoints.ts';
import { idOfEntry, microsOf, parseEntry, textOfWritten, type WrittenEntry } from './written.ts';

/** A written entry as the text of its row, with the values of all columns: `(id,"at",kind,…)`. */
type Content = string;
/** The digest of the text by which two readings of an entry are compared (`textOfWritten`). */
type DigestOf = (text: string) => string;

export type Birth = {
  readonly id: number;
  readonly kind: string;
  readonly digest: string;
  /** Whether its time was compared with a clock that goes as it should. */
  readonly isTimed: boolean;
  /** The time of the entry, in microseconds since 1970. */
  readonly writtenAt: number;
  /** The number that the entry gets in the record will be higher than this. */
  readonly above: number;
  /** Since when this process waits for the entry, in milliseconds of the caller's clock. */
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
  /** The clock of the caller's by which births are judged, in milliseconds. */
  now(): number;
  /**
   * Returns what is impossible about an entry that was asked for at `askedAt` and came back now, as the end of a
   * sentence: its time, or its number.
   */
  faultOf(written: WrittenEntry, askedAt: number): string | undefined;
  /**
   * The database did not take an entry as it was written. Its transaction can no longer be committed, and whoever
   * watches learns of it.
   */
  refuse(kind: string, fault: string): void;
  /** Before the commit. Throws `unavailable` when an entry of this transaction was refused. */
  requireWritten(): void;
  /** Throws `unavailable`, and refuses the entry, when another entry that is being written or waits has its number. */
  add(written: WrittenEntry): void;
  /** Takes note of a statement that was executed, so that savepoints and rollbacks to them are followed. */
  heard(statement: string): void;
  end(end: End): void;
};

/**
 * Where an entry was found that was asked for, with its content or with the digest of what a sealer hashed. All
 * sightings of one look are of the same moment.
 */
export type Sighting = { readonly id: number; readonly isSealed: boolean } & (
  | { readonly content: Content }
  | { readonly digest: string }
);
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
export type Miss = {
  readonly id: number;
  readonly kind: string;
  readonly is: 'gone' | 'changed';
  readonly isOfOtherServer: boolean;
};

/** What became of an entry. */
type Where = Miss['is'] | 'sealed' | 'waiting';

/** An entry that the database did not take as it was written. `at`: by the caller's clock, milliseconds. */
export type Refused = { readonly kind: string; readonly fault: string; readonly at: number };
/**
 * One reading of the database's clock, and the caller's clock before (`from`) and after (`to`) the question, in
 * milliseconds.
 */
type ClockReading = { readonly database: number; readonly from: number; readonly to: number };

const refusedMax = 100;

type Head = Pick<Birth, 'id' | 'kind' | 'digest' | 'isTimed' | 'writtenAt'>;
type Age = { readonly id: number; readonly at: number };

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
  /** The largest distance, in milliseconds, of an entry's time from the database's clock as it was read last. */
  readonly clockJumpMs: number;
};

export class Births {
  readonly #options: BirthsOptions;
  /**
   * The unseen entries by their numbers, in the order in which they are asked for. Several have one number where the
   * database gave it again while no number was judged.
   */
  #waiting = new Map<number, readonly Birth[]>();
  /** How often entries were remembered or forgotten. */
  #changes = 0;
  /** The entries of this process have numbers above this one in the record. */
  #start = 0;
  /**
   * The entries of which it is known that they were committed, oldest first; those that were seen sealed are still
   * among them.
   */
  readonly #ages = new Queue<Age>();
  /**
   * Those that a sealer of this process set aside, by its own rule and with an alert, with the digest of what it read;
   * undefined: it could not read them.
   */
  readonly #setAside = new Map<number, string | undefined>();
  #newest = 0;
  /** Another one after each release. A draft that began before the release is not remembered when it ends. */
  #generation = {};
  /**
   * Of each draft of this era that has not ended, above which number its entries will be sealed; in the order in which
   * they began.
   */
  readonly #open = new Map<object, number>();
  /**
   * The numbers that another entry was given since they were asked for last: what was found then is about an entry that
   * never was.
   */
  readonly #replaced = new Set<number>();
  /** The numbers of the entries of drafts that have not ended. */
  readonly #drafted = new Set<number>();
  #clock: ClockReading | undefined;
  #refused: Refused[] = [];

  constructor(options: BirthsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#waiting.size;
  }

  #oldest(): Age | undefined {
    for (let age = this.#ages.first(); age !== undefined; age = this.#ages.first()) {
      const births = this.#waiting.get(age.id) ?? [];
      if (births.some(({ at }) => at === age.at) && !this.#setAside.has(age.id)) return age;
      this.#ages.take();
    }
    return undefined;
  }

  /**
   * For how many milliseconds, by the caller's clock, the oldest entry has been waiting to be seen sealed; 0 when none
   * is. What a sealer of this process set aside is not counted, nor what may never have been committed.
   */
  get oldestMs(): number {
    const oldest = this.#oldest();
    return oldest === undefined ? 0 : this.#options.now() - oldest.at;
  }

  /** The id of that entry; undefined when none is waiting. */
  get oldest(): number | undefined {
    return this.#oldest()?.id;
  }

  /**
   * Notes that a sealer of this process set this entry aside, and raised the alert. `digest` is that of what the sealer
   * read; undefined when it could not read the entry.
   */
  setAside(id: number, digest?: string): void {
    this.#setAside.set(id, digest);
  }

  /**
   * The entries of this process that its own sealer set aside although they could be sealed when they were written:
   * what the sealer read was not that, or what decides about it was changed. One that was written while no time was
   * judged may be of a time that cannot be sealed.
   */
  get wronglySetAside(): readonly Birth[] {
    return [...this.#setAside].flatMap(([id, digest]) =>
      (this.#waiting.get(id) ?? []).filter((one) => !one.isUnsure && (one.isTimed || digest !== one.digest)),
    );
  }

  get hasRoom(): boolean {
    return this.#waiting.size < this.#options.entriesMax;
  }

  /** Returns what the database did not take as it was written, up to this time of the caller's clock. */
  refusedUntil(at: number): readonly Refused[] {
    return this.#refused.filter((one) => one.at <= at);
  }

  /** Somebody was told of what was refused, or two operators will give it up with the freeze that stands. */
  forgetRefused(): void {
    this.#refused = [];
  }

  /**
   * The database's clock was read. Undefined: no time and no number is judged until it is read again, as before the
   * first reading: while the record is frozen, two operators decide by which clock it goes on, and with which entries.
   */
  heard(reading: ClockReading | undefined): void {
    this.#clock = reading;
  }

  #faultOf(written: WrittenEntry, askedAt: number): string | undefined {
    const id = idOfEntry(written);
    const micros = microsOf(written.at ?? '');
    if (id === undefined || micros === undefined) return 'came back in a form that no entry has';
    const clock = this.#clock;
    if (clock === undefined) return undefined;
    if (this.#isTaken(id)) return `was given the number ${id}, which another entry has`;
    const { clockJumpMs, now } = this.#options;
    const [least, most] = [
      clock.database + askedAt - clock.to - clockJumpMs,
      clock.database + now() - clock.from + clockJumpMs,
    ];
    if (micros / 1000 >= least && micros / 1000 <= most) return undefined;
    return `was given the time ${written.at}, which the database's clock does not show`;
  }

  /**
   * Returns whether an entry of this process may have this number. No number is judged while no time is: after a
   * failover, two operators decide with which entries the record goes on. The number of an entry that may never have
   * been committed is free: a server that crashed gives it again.
   */
  #isTaken(id: number): boolean {
    return this.#clock !== undefined && (this.#isKnown(id) || this.#drafted.has(id));
  }

  /** Returns whether an entry is remembered that certainly was committed with this number. */
  #isKnown(id: number): boolean {
    return this.#waiting.get(id)?.some((one) => !one.isUnsure) === true;
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
    const written = new SavepointList<Head>();
    let isRefused = false;
    const key = {};
    const numbers: number[] = [];
    const refuse = (kind: string, fault: string): void => {
      isRefused = true;
      if (generation === this.#generation && this.#refused.length < refusedMax)
        this.#refused.push({ kind, fault, at: this.#options.now() });
    };
    this.#open.set(key, above);
    return {
      now: this.#options.now,
      faultOf: (entry, askedAt) => this.#faultOf(entry, askedAt),
      refuse,
      requireWritten: () => {
        if (isRefused) throw new CofferdamError('unavailable', 'an entry of this was not written: nothing was done');
      },
      requireRoom: () => {
        if (isBounded) this.#requireRoom();
      },
      add: (entry) => {
        const head = this.#headOf(entry);
        if (this.#isTaken(head.id)) {
          refuse(head.kind, `was given the number ${head.id}, which another entry has`);
          throw new CofferdamError('unavailable', 'an entry of this was not written: nothing was done');
        }
        numbers.push(head.id);
        this.#drafted.add(head.id);
        written.add(head);
      },
      heard: (statement) => written.heard(statement),
      end: (end) => {
        this.#open.delete(key);
        for (const id of numbers) this.#drafted.delete(id);
        if (end !== 'undone' && generation === this.#generation)
          this.#remember(written.items, above, end === 'unknown');
        written.clear();
      },
    };
  }

  #headOf(written: WrittenEntry): Head {
    const id = idOfEntry(written);
    const text = textOfWritten(written);
    if (written.kind === null || id === undefined || text === undefined)
      throw new CofferdamError('bug', 'the database gave back no entry');
    const isTimed = this.#clock !== undefined;
    return {
      id,
      kind: written.kind,
      digest: this.#options.digestOf(text),
      isTimed,
      writtenAt: microsOf(written.at ?? '') ?? 0,
    };
  }

  #remember(written: readonly Head[], above: number, isUnsure: boolean): void {
    const at = this.#options.now();
    const least = Math.max(above, this.#start);
    for (const one of written) this.#add({ ...one, above: least, at, isUnsure, isOfOtherServer: false });
  }

  /**
   * The database assigns a number twice only when it has forgotten that the number was assigned. The first entry is
   * missed then, so it stays, unless it was never committed: then the second one shows that. Both of two that were
   * committed, with different contents, are watched.
   */
  #add(birth: Birth): void {
    const { id, digest, at, isUnsure } = birth;
    const before = this.#waiting.get(id) ?? [];
    const known = before.filter((one) => !one.isUnsure);
    if (known.some((one) => one.digest === digest)) return;
    // What was found under this number since it was asked for last says nothing of this entry.
    if (this.#waiting.delete(id)) this.#replaced.add(id);
    this.#waiting.set(id, [...known, birth]);
    this.#changes += 1;
    if (!isUnsure) this.#ages.push({ id, at });
  }

  /** The unseen entries. */
  get unseen(): readonly Birth[] {
    return [...this.#waiting.values()].flat();
  }

  /** Another number whenever other entries are unseen than before. */
  get changes(): number {
    return this.#changes;
  }

  /** Notes that nothing which this process wrote has a number up to this one in the record. */
  startAt(number: number): void {
    this.#start = number;
    this.#newest = Math.max(this.#newest, number);
    for (const [id, births] of this.#waiting)
      this.#waiting.set(
        id,
        births.map((one) => ({ ...one, above: Math.max(one.above, number) })),
      );
  }

  /** Waits for these entries, as those of this process. */
  recall(births: readonly Omit<Birth, 'at'>[]): void {
    const at = this.#options.now();
    for (const one of births) this.#add({ ...one, at });
  }

  /** Forgets those of the unseen entries for which `which` returns true, and returns them. */
  take(which: (birth: Birth) => boolean): readonly Birth[] {
    const taken = this.unseen.filter(which);
    for (const one of taken)
      this.#leave(
        one.id,
        (this.#waiting.get(one.id) ?? []).filter((other) => other !== one),
      );
    return taken;
  }

  #leave(id: number, births: readonly Birth[]): void {
    if (births.length === 0) this.#waiting.delete(id);
    else this.#waiting.set(id, births);
    this.#changes += 1;
  }

  /** The number below which, itself included, no entry will be sealed that is waited for or is being written. */
  get floor(): number {
    let [floor = this.#newest] = this.#open.values();
    for (const births of this.#waiting.values()) for (const { above } of births) floor = Math.min(floor, above);
    return floor;
  }

  /**
   * Returns the ids to look for next, at most `most` of them, and the number above which the sealed entries have to be
   * searched.
   */
  ask(most: number): { readonly ids: readonly number[]; readonly above: number } {
    this.#replaced.clear();
    const ids: number[] = [];
    let above = Number.POSITIVE_INFINITY;
    for (const [id, births] of this.#waiting) {
      if (ids.length === most) break;
      ids.push(id);
      for (const one of births) above = Math.min(above, one.above);
    }
    return { ids, above: ids.length === 0 ? this.#newest : above };
  }

  /**
   * Compares what was found with what was asked for, and returns the misses. A missing entry stays unseen: every look
   * finds it again until two operators give it up.
   */
  learn(asked: readonly number[], { number, upTo, sightings }: Sight): readonly Miss[] {
    const found = Map.groupBy(sightings, (one) => one.id);
    const misses: Miss[] = [];
    for (const id of asked) {
      const births = this.#waiting.get(id);
      if (births === undefined || this.#replaced.has(id)) continue;
      const judged = births.map((one) => this.#judge(one, found.get(id) ?? [], number, upTo));
      for (const { miss } of judged) if (miss !== undefined) misses.push(miss);
      const left = judged.flatMap((one) => one.left ?? []);
      // An entry that waits goes to the end of the order, so that all entries are asked for in turn.
      if (judged.some((one) => one.isWaiting)) this.#waiting.delete(id);
      if (left.length > 0) this.#waiting.set(id, left);
      else this.#leave(id, []);
    }
    this.#newest = Math.max(this.#newest, number);
    return misses;
  }

  #digestOf(content: Content): string | undefined {
    const written = parseEntry(content);
    const text = written === undefined ? undefined : textOfWritten(written);
    return text === undefined ? undefined : this.#options.digestOf(text);
  }

  /** Returns what the sightings of one moment say of this entry. */
  where({ id, digest }: Pick<Birth, 'id' | 'digest'>, sightings: readonly Sighting[]): Where {
    const own = sightings.filter((one) => one.id === id);
    const same = own.filter((one) => ('digest' in one ? one.digest : this.#digestOf(one.content)) === digest);
    if (same.some((one) => one.isSealed)) return 'sealed';
    if (same.length > 0) return 'waiting';
    return own.length > 0 ? 'changed' : 'gone';
  }

  /** `left`: the entry as it is waited for from now on; undefined: it is not any more. */
  #judge(
    birth: Birth,
    sightings: readonly Sighting[],
    number: number,
    upTo: number,
  ): { readonly miss?: Miss; readonly left?: Birth; readonly isWaiting?: boolean } {
    const { id, kind, above, isUnsure, isOfOtherServer } = birth;
    const is = this.where(birth, sightings);
    if (is === 'sealed') {
      this.#setAside.delete(id);
      return {};
    }
    // The entry was found waiting for its seal, so it had no number at that moment.
    if (is === 'waiting')
      return { left: { ...birth, above: Math.max(above, number), isUnsure: false }, isWaiting: true };
    if (is === 'gone' && upTo < number) return { left: { ...birth, above: Math.max(above, upTo) } };
    if (!isUnsure) return { miss: { id, kind, is, isOfOtherServer }, left: birth };
    // When the number has an entry with another content, this one was never committed, and acknowledged to nobody: a
    // server that crashed gave its number to another entry.
    const isOver = is === 'changed' || this.#options.now() - birth.at > this.#options.unsureMs;
    return isOver ? {} : { left: birth };
  }

  /** Marks all unseen entries as written to a former server or timeline, with which they may have been lost. */
  moved(): void {
    this.#waiting = new Map(
      [...this.#waiting].map(([id, births]) => [id, births.map((one) => ({ ...one, isOfOtherServer: true }))]),
    );
    this.#changes += 1;
  }

  /**
   * Forgets all unseen entries and returns them, because a release that gave something up began an era. Entries that
   * were not sealed before were given up with the release, also those of transactions that are still running. `number`
   * is the number at which the record continues.
   */
  forget(number: number): readonly Birth[] {
    const forgotten = this.unseen;
    this.#waiting.clear();
    this.#changes += 1;
    this.#refused = [];
    this.#setAside.clear();
    // The numbers of before may have been higher than those at which the record continues.
    this.#open.clear();
    this.#generation = {};
    this.#newest = number;
    return forgotten;
  }
}
