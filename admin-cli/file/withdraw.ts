// Owns: `cofferctl file withdraw`.
import { change } from '../verb/change.ts';
import { positional } from '../verb/verb.ts';

export const fileWithdraw = change({
  words: ['file', 'withdraw'],
  positionals: ['VERSION'],
  help: 'Takes a published version out of its folder. Nothing is deleted: see `file release`.',
  example: 'cofferctl file withdraw 6f1c… --reason "sent to the wrong bank"',
  operation: 'file.withdraw',
  params: (given) => ({ version: positional(given, 0) }),
  told: () => 'withdrawn\n',
});
