// Owns: the freeze that this warden found, from the find to the release that names it (decision 0047). What this warden
// remembers decides; rows of the database follow it.
// Must never: take a freeze for over because its row, its reason or the era of the database says so: only a genuine
// release ends it.
import { randomUUID } from 'node:crypto';
import type { Logger } from '../../observability/logger.ts';
import type { Database } from '../../postgres/database.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import type { LedgerAlarms } from './alarms.ts';
import { keepFreeze, recordFreeze, wholeFreeze } from './freezes.ts';
import type { Known } from './guard.ts';
import type { OwnMemory } from './own-memory.ts';
import { isReleased } from './releases.ts';
import type { Freeze, Look } from './seal-queries.ts';

const tellEveryMs = 60_000;

export class FoundFreeze {
  readonly #database: Database;
  readonly #keys: KeyRing;
  readonly #own: OwnMemory;
  readonly #alarms: LedgerAlarms;
  readonly #log: Logger;
  /**
   * A freeze for a jump of the clock that is not written yet. Only this reason for a freeze is not found again by the
   * next look.
   */
  #unwritten: Freeze | undefined;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(database: Database, keys: KeyRing, own: OwnMemory, alarms: LedgerAlarms, log: Logger) {
    this.#database = database;
    this.#keys = keys;
    this.#own = own;
    this.#alarms = alarms;
    this.#log = log;
  }

  get isUnwritten(): boolean {
    return this.#unwritten !== undefined;
  }

  /** Remembers a freeze and writes it. Throws what the database throws; the freeze stands in any case. */
  async find(seen: Look, freeze: Omit<Freeze, 'id'>, known: Known | undefined): Promise<void> {
    const whole = wholeFreeze(randomUUID(), freeze, seen, known);
    this.#log.error({ freeze: whole }, `frozen: ${freeze.text}`);
    // Until this freeze is written nothing else is looked at: the next look would find a clock that runs normally
    // again.
    if (whole.why === 'clock') this.#unwritten = whole;
    await this.#remember(whole);
    const written = await this.#database.withSystem((tx) => recordFreeze(tx, whole));
    this.#unwritten = undefined;
    if (written.facts.heads !== whole.facts.heads) await this.#remember(written);
  }

  /** Returns the freeze that this warden found and nobody released, and sees to it that the database says the same. */
  async standing(seen: Look): Promise<Freeze | undefined> {
    const found = this.#unwritten ?? this.#own.freeze;
    if (found === undefined) return undefined;
    const era = Number(found.facts.era);
    if (seen.era > era && (await this.#database.withSystem((tx) => isReleased(tx, this.#keys, found)))) {
      this.#unwritten = undefined;
      return undefined;
    }
    // The era that a release has to end never goes down: where somebody sets it back, the find stays of the later one.
    const stands = seen.era > era ? { ...found, facts: { ...found.facts, era: seen.era } } : found;
    if (stands !== found) await this.#remember(stands);
    return stands;
  }

  /** Keeps the row of that freeze as it was found. */
  async keep(stands: Freeze): Promise<void> {
    // What the disk did not take at the find, it may take now.
    await this.#tried(this.#own.settle());
    const changed = await this.#database.withSystem((tx) => keepFreeze(tx, this.#keys, stands));
    this.#unwritten = undefined;
    if (changed !== undefined) await this.#alarms.changed(stands, changed);
  }

  /** The record is in order: two operators released what was found. */
  async isOver(): Promise<void> {
    await this.#own.froze(null);
  }

  /** The row is written in any case; while this process runs it remembers the freeze without the file as well. */
  #remember(freeze: Freeze): Promise<void> {
    if (this.#unwritten !== undefined) this.#unwritten = freeze;
    return this.#tried(this.#own.froze(freeze));
  }

  async #tried(writing: Promise<void>): Promise<void> {
    try {
      await writing;
    } catch (error) {
      const now = performance.now();
      if (now - this.#toldAt < tellEveryMs) return;
      this.#toldAt = now;
      this.#log.error(
        { err: error },
        'a freeze could not be written into the memory of this warden; it is tried again with each look',
      );
    }
  }
}
