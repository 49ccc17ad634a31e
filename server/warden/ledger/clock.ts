// Owns: comparing the database's clock with the monotonic clock of this process, which nobody can set.
// Must never: report a jump that a slow answer, or a process that was suspended, explains.
import type { Freeze, Look } from './seal-queries.ts';

/**
 * One reading of the database's clock, with the monotonic clock before (`from`) and after (`to`) the question, all in
 * milliseconds, and the era in which it was read.
 */
type Asked = { readonly database: number; readonly from: number; readonly to: number; readonly era: number };

/** Compares each reading of the database's clock with the one before. `jumpMs` is the largest difference that is no jump. */
export class DatabaseClock {
  readonly #jumpMs: number;
  #before: Asked | undefined;

  constructor(jumpMs: number) {
    this.#jumpMs = jumpMs;
  }

  forget(): void {
    this.#before = undefined;
  }

  /**
   * Returns a freeze when the database's clock moved by more than `clockJumpMs` beyond what the duration of the
   * questions can explain; otherwise undefined.
   */
  jump({ now: database, era }: Look, from: number, to: number): Omit<Freeze, 'id'> | undefined {
    const before = this.#before;
    this.#before = { database, from, to, era };
    // Two operators began this era with the clock as it is now, so a reading of an earlier era is not comparable.
    if (before === undefined || before.era !== era) return undefined;
    const went = database - before.database;
    const [most, least] = [to - before.from, from - before.to];
    const jumpedMs = Math.round(went > most ? went - most : Math.min(0, went - least));
    if (Math.abs(jumpedMs) <= this.#jumpMs) return undefined;
    const text = `the database's clock jumped by ${(jumpedMs / 1000).toFixed(0)} s: budgets and the record cannot be told the time by it`;
    return { why: 'clock', text, facts: { jumpedMs } };
  }
}
