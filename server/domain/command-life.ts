// Owns: how long an operator's command is valid, for those who ask and those who execute.
// Must never: let the process that asked stop waiting before the command was executed or can no longer be executed.

/** All three times are counted from the moment when the command was asked for, by the clock of the database. */
export const commandLife = {
  /** A command that is older than this is not begun; the warden answers that it is too old. */
  beginMs: 15_000,
  /**
   * A command that is older than this cannot be committed. The database enforces this (`command_in_time` in
   * migrations/functions/commands.sql), whatever the warden does.
   */
  endMs: 45_000,
  /** How long the process that asked waits: some seconds longer than the command can still be committed. */
  answerMs: 50_000,
} as const;

/** Operations that change nothing by themselves. Reports leave them out, and their answers are kept for a day. */
export const passingOperations: readonly string[] = [
  'plan',
  'warden.ping',
  'change.propose',
  'change.approve',
  'change.reject',
  'demo.set-factor',
];

/**
 * How many answered commands stay in the database: of each group (passing, failed, executed) the newest `each`, and at
 * most `bytes` of them; passing ones at most `passingMs` milliseconds. The database enforces this (`forget_commands` in
 * migrations/functions/commands.sql).
 */
export const commandsKept = { passingMs: 24 * 3_600_000, each: 10_000, bytes: 64 * 1_048_576 } as const;

/**
 * Returns whether a command of this age may still be begun. A negative age means that a clock was set back: a command
 * that seems to come from the future (by more than a second) is not begun.
 */
export const mayBegin = (ageMs: number): boolean => ageMs >= -1000 && ageMs <= commandLife.beginMs;
