// Owns: rounds of sealing that go on behind an entry that nobody can read: fewer and fewer entries a round, then that one alone is set aside, with an alarm;
// and that are as large as the machine can do in time.
// Must never: set aside an entry for what a connection, a lock or another warden did.
import { CofferdamError } from '../../domain/errors.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Database } from '../../postgres/database.ts';
import { sqlState } from '../../postgres/database-errors.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import { MonthMissing, makeMissing } from './months.ts';
import { type Round, roundMax, sealRound, takenOf, type Wish } from './seal.ts';
import { boundStatements, quarantineFirst, type Taken } from './seal-queries.ts';
import type { Standing } from './standing.ts';

/** By how much a round shrinks while it looks for what it cannot read: 4,000 entries in six tries. */
const narrowing = 4;
const causesMax = 5;
/** Six rounds that are too slow are over well before the record is so late that nothing is served. */
const statementMsUsual = 5000;

/** SQLSTATE classes 22 (data) and 54 (limits), and what a reader of ours throws for a value. A broken constraint may be the record's own, which is no entry's. */
function isOfAnEntry(error: unknown): boolean {
  let one = error;
  for (let i = 0; one instanceof Error && i < causesMax; i += 1) {
    if (one instanceof RangeError || (one instanceof CofferdamError && one.code === 'bug' && one.cause === undefined)) return true;
    if ('code' in one && typeof one.code === 'string' && /^(?:22|54)[0-9A-Z]{3}$/.test(one.code)) return true;
    // "Cannot convert infinity to bigint" has the same code as a prepared statement that no longer fits, which is of the connection.
    if ('code' in one && one.code === '0A000' && 'routine' in one && one.routine !== 'RevalidateCachedQuery') return true;
    one = one.cause;
  }
  return false;
}

/** A statement took longer than it may: the round was too large for what the machine can do now. */
const isTimeout = (error: unknown): boolean => sqlState(error) === '57014';

/** What was said first, by the database for the most part. */
function innermost(error: unknown): string {
  let one = error;
  for (let i = 0; i < causesMax && one instanceof Error && one.cause instanceof Error; i += 1) one = one.cause;
  return one instanceof Error ? one.message : 'unknown error';
}

export class Rounds {
  readonly #database: Database;
  readonly #log: Logger;
  readonly #statementMs: number;
  #entriesMax = roundMax;
  /** At the narrowest, one line after the other is asked alone: so it is known in which of them the entry stands that cannot be read. */
  #line: 'both' | keyof Taken = 'both';

  /** `statementMs`: what one statement of a round may take. */
  constructor(database: Database, log: Logger, statementMs = statementMsUsual) {
    this.#database = database;
    this.#log = log;
    this.#statementMs = statementMs;
  }

  /** One round on top of what was proved; undefined: another warden has sealed meanwhile, or the round was too large for the time that it had. */
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
        if (round.sealed > 0 && this.#line === 'both') this.#entriesMax = Math.min(roundMax, this.#entriesMax * narrowing);
        // One line had nothing: the other one may have.
        if (round.sealed > 0 || round.isEpoch || line === 'both') return round;
      } catch (error) {
        if (error instanceof MonthMissing && !hasMade) {
          hasMade = true;
          await makeMissing(this.#database, this.#log, error);
          continue;
        }
        const isNarrowest = this.#line !== 'both';
        // The next one is smaller, whoever waits behind this one is told how late the record is; one entry that takes so long is a fault.
        if (isTimeout(error) && !isNarrowest) {
          this.#narrow();
          this.#log.warn({ err: error, entriesMax: this.#entriesMax }, 'a round of sealing took too long; the next one is smaller');
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

  async #setAside(fault: unknown, line: keyof Taken): Promise<void> {
    const why = innermost(fault).slice(0, 200);
    await this.#database.withSystem(async (tx) => {
      const id = await quarantineFirst(tx, why, line);
      // Nothing waits, then it was not an entry; or too many were set aside, then it is better that nothing is served.
      if (id === undefined) throw fault;
      this.#log.error({ err: fault, entry: id }, 'an entry of the record cannot be sealed; it is set aside, and sealing goes on');
      await insertAlert(tx, {
        kind: 'ledger.unreadable',
        severity: 'critical',
        subject: 'ledger',
        text: `an entry of the record cannot be sealed and was set aside: ${why}`,
        facts: { entry: id, why },
        nextCommand: `as the database's owner: select * from ledger_fresh where id = ${id}; neither the warden nor the admin process can write such a row`,
      });
    });
  }
}
