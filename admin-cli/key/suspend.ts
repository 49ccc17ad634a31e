// Owns: `cofferctl key suspend`.
import { change } from '../verb/change.ts';
import { positional } from '../verb/verb.ts';

export const keySuspend = change({
  words: ['key', 'suspend'],
  positionals: ['CREDENTIAL'],
  help: 'Suspends a key or password and ends its sessions. `key resume` undoes it.',
  example: 'cofferctl key suspend SHA256:… --reason "seen from an unknown network"',
  operation: 'key.suspend',
  params: (given) => ({ fingerprint: positional(given, 0) }),
  told: ({ sessionsEnded }) => `credential suspended; ${sessionsEnded} sessions ended\n`,
});
