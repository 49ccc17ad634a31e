// Owns: `cofferctl customer resume`.
import { change } from '../verb/change.ts';
import { positional } from '../verb/verb.ts';

export const customerResume = change({
  words: ['customer', 'resume'],
  positionals: ['NAME'],
  help: 'Lets a suspended customer work again.',
  example: 'cofferctl customer resume acme --reason "laptop found, keys replaced"',
  operation: 'customer.resume',
  params: (given) => ({ name: positional(given, 0) }),
  told: (_result, { name }) => `customer ${name} is active again\n`,
});
