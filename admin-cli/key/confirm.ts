// Owns: `cofferctl key confirm`.
import { change } from '../verb/change.ts';
import { positional } from '../verb/verb.ts';

export const keyConfirm = change({
  words: ['key', 'confirm'],
  positionals: ['CREDENTIAL'],
  reason: 'how its holder was asked; goes on the record',
  help: 'A key that its customer asked for over SSH is good at once instead of after the waiting time.',
  example: 'cofferctl key confirm SHA256:… --reason "called back"',
  operation: 'key.confirm',
  params: (given) => ({ fingerprint: positional(given, 0) }),
  told: () => 'the key is good now\n',
});
