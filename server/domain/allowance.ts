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
