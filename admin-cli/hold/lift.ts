// Owns: `cofferctl hold lift`.
import { change } from '../verb/change.ts';
import { positional } from '../verb/verb.ts';

export const holdLift = change({
  words: ['hold', 'lift'],
  positionals: ['HOLD'],
  help: 'Lifts a legal hold: what is past its retention is destroyed within seconds. Needs a second operator.',
  example: 'cofferctl hold lift 6f1c… --reason "investigation closed"',
  operation: 'hold.lift',
  params: (given) => ({ hold: positional(given, 0) }),
  told: () => 'hold lifted\n',
});
