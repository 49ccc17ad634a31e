// Owns: judging how late the record is, on a clock and timer of its own, so that nothing the database does or fails to
// do can delay the judgement (decision 0036).
// Must never: wait for the beat that it judges, or assume that a lag which was seen some time ago has not grown since.

import { held } from '../../domain/detached.ts';
import { CofferdamError } from '../../domain/errors.ts';
import type { Births } from '../../domain/ledger/births.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Database } from '../../postgres/database.ts';
import { lockNotAvailable, sqlState } from '../../postgres/database-errors.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import type { LedgerGuard } from './guard.ts';
import type { Delivery } from './witness/witness.ts';

/**
 * What the newest look at the record found, in milliseconds: the age of the oldest entry without a seal, and for how
 * long a checkpoint has been missing from a required witness.
 */
type Seen = { readonly unsealedMs: number; readonly unwitnessedMs: number };
/** A required witness that does not have everything, and why. */
type Behind = { readonly name: string; readonly why: string };
/**
 * The same as this process knows it by its own clock, whatever the database says: the age of its own oldest entry that
 * it has not seen sealed, and for how long a required witness has not taken what this process offered it (decision
 * 0042).
 */
type Known = Seen;
type Late = { readonly ms: number; readonly text: string; readonly facts: Readonly<Record<string, unknown>> };

export const knownOf = (births: Births, deliveries: readonly Delivery[]): Known => ({
  unsealedMs: births.oldestMs,
  unwitnessedMs: Math.max(0, ...deliveries.filter((one) => one.witness.isRequired).map((one) => one.behindMs)),
});

const ticksMax = 250;
const alarmEveryMs = 60_000;
const writeAgainMs = 1000;
const statementCanceled = '57014';

/**
 * Returns whether an error means only that a lock was held or that a statement took too long. Such an error says
 * nothing new about the record; this clock judges how long it may last.
 */
export const isOnlySlow = (error: unknown): boolean =>
  error instanceof CofferdamError && [lockNotAvailable, statementCanceled].includes(sqlState(error) ?? '');

/**
 * Returns the lock timeout and the statement timeout of one statement of the sealer: a quarter of `stopMs` each, within
 * fixed bounds, so that several statements fit into `witnessStopMs`.
 */
export const waitsOf = (stopMs: number): { readonly lockMs: number; readonly statementMs: number } => ({
  lockMs: Math.ceil(Math.min(2000, stopMs / 4)),
  statementMs: Math.ceil(Math.max(1000, Math.min(10_000, stopMs / 4))),
});

/** A delivery that takes longer than this counts as late before it has failed, in milliseconds. */
const slowMs = 1000;

/** Returns the required witnesses that do not have everything, with the reasons. */
export const behindOf = (deliveries: readonly Delivery[]): readonly Behind[] =>
  deliveries.flatMap(({ witness, behind }) =>
    witness.isRequired && behind !== undefined && (behind.why !== undefined || behind.ms >= slowMs)
      ? [{ name: witness.name, why: behind.why ?? 'it has not answered yet' }]
      : [],
  );

type LagOptions = {
  readonly guard: LedgerGuard;
  /**
   * The sealer's pool. Its statements have timeouts, and one of its connections stays free while a beat uses the other
   * one.
   */
  readonly database: Database;
  readonly log: Logger;
  readonly known: () => Known;
  readonly alarmMs: number;
  readonly stopMs: number;
  /** Returns the required witnesses that do not have everything. */
  readonly behind: () => readonly Behind[];
};

/**
 * Judges the lag at least four times in a second, from `start` until `stop`, by the newest look and by the time since
 * that look was asked for.
 */
export class LagClock {
  readonly #given: LagOptions;
  #seen: Seen = { unsealedMs: 0, unwitnessedMs: 0 };
  /** When the newest look was asked for, by the monotonic clock of this process. */
  #seenAt = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #owed: Late | undefined;
  #toldAt = Number.NEGATIVE_INFINITY;
  /** The witnesses that the newest alert named. */
  #toldNames = '';
  #writtenAt = Number.NEGATIVE_INFINITY;
  #triedAt = Number.NEGATIVE_INFINITY;
  #writing: Promise<void> | undefined;

  constructor(given: LagOptions) {
    this.#given = given;
  }

  start(): void {
    this.#seenAt = performance.now();
    this.#timer = setInterval(() => this.judge(), Math.max(10, Math.min(ticksMax, this.#given.stopMs / 8)));
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#writing;
  }

