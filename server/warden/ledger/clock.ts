// Owns: comparing the database's clock with the monotonic clock of this process, which nobody can set.
// Must never: report a jump that a slow answer, or a process that was suspended, explains.
import type { Freeze, Look } from './seal-queries.ts';

/**
 * One reading of the database's clock, with the monotonic clock before (`from`) and after (`to`) the question, all in
 * milliseconds, and the era in which it was read.
 */
type Asked = { readonly database: number; readonly from: number; readonly to: number; readonly era: number };

/** The largest part of the time gone by that two clocks may be apart from each other without anybody having set one. */
const driftPart = 1 / 1000;

const meaning = 'budgets and the record cannot be told the time by it';
/**
 * The clock of a virtual machine stands still while the machine is paused or moved; nothing on it tells that from a
 * clock that was set.
 */
const orPaused =
  '. If the machine of this warden was paused or moved to another host meanwhile, its own clock stood still: that looks the same';

/**
 * Compares each reading of the database's clock with the one before and with the first one of this process and era, so
 * that a clock which is moved in small steps is found as well. `jumpMs` is the largest difference that is no jump.
 */
export class DatabaseClock {
  readonly #jumpMs: number;
  #before: Asked | undefined;
  #base: Asked | undefined;

  constructor(jumpMs: number) {
    this.#jumpMs = jumpMs;
  }

  forget(): void {
    this.#before = undefined;
    this.#base = undefined;
  }

  /**
   * Returns a freeze when the database's clock moved by more than `clockJumpMs` beyond what the duration of the
   * questions can explain, since the last reading or since the first one; otherwise undefined.
   */
  jump({ now: database, era }: Look, from: number, to: number): Omit<Freeze, 'id'> | undefined {
    const asked: Asked = { database, from, to, era };
    const before = this.#before;
    this.#before = asked;
    // Two operators began this era with the clock as it is now, so a reading of an earlier era is not comparable.
    if (this.#base?.era !== era) this.#base = asked;
    if (before === undefined || before.era !== era) return undefined;
    const jumpedMs = apartMs(before, asked);
    if (Math.abs(jumpedMs) > this.#jumpMs) {
      const text = `the database's clock jumped by ${(jumpedMs / 1000).toFixed(0)} s: ${meaning}${jumpedMs > 0 ? orPaused : ''}`;
      return { why: 'clock', text, facts: { jumpedMs } };
    }
    const walkedMs = apartMs(this.#base, asked);
    const goneMs = to - this.#base.from;
    if (Math.abs(walkedMs) <= this.#jumpMs + goneMs * driftPart) return undefined;
    const text = `the database's clock went away by ${(walkedMs / 1000).toFixed(0)} s in ${(goneMs / 1000).toFixed(0)} s: ${meaning}`;
    return { why: 'clock', text, facts: { jumpedMs: walkedMs, goneMs: Math.round(goneMs) } };
  }
}

/**
 * Returns by how many milliseconds the database's clock moved between two readings beyond what their duration can
 * explain.
 */
function apartMs(first: Asked, second: Asked): number {
  const went = second.database - first.database;
  const [most, least] = [second.to - first.from, second.from - first.to];
  return Math.round(went > most ? went - most : Math.min(0, went - least));
}
