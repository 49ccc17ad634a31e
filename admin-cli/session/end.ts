// Owns: `cofferctl session end`.
import { change } from '../verb/change.ts';
import { positional } from '../verb/verb.ts';

export const sessionEnd = change({
  words: ['session', 'end'],
  positionals: ['SESSION'],
  help: 'Ends one session now. Its half-done uploads stay resumable.',
  example: 'cofferctl session end 6f1c… --reason "asked by the bank"',
  operation: 'session.end',
  params: (given) => ({ session: positional(given, 0) }),
  told: () => 'session ended\n',
});
