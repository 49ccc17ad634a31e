// Owns: `cofferctl mfa reset`.
import { nextLine } from '../terminal/next-line.ts';
import { change } from '../verb/change.ts';
import { positional } from '../verb/verb.ts';

export const mfaReset = change({
  words: ['mfa', 'reset'],
  positionals: ['ACCOUNT'],
  help: 'Takes the second factor of an account away, with its open tickets and sessions. `mfa ticket` lets the holder enrol a new one.',
  example: 'cofferctl mfa reset northbank --reason "telephone lost"',
  operation: 'mfa.reset',
  params: (given) => ({ account: positional(given, 0) }),
  told: ({ sessionsEnded }, { account }, given) =>
    `second factor of ${account} was removed; ${sessionsEnded} sessions ended\nnext: ${nextLine(given, `mfa ticket ${account}`)}\n`,
});
