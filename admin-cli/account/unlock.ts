// Owns: `cofferctl account unlock`.
import { change } from '../verb/change.ts';
import { positional } from '../verb/verb.ts';

export const accountUnlock = change({
  words: ['account', 'unlock'],
  positionals: ['NAME'],
  help: 'Unlocks an account, and lets the counters of failed guesses against it begin again.',
  example: 'cofferctl account unlock northbank-batch --reason "its holder called"',
  operation: 'account.unlock',
  params: (given) => ({ name: positional(given, 0) }),
  told: ({ wasLocked, countersCleared }) =>
    `${wasLocked ? 'account unlocked' : 'the account was not locked'}; ${countersCleared} counters of failed guesses cleared\n`,
});