  /** Stores the result of a look that has come back. `askedAt` is the monotonic time before it was asked for. */
  saw(seen: Seen, askedAt: number): void {
    this.#seen = seen;
    this.#seenAt = askedAt;
  }

  get late(): Late {
    const silentMs = performance.now() - this.#seenAt;
    const { stopMs } = this.#given;
    const behind = this.#given
      .behind()
      .map(({ name, why }) => `${name}: ${why}`)
      .join('; ')
      .slice(0, 400);
    const who = behind === '' ? '' : ` (behind is ${behind})`;
    const known = this.#given.known();
    const seenMs = Math.max(this.#seen.unsealedMs, this.#seen.unwitnessedMs);
    const unsealedMs = Math.max(this.#seen.unsealedMs + silentMs, known.unsealedMs);
    const unwitnessedMs = Math.max(this.#seen.unwitnessedMs + silentMs, known.unwitnessedMs);
    const what = unsealedMs > unwitnessedMs ? 'entries have no seal' : 'checkpoint has no witness';
    const ms = Math.max(unsealedMs, unwitnessedMs);
    // What this process waits for grows older as well while nothing answers; that nothing answers is the better
    // sentence then.
    const isSilent = silentMs > seenMs && silentMs > ms / 2;
    return {
      ms,
      text: isSilent
        ? `the record could not be looked at for ${Math.round(silentMs / 1000)} s${who}`
        : `the newest ${what} for ${Math.round(ms / 1000)} s${who}`,
      facts: {
        silentMs: Math.round(silentMs),
        unsealedMs: Math.round(this.#seen.unsealedMs),
        unwitnessedMs: Math.round(this.#seen.unwitnessedMs),
        ownUnsealedMs: Math.round(known.unsealedMs),
        ownUnwitnessedMs: Math.round(known.unwitnessedMs),
        behind,
        stopMs,
      },
    };
  }

  /**
   * Closes the guard when the record is too late; the beat opens it again after a successful look. Logs the alert at
   * once, and writes it into the database as soon as the database accepts it.
   */
  judge(): void {
    const { guard, log, alarmMs, stopMs } = this.#given;
    // While the record is frozen nothing is sealed, and the freeze has its own alert.
    if (guard.state.is === 'closed' && guard.state.why === 'frozen') {
      this.#owed = undefined;
      return;
    }
    const { late } = this;
    if (late.ms >= stopMs && guard.state.is === 'open') guard.close('late', late.text);
    if (late.ms >= alarmMs) {
      const now = performance.now();
      const names = this.#given
        .behind()
        .map(({ name }) => name)
        .join(' ');
      // Another witness that is behind is news, and is said at once.
      if (names !== this.#toldNames) {
        this.#toldNames = names;
        this.#toldAt = Number.NEGATIVE_INFINITY;
        this.#writtenAt = Number.NEGATIVE_INFINITY;
      }
      if (now - this.#toldAt >= alarmEveryMs) {
        this.#toldAt = now;
        log.error(late.facts, `${late.text}; after ${stopMs / 1000} s nothing more is served`);
      }
      if (now - this.#writtenAt >= alarmEveryMs) this.#owed = late;
    }
    this.#write();
  }

  /**
   * Writes the alert that is still owed. One that could not be written is kept and written later, even when the lag is
   * over by then, so that operators learn of it.
   */
  #write(): void {
    const { database, stopMs, log } = this.#given;
    const owed = this.#owed;
    const now = performance.now();
    if (owed === undefined || this.#writing !== undefined || now - this.#triedAt < writeAgainMs) return;
    this.#triedAt = now;
    const alert = {
      kind: 'ledger.late',
      severity: 'critical',
      subject: 'ledger',
      text: `${owed.text}; after ${stopMs / 1000} s nothing more is served`,
      facts: owed.facts,
      nextCommand: 'cofferctl ledger status',
    } as const;
    this.#writing = held(
      database
        .withSystem((tx) => insertAlert(tx, alert))
        .then(() => {
          this.#writtenAt = performance.now();
          if (this.#owed === owed) this.#owed = undefined;
        })
        .catch((error: unknown) =>
          log.warn({ err: error }, 'an alarm about the record could not be written; it is tried again'),
        )
        .finally(() => (this.#writing = undefined)),
    );
  }
}
