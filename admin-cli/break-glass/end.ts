// Owns: `cofferctl break-glass end`.
import { change } from '../verb/change.ts';
import { positional } from '../verb/verb.ts';

export const breakGlassEnd = change({
  words: ['break-glass', 'end'],
  positionals: ['BREAK-GLASS'],
  help: 'Ends a prepared or open emergency at once.',
  example: 'cofferctl break-glass end 6f1c… --reason "the second operator is back"',
  operation: 'break-glass.end',
  params: (given) => ({ breakGlass: positional(given, 0) }),
  told: () => 'the emergency is ended\n',
});
