// Owns: how long credentials live, lie idle, overlap and wait.
// Must never: be measured by a shifted clock. A rehearsal makes the day shorter instead.

/** Days are `dayMs` long, hours a 24th of it; everything below is in days unless its name says otherwise. */
export type CredentialAges = {
  readonly dayMs: number;
  readonly lifeDays: number;
  readonly lifeMaxDays: number;
  /** How long before its end the contact is told. */
  readonly warnDays: number;
  /** Unused for so long, a credential opens nothing until an operator wakes it. */
  readonly dormantDays: number;
  readonly overlapDays: number;
  readonly overlapMaxDays: number;
  /** From a customer's own request to the first use of a new key, unless somebody confirms it. */
  readonly newKeyDelayHours: number;
  readonly standingMaxDays: number;
  /** How often retiring credentials are retired and expiring ones warned of; milliseconds. */
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
