// Owns: asking the database for the entries that the admin process wrote, and telling when one of them is missing or
// was changed: in an alert and in an entry (decision 0036).
// Must never: freeze the record, or raise the alert while a warden has frozen it: whoever operates the record must be
// able to continue; or forget an entry untold because the database says that an era began.
import { hash } from 'node:crypto';
import type { Config } from '../../config/config.ts';
import { held } from '../../domain/detached.ts';
import { Births, type Draft, type Miss, type Sighting } from '../../domain/ledger/births.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Database } from '../../postgres/database.ts';
import { lookForEntries } from '../../postgres/entry-queries.ts';
import { missEntry, recordMissed } from '../calls/operator-queries.ts';

const everyMs = 1000;
/**
 * The largest number of entries that one look asks for. The database lets at most 2,000 entries of this role wait;
 * those that were sealed in the last seconds are asked for as well.
 */
const askedMax = 4000;
const numbersMax = 40_000;
const unsureMs = 120_000;
/**
 * How long each look must miss an entry before the alert is raised. By then a warden that finds the whole record to be
 * behind has frozen it.
 */
const missedMs = 5000;
const sayAgainMs = 60_000;
/**
 * For how long each look must find an entry among the sealed ones before it is forgotten: this process proves nothing,
 * so a row that is shown for a moment must not count. Shorter where an entry counts as late earlier.
 */
const sealedMs = 10_000;
type Missed = Pick<Miss, 'id' | 'kind'> & { readonly is: Miss['is'] | 'refused' | 'late' };

/** Remembers what the admin process wrote and looks for it once a second. */
export class OwnEntries {
  readonly #births: Births;
  readonly #log: Logger;
  /** An entry that has waited so long to be seen sealed is missed as well, whatever the database shows of it. */
  readonly #lateMs: number;
  #era: number | undefined;
  /** Since when each missed entry has been missed (monotonic, milliseconds). */
  readonly #missed = new Map<number, number>();
  /** Since when each entry has been seen sealed by every look (monotonic, milliseconds). */
  #sealed = new Map<number, number>();
  /** What was unseen when the era changed last: a release may have given it up, so it is told once if it is gone. */
  #before: ReadonlySet<number> = new Set();
  #saidAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(
    {
      unseenEntriesMax,
      clockJumpMs,
      witnessAlarmMs,
    }: Pick<Config['limits'], 'unseenEntriesMax' | 'clockJumpMs' | 'witnessAlarmMs'>,
    log: Logger,
  ) {
    this.#log = log;
    this.#lateMs = witnessAlarmMs;
    this.#births = new Births({
      digestOf: (text) => hash('sha256', text, 'base64'),
      now: () => performance.now(),
      entriesMax: unseenEntriesMax,
      unsureMs,
      clockJumpMs,
    });
  }

  /** Whether the database did not take an entry as it was written, and nobody was told of that yet. */
  get hasRefused(): boolean {
    return this.#births.refusedUntil(performance.now()).length > 0;
  }

  begin(): Draft {
    return this.#births.begin();
  }

  start(database: Database): void {
    let isBusy = false;
    const pass = (): void => {
      if (isBusy) return;
      isBusy = true;
      this.#running = held(
        this.look(database)
          .catch((error: unknown) =>
            this.#log.warn({ err: error }, 'what became of our entries could not be asked; it is asked again'),
          )
          .finally(() => (isBusy = false)),
      );
    };
    pass();
    this.#timer = setInterval(pass, everyMs);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
  }

  async look(database: Database, patienceMs = missedMs): Promise<void> {
    const births = this.#births;
    const asked = births.ask(askedMax);
    const from = performance.now();
    const seen = await database.withSystem((tx) => lookForEntries(tx, asked, numbersMax));
    // While the record is frozen no time is judged: operators must be able to write by the clock as it is then.
    births.heard(seen.isFrozen ? undefined : { database: seen.now, from, to: performance.now() });
    if (seen.isFrozen) {
      births.forgetRefused();
      return;
    }
    const now = performance.now();
    // Entries that were written before the first look may have any number in the record and are not watched.
    if (this.#era === undefined) births.forget(seen.number);
    else if (this.#era !== seen.era) this.#before = new Set(births.unseen.map(({ id }) => id));
    this.#era = seen.era;
    const isJudged = this.#judged(seen.sightings, now);
    const misses = births.learn(asked.ids.filter(isJudged), seen);
    const [refused] = births.refusedUntil(now - patienceMs);
    if (refused !== undefined) {
      await this.#say(database, { id: 0, kind: refused.kind, is: 'refused' });
      births.forgetRefused();
      return;
    }
    const before = new Map(this.#missed);
    this.#missed.clear();
    for (const { id } of misses) this.#missed.set(id, before.get(id) ?? now);
    const [first] = misses.filter(({ id }) => now - (before.get(id) ?? Number.POSITIVE_INFINITY) >= patienceMs);
    if (now - this.#saidAt < sayAgainMs) return;
    if (first !== undefined) {
      await this.#say(database, first);
      const told = new Set(misses.map(({ id }) => id).filter((id) => this.#before.has(id)));
      births.take(({ id }) => told.has(id));
      return;
    }
    const late = births.unseen.find(
      ({ id, at, isUnsure }) => !isUnsure && !this.#sealed.has(id) && now - at >= this.#lateMs,
    );
    if (late !== undefined) await this.#say(database, { id: late.id, kind: 'of an operator', is: 'late' });
  }

  /** Returns which entries are judged by this look: all but those that were not seen sealed for long enough. */
  #judged(sightings: readonly Sighting[], now: number): (id: number) => boolean {
    const before = this.#sealed;
    this.#sealed = new Map(
      sightings.filter((one) => one.isSealed).map(({ id }) => [id, before.get(id) ?? now] as const),
    );
    const longMs = Math.min(sealedMs, this.#lateMs / 2);
    return (id) => now - (this.#sealed.get(id) ?? Number.NEGATIVE_INFINITY) >= longMs;
  }

  async #say(database: Database, { id, kind, is }: Missed): Promise<void> {
    this.#log.error({ entry: id, kind, is }, 'an entry that the admin process wrote is missed: the record was touched');
    await database.withSystem((tx) => missEntry(tx, id, kind, is));
    this.#saidAt = performance.now();
    // What is late may be so because too much waits: then nothing is added.
    if (is === 'late') return;
    try {
      await database.withSystem((tx) => recordMissed(tx, id, kind, is));
    } catch (error) {
      // Whoever keeps entries from being written as they are sent keeps this one, too.
      this.#log.error(
        { err: error },
        'that an entry is missed could not be written into the record; the alert says it',
      );
    }
  }
}
