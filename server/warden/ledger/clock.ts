// Owns: the database's clock held against ours, which nobody can set.
// Must never: take for a jump what a slow answer, or a process that stood still, explains.
import type { Freeze, Look } from './seal-queries.ts';

/** The database's clock, and ours before and after it was asked; of one era. */
type Asked = { readonly database: number; readonly from: number; readonly to: number; readonly era: number };

export class DatabaseClock {
  readonly #jumpMs: number;
  #before: Asked | undefined;

  constructor(jumpMs: number) {
    this.#jumpMs = jumpMs;
  }

  forget(): void {
    this.#before = undefined;
  }

  /** However long the answer took: only what that does not explain counts. */
  jump({ now: database, era }: Look, from: number, to: number): Omit<Freeze, 'id'> | undefined {
    const before = this.#before;
    this.#before = { database, from, to, era };
    // Two operators began an era with the clock that is there now: what it went by before is nothing to compare it with.
    if (before === undefined || before.era !== era) return undefined;
    const went = database - before.database;
    const [most, least] = [to - before.from, from - before.to];
    const jumpedMs = Math.round(went > most ? went - most : Math.min(0, went - least));
    if (Math.abs(jumpedMs) <= this.#jumpMs) return undefined;
    const text = `the database's clock jumped by ${(jumpedMs / 1000).toFixed(0)} s: budgets and the record cannot be told the time by it`;
    return { why: 'clock', text, facts: { jumpedMs } };
  }
}
