// Owns: a token bucket: how much one holder may do at once and in each minute. It reads no clock; its caller passes the
// time.

/** The size of a bucket (`atOnce`) and the number of tokens that come back each minute (`perMinute`). */
export type Allowance = { readonly atOnce: number; readonly perMinute: number };
/** The tokens that were left in a bucket, and when that was, in milliseconds of any clock that only goes forward. */
export type Purse = { left: number; at: number };

export const fullPurse = ({ atOnce }: Allowance, nowMs: number): Purse => ({ left: atOnce, at: nowMs });

/** Takes one token. Returns false when there is none; then nothing was taken. */
export function takeOne(purse: Purse, { atOnce, perMinute }: Allowance, nowMs: number): boolean {
  purse.left = Math.min(atOnce, purse.left + (Math.max(0, nowMs - purse.at) * perMinute) / 60_000);
  purse.at = nowMs;
  if (purse.left < 1) return false;
  purse.left -= 1;
  return true;
}

/**
 * Returns the part of an allowance that one of several holders may have: the allowance divided by `divisor`, and at
 * least 1 of each.
 */
export const partOf = ({ atOnce, perMinute }: Allowance, divisor: number): Allowance => ({
  atOnce: Math.max(1, Math.floor(atOnce / divisor)),
  perMinute: Math.max(1, Math.floor(perMinute / divisor)),
});

/**
 * Buckets by the names of their holders, at most `max` of them. When there are more, the least recently used one is
 * forgotten; its holder starts with a full bucket when it comes again.
 */
export class Purses {
  readonly #max: number;
  readonly #purses = new Map<string, Purse>();

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#purses.size;
  }

  /** Takes one token of this holder. Returns false when the holder has none left; then nothing was taken. */
  take(holder: string, allowance: Allowance, nowMs: number): boolean {
    const purse = this.#purses.get(holder) ?? fullPurse(allowance, nowMs);
    this.#purses.delete(holder);
    this.#purses.set(holder, purse);
    const [oldest] = this.#purses.size > this.#max ? this.#purses.keys() : [];
    if (oldest !== undefined) this.#purses.delete(oldest);
    return takeOne(purse, allowance, nowMs);
  }
}
