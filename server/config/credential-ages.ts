// Owns: how long credentials live, may stay unused, overlap, and wait.
// Must never: be tested with a shifted clock. A rehearsal makes the day shorter instead (`dayMs`).

/**
 * A day is `dayMs` milliseconds long, and an hour a 24th of that. All values are in days unless their name says
 * otherwise.
 */
export type CredentialAges = {
  readonly dayMs: number;
  readonly lifeDays: number;
  readonly lifeMaxDays: number;
  /** How long before the end of a credential its contact is told. */
  readonly warnDays: number;
  /** A credential that was unused for this time opens nothing until an operator wakes it. */
  readonly dormantDays: number;
  readonly overlapDays: number;
  readonly overlapMaxDays: number;
  /**
   * The time from a customer's own request to the first use of the new key, unless somebody confirms the key earlier.
   */
  readonly newKeyDelayHours: number;
  readonly standingMaxDays: number;
  /** How often keys whose overlap has ended are retired, and warnings of expiry are sent, in milliseconds. */
  readonly sweepEveryMs: number;
};

export const defaultCredentialAges: CredentialAges = {
  dayMs: 86_400_000,
  lifeDays: 365,
  lifeMaxDays: 366,
  warnDays: 30,
  dormantDays: 90,
  overlapDays: 14,
  overlapMaxDays: 90,
  newKeyDelayHours: 24,
  standingMaxDays: 90,
  sweepEveryMs: 1000,
};

export const hourMs = (ages: CredentialAges): number => ages.dayMs / 24;
