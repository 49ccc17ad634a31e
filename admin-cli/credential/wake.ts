// Owns: `cofferctl credential wake`.
import { change } from '../verb/change.ts';
import { positional } from '../verb/verb.ts';

export const credentialWake = change({
  words: ['credential', 'wake'],
  positionals: ['CREDENTIAL'],
  help: 'Makes a dormant credential usable again.',
  example: 'cofferctl credential wake SHA256:… --reason "yearly statement run"',
  operation: 'credential.wake',
  params: (given) => ({ fingerprint: positional(given, 0) }),
  told: () => 'the credential may be used again\n',
});
