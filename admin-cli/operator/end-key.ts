// Owns: `cofferctl operator end-key`.
import { change } from '../verb/change.ts';
import { positional } from '../verb/verb.ts';

export const operatorEndKey = change({
  words: ['operator', 'end-key'],
  positionals: ['NAME', 'FINGERPRINT'],
  help: 'Ends one key of an operator at once. What it signed stays signed; it signs nothing more.',
  example: 'cofferctl operator end-key dora 3b1f… --reason "laptop lost"',
  operation: 'operator.end-key',
  params: (given) => ({ name: positional(given, 0), fingerprint: positional(given, 1) }),
  told: () => 'the key is ended\n',
});
