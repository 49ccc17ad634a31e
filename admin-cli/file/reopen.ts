// Owns: `cofferctl file reopen`.
import { change } from '../verb/change.ts';
import { positional } from '../verb/verb.ts';

export const fileReopen = change({
  words: ['file', 'reopen'],
  positionals: ['VERSION', 'ACCOUNT'],
  help: 'Lists a file in its folder again for an account that was done with it. Nobody else sees a difference.',
  example: 'cofferctl file reopen 6f1c… northbank-batch --reason "the bank lost its copy"',
  operation: 'file.reopen',
  params: (given) => ({ version: positional(given, 0), account: positional(given, 1) }),
  told: () => 'the account finds the file in its folder again\n',
});
