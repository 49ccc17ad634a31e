// Owns: how much of its account's budgets one round of an edge's self-test needs, and what a round has shown about
// wrong codes. The edge runs the rounds by these numbers, and the warden sets the budgets by them.
// Must never: report a control as effective without anything having been refused.

/** The sizes of the two test files in bytes. The small one fits into the account's cap, the large one never does. */
export const smallBytes = 1024;
export const largeBytes = 1024 ** 2;
/** The number of bytes that are read of the large file: enough to tell whether it was released. */
export const askedBytes = 65_536;
/**
 * The largest number of files that one round opens. Both files are read; when the small one cannot be read, both are
 * written first and the small one is read again.
 */
export const opensPerRoundMax = 5;

export type Verdict = {
  readonly check: 'cap' | 'wrong-code' | 'lockout';
  readonly bites: boolean;
  readonly text: string;
};

/** The lockout control fails when one connection allows more wrong codes than this, whatever the configuration says. */
const lockoutAttemptsMax = 10;
/**
 * The lockout control fails when the connection ends later than this: it was
 * then ended by the time limit of logins, not by the number of wrong codes.
 */
const lockoutSecondsMax = 22;

/** A login with wrong codes only: how it ended, and after how many prompts for a code and how many seconds. */
export type WrongCodesTried = {
  readonly isOpen: boolean;
  readonly asked: number;
  readonly reason: string;
  readonly seconds: number;
};

/** Returns what a login with wrong codes shows: that they open nothing, and that only a few of them may be tried. */
export function verdictsOfWrongCodes(
  { isOpen, asked, reason, seconds }: WrongCodesTried,
  loginAttemptsMax: number,
): readonly Verdict[] {
  return [
    {
      check: 'wrong-code',
      bites: !isOpen && asked > 0,
      text: isOpen
        ? 'a session was opened without a right code'
        : asked > 0
          ? `${asked} wrong codes opened nothing`
          : `no code was ever asked for (${reason})`.slice(0, 256),
    },
    {
      check: 'lockout',
      bites: !isOpen && asked > 0 && asked <= lockoutAttemptsMax && seconds < lockoutSecondsMax,
      text: `the connection ended after ${asked} wrong codes in ${seconds.toFixed(0)} s (at most ${Math.min(loginAttemptsMax, lockoutAttemptsMax)} may be tried)`,
    },
  ];
}
