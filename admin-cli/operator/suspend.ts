// Owns: `cofferctl operator suspend`.
import { change } from '../verb/change.ts';
import { positional } from '../verb/verb.ts';

export const operatorSuspend = change({
  words: ['operator', 'suspend'],
  positionals: ['NAME'],
  help: 'Suspends an operator at once and raises an alert. `operator resume` needs two operators.',
  example: 'cofferctl operator suspend dora --reason "signed what nobody asked for"',
  operation: 'operator.suspend',
  params: (given) => ({ name: positional(given, 0) }),
  told: (_result, { name }) => `${name} is suspended\n`,
});
