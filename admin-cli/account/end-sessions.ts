// Owns: `cofferctl account end-sessions`.
import { change } from '../verb/change.ts';
import { positional } from '../verb/verb.ts';

export const accountEndSessions = change({
  words: ['account', 'end-sessions'],
  positionals: ['NAME'],
  help: 'Ends all open sessions of an account now. It may log in again at once: `account lock` prevents that.',
  example: 'cofferctl account end-sessions northbank-batch --reason "hangs since noon, asked by the bank"',
  operation: 'account.end-sessions',
  params: (given) => ({ name: positional(given, 0) }),
  told: ({ sessionsEnded }, { name }) => `${sessionsEnded} sessions of ${name} ended\n`,
});
