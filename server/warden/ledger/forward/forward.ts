// Owns: forwarding the record to one receiver while this warden leads: in order, at least once, from the last entry
// that the receiver is known to have read.
// Must never: skip an entry, or delay anything else: entries that a receiver does not take wait in the database.
import type { ForwardConfig } from '../../../config/ledger-settings.ts';
import { held } from '../../../domain/detached.ts';
import { toCofferdamError } from '../../../domain/errors.ts';
import { type SyslogSource, syslogMessage } from '../../../domain/ledger/syslog.ts';
import type { Logger } from '../../../observability/logger.ts';
import type { Database, Transaction } from '../../../postgres/database.ts';
import { insertAlert } from '../../alerts/alert-queries.ts';
import {
  type Behind,
  behind,
  entriesAfter,
  type ForwardPosition,
  type ForwardRow,
  findForward,
  saveForward,
} from './forward-queries.ts';
import { type ConnectionTimes, connectSyslog, destinationText, type SyslogConnection } from './syslog-connection.ts';

export type ForwardTimes = ConnectionTimes & {
  readonly pollMs: number;
  /** `confirmMs` is how long sent entries may stay unconfirmed; `doubtMs` is the same after a broken connection. */
  readonly confirmMs: number;
  readonly doubtMs: number;
  readonly retryFirstMs: number;
  readonly retryLongestMs: number;
  /** How long a stop waits for the last confirmation. */
  readonly stopMs: number;
};
type ForwardContext = {
  readonly database: Database;
  readonly log: Logger;
  readonly source: SyslogSource;
  readonly times: ForwardTimes;
  /**
   * Returns the number of the newest sealed entry when this warden leads and the record is in order; otherwise
   * undefined.
   */
  readonly newest: () => number | undefined;
};
/** How far this process has come with a forward. It is undefined while another warden, or nobody yet, forwards. */
export type ForwardState = Omit<ForwardRow, 'behindMs'> & { readonly behind: Behind };

const batchMax = 200;

/**
 * Forwards the record to one receiver from its construction until `stop`. Errors are logged and retried with growing
 * pauses.
 */
export class Forward {
  readonly config: ForwardConfig;
  readonly #context: ForwardContext;
  #connection: SyslogConnection | undefined;
  /** The number of the last entry that was certainly received, and of the last one that was sent. */
  #position: { readonly number: number; readonly sent: number } | undefined;
  /** Since when (monotonic, milliseconds) an entry is sent that may not have been received. */
  #unsureSince: number | undefined;
  /**
   * Whether only confirmed entries count as received. This is so after a broken connection, until the next
   * confirmation.
   */
  #isDoubtful = true;
  #error: string | undefined;
  /** The position to which somebody else moved this forward, when that was told. */
  #moved: number | undefined;
  #retryMs: number;
  #isStopped = false;
  #wake: (() => void) | undefined;
  readonly #running: Promise<void>;

  constructor(config: ForwardConfig, context: ForwardContext) {
    this.config = config;
    this.#context = context;
    this.#retryMs = context.times.retryFirstMs;
    this.#running = held(this.#run());
  }

