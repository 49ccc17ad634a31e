// Owns: sealing rounds that go on in spite of an entry that cannot be sealed. One that was read is set aside at once,
// with an alert and an entry of its own; for one that cannot be read the rounds become smaller until it is alone. Also
// owns the size of a round, which is what the machine can do in the time allowed.
// Must never: set an entry aside because of an error of a connection, of a lock or of another warden.
import { CofferdamError } from '../../domain/errors.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Database, Transaction } from '../../postgres/database.ts';
import { sqlState } from '../../postgres/database-errors.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import { record } from './entries/record.ts';
import { EntriesRefused } from './judged.ts';
import { MonthMissing, makeMissing } from './months.ts';
import { quarantine, quarantineFirst, type Refused } from './quarantine-queries.ts';
import { type Round, roundMax, sealRound, takenOf, type Wish } from './seal.ts';
import { boundStatements, type Taken } from './seal-queries.ts';
import type { Standing } from './standing.ts';

/**
 * The factor by which a round shrinks while it searches for an unreadable entry: from 4,000 entries to one in six
 * steps.
 */
const narrowing = 4;
const causesMax = 5;
/**
 * The usual timeout of one statement of a round. Six rounds that end by it take less time than the lag at which nothing
 * more is served.
 */
const statementMsUsual = 5000;

/**
 * Returns whether an error is caused by the data of an entry: SQLSTATE class 22 (data) or 54 (limits), or an error that
 * our own reading of a value throws. A violated constraint may come from the record itself, so it does not count.
 */
function isOfAnEntry(error: unknown): boolean {
  let one = error;
  for (let i = 0; one instanceof Error && i < causesMax; i += 1) {
    if (one instanceof RangeError || (one instanceof CofferdamError && one.code === 'bug' && one.cause === undefined))
      return true;
    if ('code' in one && typeof one.code === 'string' && /^(?:22|54)[0-9A-Z]{3}$/.test(one.code)) return true;
    // "Cannot convert infinity to bigint" has the same SQLSTATE as a prepared statement that must be planned anew. The
    // latter concerns the connection, not an entry.
    if ('code' in one && one.code === '0A000' && 'routine' in one && one.routine !== 'RevalidateCachedQuery')
      return true;
    one = one.cause;
  }
  return false;
}

/**
 * Returns whether a statement exceeded its timeout, that is, whether the round was too large for what the machine can
 * do now.
 */
const isTimeout = (error: unknown): boolean => sqlState(error) === '57014';

/** Returns the message of the innermost cause, which usually is that of the database. */
function innermost(error: unknown): string {
  let one = error;
  for (let i = 0; i < causesMax && one instanceof Error && one.cause instanceof Error; i += 1) one = one.cause;
  return one instanceof Error ? one.message : 'unknown error';
}

/** Does sealing rounds and remembers, from one to the next, how many entries a round may take. */
export class Rounds {
  readonly #database: Database;
  readonly #log: Logger;
  readonly #statementMs: number;
  readonly #onSetAside: (one: Refused) => void;
  #entriesMax = roundMax;
  /**
   * The queues from which a round takes entries. At the smallest size each queue is taken alone in turn, so that it is
   * known in which one the unreadable entry stands.
   */
  #line: 'both' | keyof Taken = 'both';

  /** `statementMs` is the timeout of one statement of a round. `onSetAside` hears of each entry that was set aside. */
  constructor(
    database: Database,
    log: Logger,
    statementMs = statementMsUsual,
    onSetAside: (one: Refused) => void = () => {},
  ) {
    this.#database = database;
    this.#log = log;
    this.#statementMs = statementMs;
    this.#onSetAside = onSetAside;
  }

