// Owns: asking the database for the entries that the admin process wrote, and raising an alert when one of them is
// missing or was changed (decision 0036).
// Must never: freeze the record, or raise the alert while a warden has frozen it: whoever operates the record must be
// able to continue.
import { hash } from 'node:crypto';
import type { Config } from '../../config/config.ts';
import { held } from '../../domain/detached.ts';
import { Births, type Draft, type Miss } from '../../domain/ledger/births.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Database } from '../../postgres/database.ts';
import { lookForEntries } from '../../postgres/entry-queries.ts';
import { missEntry } from '../calls/operator-queries.ts';

const everyMs = 1000;
/** The largest number of entries that one look asks for. The database lets at most 2,000 entries of this role wait. */
const askedMax = 1000;
const numbersMax = 40_000;
const unsureMs = 120_000;
/**
 * How long each look must miss an entry before the alert is raised. By then a warden that finds the whole record to be
 * behind has frozen it.
 */
const missedMs = 5000;
const sayAgainMs = 60_000;

/** Remembers what the admin process wrote and looks for it once a second. */
export class OwnEntries {
  readonly #births: Births;
  readonly #log: Logger;
  /** An entry that has waited so long to be seen sealed is missed as well, whatever the database shows of it. */
  readonly #lateMs: number;
  #era: number | undefined;
  /** Since when each missed entry has been missed (monotonic, milliseconds). */
  readonly #missed = new Map<number, number>();
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
    if (this.#era !== seen.era) {
      // Entries that were written before the first look may have any number in the record and are not watched. After a
      // release of a freeze, earlier entries were given up.
      births.forget(seen.number);
      this.#era = seen.era;
      this.#missed.clear();
    }
    const misses = births.learn(asked.ids, seen);
    const now = performance.now();
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
    if (first !== undefined) await this.#say(database, first);
    else if (births.oldest !== undefined && births.oldestMs >= this.#lateMs)
      await this.#say(database, { id: births.oldest, kind: 'of an operator', is: 'late' });
  }

  async #say(
    database: Database,
    { id, kind, is }: Pick<Miss, 'id' | 'kind'> & { readonly is: Miss['is'] | 'refused' | 'late' },
  ): Promise<void> {
    this.#log.error({ entry: id, kind, is }, 'an entry that the admin process wrote is missed: the record was touched');
    await database.withSystem((tx) => missEntry(tx, id, kind, is));
    this.#saidAt = performance.now();
  }
}