  /** Stops forwarding. Asks the receiver for a last confirmation of what was sent, within `stopMs`. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#wake?.();
    // A receiver that does not read is not waited for any longer. The next leader sends the unconfirmed entries again.
    const timer = setTimeout(() => this.#connection?.destroy(), this.#context.times.stopMs);
    await this.#running;
    clearTimeout(timer);
  }

  /** Looks up how far the receiver is behind and stores it. Returns undefined while this process does not forward. */
  async look(): Promise<ForwardState | undefined> {
    const position = this.#position;
    if (position === undefined) return undefined;
    const { name } = this.config;
    const from = this.#isDoubtful ? position.number : position.sent;
    return this.#context.database.withSystem(async (tx) => {
      const late = await behind(tx, from);
      const row = { name, ...position, error: this.#error ?? null };
      const saved = await saveForward(tx, { ...row, behindMs: late.ms });
      await this.#requireWithin(tx, saved);
      return { ...row, behind: late };
    });
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      try {
        if (this.#context.newest() === undefined) {
          this.#leave();
          await this.#pause(this.#context.times.pollMs);
        } else await this.#step();
      } catch (error) {
        await this.#break(error);
      }
    }
    await this.#confirm().catch(() => {});
    this.#leave();
  }

  /** Sends the next entries, if there are any, and confirms what was sent when it has been unconfirmed for too long. */
  async #step(): Promise<void> {
    const { database, times, newest } = this.#context;
    const number = this.#position?.number ?? (await database.withSystem((tx) => this.#find(tx)));
    this.#position ??= { number, sent: number };
    // The connection is checked at once, and not only before the next entry, because the entries that were sent last
    // may not have been read.
    this.#mustBeWhole(this.#position);
    const isBehind = (newest() ?? 0) > this.#position.sent;
    if (isBehind) await this.#send(this.#position);
    const limitMs = this.#isDoubtful ? times.doubtMs : times.confirmMs;
    if (this.#unsureSince !== undefined && performance.now() - this.#unsureSince >= limitMs) await this.#confirm();
    if (!isBehind) await this.#pause(times.pollMs);
  }

  async #send(position: { readonly number: number; readonly sent: number }): Promise<void> {
    const { database, times, source } = this.#context;
    const { format, destination } = this.config;
    const entries = await database.withSystem((tx) => entriesAfter(tx, position.sent, batchMax));
    const last = entries.at(-1);
    if (last === undefined) return this.#pause(times.pollMs);
    const gap = entries.find((entry, i) => entry.number !== position.sent + 1 + i);
    if (gap !== undefined) await this.#miss(gap.number);
    // The connection is checked again: it may have ended while the entries were looked up, and a new connection proves
    // nothing about what was sent on the former one.
    this.#mustBeWhole(position);
    if (this.#connection?.isOpen !== true) {
      this.#connection?.destroy();
      this.#connection = await connectSyslog(destination, times);
    }
    await this.#connection.send(entries.map((entry) => syslogMessage(format, entry, source)));
    this.#unsureSince ??= performance.now();
    this.#position = { ...position, sent: last.number };
  }

  /** Throws when entries were sent and not confirmed, and their connection is gone. */
  #mustBeWhole(position: { readonly number: number; readonly sent: number }): void {
    if (position.sent > position.number && this.#connection?.isOpen !== true)
      throw new Error('the receiver ended the connection');
  }

  /**
   * Raises an alert about a gap. Numbers have no gaps, so the missing entries were taken out of the database before
   * they were forwarded.
   */
  async #miss(before: number): Promise<void> {
    const { name } = this.config;
    const text = `entries before number ${before} are no longer in the database: the receiver ${name} does not get them`;
    await this.#context.database.withSystem((tx) => this.#alarmGap(tx, text, { forward: name, before }));
  }

  /**
   * Returns the position from which to go on. One beyond the record would keep everything from the receiver until the
   * record has grown so far.
   */
  async #find(tx: Transaction): Promise<number> {
    const position = await findForward(tx, this.config.name);
    await this.#requireWithin(tx, position);
    return Math.min(position.number, position.sealed);
  }

  /** Raises an alert about a position beyond the record, once for each position. No warden writes one. */
  async #requireWithin(tx: Transaction, { number, sealed }: ForwardPosition): Promise<void> {
    if (number <= sealed || number === this.#moved) return;
    const { name } = this.config;
    const text = `the position of the receiver ${name} in the database is number ${number}, and the record ends at ${sealed}: somebody moved it ahead. Compare what the receiver has: entries up to ${sealed} may be missing there`;
    await this.#alarmGap(tx, text, { forward: name, stored: number, sealed });
    this.#moved = number;
  }

  async #alarmGap(tx: Transaction, text: string, facts: Readonly<Record<string, unknown>>): Promise<void> {
    const { name } = this.config;
    this.#context.log.error(facts, text);
    await insertAlert(tx, {
      kind: 'ledger.forward-gap',
      severity: 'critical',
      subject: name,
      text,
      facts,
      nextCommand: 'cofferctl ledger status',
    });
  }

  /**
   * Ends the connection in order, which tells whether everything was read, and opens the next one. Opening it also
   * shows that the receiver still exists: one that died just after it had read the entries, with them still in its
   * memory, does not accept a connection.
   */
  async #confirm(): Promise<void> {
    const [connection, position] = [this.#connection, this.#position];
    if (connection === undefined || position === undefined || position.sent === position.number) return;
    this.#connection = undefined;
    if (!(await connection.finish()))
      throw new Error('the receiver did not confirm the end of the connection: it may not have read everything');
    this.#connection = await connectSyslog(this.config.destination, this.#context.times);
    this.#position = { number: position.sent, sent: position.sent };
    this.#unsureSince = undefined;
    this.#isDoubtful = false;
    if (this.#error !== undefined)
      this.#context.log.info({ forward: this.config.name }, 'the receiver of a forward reads entries again');
    this.#error = undefined;
    this.#retryMs = this.#context.times.retryFirstMs;
    await this.look();
  }

  /**
   * Handles a broken connection. It is unknown which of the unconfirmed entries arrived, so all of them are sent again.
   */
  async #break(error: unknown): Promise<void> {
    const { log, times } = this.#context;
    this.#connection?.destroy();
    this.#connection = undefined;
    if (this.#position !== undefined) this.#position = { number: this.#position.number, sent: this.#position.number };
    this.#unsureSince = undefined;
    this.#isDoubtful = true;
    const text = error instanceof Error ? error.message : toCofferdamError(error).message;
    if (this.#error !== text)
      log.warn(
        { err: error, forward: this.config.name, to: destinationText(this.config.destination) },
        'a forward broke; it is tried again',
      );
    this.#error = text.slice(0, 500);
    await this.#pause(this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, times.retryLongestMs);
  }

  #leave(): void {
    this.#connection?.destroy();
    this.#connection = undefined;
    this.#position = undefined;
    this.#unsureSince = undefined;
    this.#isDoubtful = true;
  }

  #pause(ms: number): Promise<void> {
    if (this.#isStopped) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
