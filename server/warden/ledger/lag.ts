// Owns: the judge of how late the record is, on a clock of its own: nothing that the database does, or does not do, keeps it from judging (decision 0036).
// Must never: wait for the beat that it judges, or believe that what was seen a while ago has not grown older since.

import { held } from '../../domain/detached.ts';
import { CofferdamError } from '../../domain/errors.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Database } from '../../postgres/database.ts';
import { lockNotAvailable, sqlState } from '../../postgres/database-errors.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import type { LedgerGuard } from './guard.ts';

/** What the newest look saw: the age of the oldest entry without a seal, and of the oldest checkpoint without a witness. */
export type Seen = { readonly unsealedMs: number; readonly unwitnessedMs: number };
type Late = { readonly ms: number; readonly text: string; readonly facts: Readonly<Record<string, unknown>> };

const ticksMax = 250;
const alarmEveryMs = 60_000;
const writeAgainMs = 1000;
const statementCanceled = '57014';

/** Somebody holds a lock, or the machine is slow: nothing is known of the record that was not known before, and the clock judges how long that may go on. */
export const isOnlySlow = (error: unknown): boolean =>
  error instanceof CofferdamError && [lockNotAvailable, statementCanceled].includes(sqlState(error) ?? '');

/** Of one statement of the sealer: a few of them fit into the time in which nothing is served any more. */
export const waitsOf = (stopMs: number): { readonly lockMs: number; readonly statementMs: number } => ({
  lockMs: Math.ceil(Math.min(2000, stopMs / 4)),
  statementMs: Math.ceil(Math.max(1000, Math.min(10_000, stopMs / 4))),
});

export type LagOptions = {
  readonly guard: LedgerGuard;
  /** Its statements have bounds; one connection of it is free while a beat has the other one. */
  readonly database: Database;
  readonly log: Logger;
  readonly alarmMs: number;
  readonly stopMs: number;
};

export class LagClock {
  readonly #given: LagOptions;
  #seen: Seen = { unsealedMs: 0, unwitnessedMs: 0 };
  /** When the newest look was asked for. */
  #seenAt = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #owed: Late | undefined;
  #toldAt = Number.NEGATIVE_INFINITY;
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

  /** A look has come back. `askedAt`: by our own clock, before it was asked. */
  saw(seen: Seen, askedAt: number): void {
    this.#seen = seen;
    this.#seenAt = askedAt;
  }

  get late(): Late {
    const { unsealedMs, unwitnessedMs } = this.#seen;
    const silentMs = performance.now() - this.#seenAt;
    const seenMs = Math.max(unsealedMs, unwitnessedMs);
    const what = unsealedMs > unwitnessedMs ? 'entries have no seal' : 'checkpoint has no witness';
    const ms = seenMs + silentMs;
    return {
      ms,
      text:
        silentMs > seenMs
          ? `the record could not be looked at for ${Math.round(silentMs / 1000)} s`
          : `the newest ${what} for ${Math.round(ms / 1000)} s`,
      facts: { silentMs: Math.round(silentMs), unsealedMs: Math.round(unsealedMs), unwitnessedMs: Math.round(unwitnessedMs) },
    };
  }

  /** Closes what is open; whoever has looked opens it again. Says so at once, and to the database as soon as it listens. */
  judge(): void {
    const { guard, log, alarmMs, stopMs } = this.#given;
    // Nothing is sealed then, and everybody knows why.
    if (guard.state.is === 'closed' && guard.state.why === 'frozen') {
      this.#owed = undefined;
      return;
    }
    const { late } = this;
    if (late.ms >= stopMs && guard.state.is === 'open') guard.close('late', late.text);
    if (late.ms >= alarmMs) {
      const now = performance.now();
      if (now - this.#toldAt >= alarmEveryMs) {
        this.#toldAt = now;
        log.error(late.facts, `${late.text}; after ${stopMs / 1000} s nothing more is served`);
      }
      if (now - this.#writtenAt >= alarmEveryMs) this.#owed = late;
    }
    this.#write();
  }

  /** What could not be written is written later, when it may be over: nobody slept through it. */
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
          this.#owed = undefined;
        })
        .catch((error: unknown) => log.warn({ err: error }, 'an alarm about the record could not be written; it is tried again'))
        .finally(() => (this.#writing = undefined)),
    );
  }
}
