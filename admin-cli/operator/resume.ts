// Owns: `cofferctl operator resume`.
import { change } from '../verb/change.ts';
import { positional } from '../verb/verb.ts';

export const operatorResume = change({
  words: ['operator', 'resume'],
  positionals: ['NAME'],
  help: 'Lets a suspended operator work again.',
  example: 'cofferctl operator resume dora --reason "cleared"',
  operation: 'operator.resume',
  params: (given) => ({ name: positional(given, 0) }),
  told: (_result, { name }) => `${name} is active again\n`,
});