  /**
   * Does one sealing round on top of the proved state. Returns undefined when another warden has sealed meanwhile, or
   * when the round was too large for its timeout.
   */
  async seal(standing: Standing, wish: Omit<Wish, 'most'>): Promise<Round | undefined> {
    for (let hasMade = false; ; )
      try {
        const round = await this.#database.withSystem(async (tx) => {
          await boundStatements(tx, this.#statementMs);
          return sealRound(tx, standing, { ...wish, most: this.#taken });
        });
        const line = this.#line;
        if (line !== 'both') this.#line = line === 'planes' ? 'operators' : 'both';
        if (round === undefined) return undefined;
        if (round.sealed > 0 && this.#line === 'both')
          this.#entriesMax = Math.min(roundMax, this.#entriesMax * narrowing);
        // When one queue was taken alone and had nothing to seal, the other queue is tried.
        if (round.sealed > 0 || round.isEpoch || line === 'both') return round;
      } catch (error) {
        if (error instanceof MonthMissing && !hasMade) {
          hasMade = true;
          await makeMissing(this.#database, this.#log, error);
          continue;
        }
        if (error instanceof EntriesRefused) {
          await this.#setAsideAll(error);
          continue;
        }
        const isNarrowest = this.#line !== 'both';
        // The next round is smaller; until then `LagClock` tells how late the record is. When a single entry exceeds
        // the timeout, it is a fault and is thrown.
        if (isTimeout(error) && !isNarrowest) {
          this.#narrow();
          this.#log.warn(
            { err: error, entriesMax: this.#entriesMax },
            'a round of sealing took too long; the next one is smaller',
          );
          return undefined;
        }
        if (!isOfAnEntry(error)) throw error;
        if (this.#line === 'both') this.#narrow();
        else await this.#setAside(error, this.#line);
      }
  }

  get #taken(): Taken {
    if (this.#line === 'both') return takenOf(this.#entriesMax);
    return this.#line === 'planes' ? { planes: 1, operators: 0 } : { planes: 0, operators: 1 };
  }

  #narrow(): void {
    if (this.#entriesMax === 1) this.#line = 'planes';
    else this.#entriesMax = Math.ceil(this.#entriesMax / narrowing);
  }

  /** Sets aside the first waiting entry of a queue, which cannot be read. */
  async #setAside(fault: unknown, line: keyof Taken): Promise<void> {
    const why = innermost(fault).slice(0, 200).toWellFormed();
    const setAside = await this.#database.withSystem(async (tx) => {
      const first = await quarantineFirst(tx, why, line);
      // Either nothing waits, so the fault was not of an entry; or too many entries were set aside already, and then it
      // is better that nothing is served.
      if (first === undefined) throw fault;
      const one = { id: Number(first), why };
      await this.#tell(tx, one);
      return one;
    });
    this.#onSetAside(setAside);
  }

  /** Sets aside entries that can be read, and that no verifier would call good. */
  async #setAsideAll(fault: EntriesRefused): Promise<void> {
    const setAside = await this.#database.withSystem(async (tx) => {
      const ids = await quarantine(tx, fault.refused);
      if (ids.length === 0) throw fault;
      const those = fault.refused.filter(({ id }) => ids.includes(id));
      for (const one of those) await this.#tell(tx, one);
      return those;
    });
    for (const one of setAside) this.#onSetAside(one);
  }

  /** Says it in the log, in an alert, and in an entry of the record: whoever owns the database can delete the alert. */
  async #tell(tx: Transaction, { id, why }: Refused): Promise<void> {
    this.#log.error(
      { why, entry: id },
      'an entry of the record cannot be sealed; it is set aside, and sealing goes on',
    );
    await record(tx, { kind: 'ledger.set-aside', observer: 'warden', sensitive: { entry: id, why } });
    await insertAlert(tx, {
      kind: 'ledger.unreadable',
      severity: 'critical',
      subject: 'ledger',
      text: `an entry of the record cannot be sealed and was set aside: ${why}`,
      facts: { entry: id, why },
      nextCommand: `as the database's owner: select * from ledger_fresh where id = ${id}; neither the warden nor the admin process can write such a row`,
    });
  }
}
