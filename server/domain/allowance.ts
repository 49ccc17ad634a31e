// Owns: how much somebody may do at once and in a minute. No clock: its caller says what time it is.

/** So many at once, and so many more with each minute. */
export type Allowance = { readonly atOnce: number; readonly perMinute: number };
/** What is left of it, and when that was (milliseconds of any clock that only goes forward). */
export type Purse = { left: number; at: number };

export const fullPurse = ({ atOnce }: Allowance, nowMs: number): Purse => ({ left: atOnce, at: nowMs });

/** Takes one. False: there is none now, and nothing was taken. */
export function takeOne(purse: Purse, { atOnce, perMinute }: Allowance, nowMs: number): boolean {
  purse.left = Math.min(atOnce, purse.left + (Math.max(0, nowMs - purse.at) * perMinute) / 60_000);
  purse.at = nowMs;
  if (purse.left < 1) return false;
  purse.left -= 1;
  return true;
}

/** What one of several holders may have of an allowance: never nothing. */
export const partOf = ({ atOnce, perMinute }: Allowance, divisor: number): Allowance => ({
  atOnce: Math.max(1, Math.floor(atOnce / divisor)),
  perMinute: Math.max(1, Math.floor(perMinute / divisor)),
});

/** Purses by the names of their holders. Of more than so many, the one that was used least lately goes; who comes again finds a full one. */
export class Purses {
  readonly #max: number;
  readonly #purses = new Map<string, Purse>();

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#purses.size;
  }

  /** False: this holder has had it, and nothing was taken. */
  take(holder: string, allowance: Allowance, nowMs: number): boolean {
    const purse = this.#purses.get(holder) ?? fullPurse(allowance, nowMs);
    this.#purses.delete(holder);
    this.#purses.set(holder, purse);
    const [oldest] = this.#purses.size > this.#max ? this.#purses.keys() : [];
    if (oldest !== undefined) this.#purses.delete(oldest);
    return takeOne(purse, allowance, nowMs);
  }
}
