// Owns: `cofferctl key resume`.
import { change } from '../verb/change.ts';
import { positional } from '../verb/verb.ts';

export const keyResume = change({
  words: ['key', 'resume'],
  positionals: ['CREDENTIAL'],
  help: 'Makes a suspended key or password usable again. Needs a second operator.',
  example: 'cofferctl key resume SHA256:… --reason "it was the quarter end"',
  operation: 'key.resume',
  params: (given) => ({ fingerprint: positional(given, 0) }),
  told: () => 'the credential is usable again\n',
});
