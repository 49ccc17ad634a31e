// Owns: how long an operator's command is good for, told to both who ask and who carry out.
// Must never: let whoever asked stop waiting before what he asked is done or can never be done any more.

/** All counted from when it was asked, by the clock of the database. */
export const commandLife = {
  /** Older than this it is not begun; the warden answers so. */
  beginMs: 15_000,
  /** Older than this it cannot be committed: migrations/0040 keeps it, whatever the warden thinks. */
  endMs: 45_000,
  /** Whoever asked waits so long: some seconds more than anything can still be done. */
  answerMs: 50_000,
} as const;

/** What changes nothing by itself: no report tells of it, and its answer is kept for a day. */
export const passingOperations: readonly string[] = [
  'plan',
  'warden.ping',
  'change.propose',
  'change.approve',
  'change.reject',
  'demo.set-factor',
];

/** What of answered commands stays in the database. Of each kind (passing, failed, done) the newest, in number and in bytes: migrations/0042 keeps it. */
export const commandsKept = { passingMs: 24 * 3_600_000, each: 10_000, bytes: 64 * 1_048_576 } as const;

/** It is in time. A clock that was set back says nothing: what seems to be asked in the future is not begun. */
export const mayBegin = (ageMs: number): boolean => ageMs >= -1000 && ageMs <= commandLife.beginMs;
