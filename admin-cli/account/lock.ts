// Owns: `cofferctl account lock`.
import { change } from '../verb/change.ts';
import { positional } from '../verb/verb.ts';

export const accountLock = change({
  words: ['account', 'lock'],
  positionals: ['NAME'],
  help: 'Locks an account and ends its sessions. `account unlock` undoes it.',
  example: 'cofferctl account lock northbank-batch --reason "seen at an odd hour"',
  operation: 'account.lock',
  params: (given) => ({ name: positional(given, 0) }),
  told: ({ sessionsEnded }) => `account locked; ${sessionsEnded} sessions ended\n`,
});
