// Owns: `cofferctl customer suspend`.
import { nextLine } from '../terminal/next-line.ts';
import { change } from '../verb/change.ts';
import { positional } from '../verb/verb.ts';

export const customerSuspend = change({
  words: ['customer', 'suspend'],
  positionals: ['NAME'],
  help: 'Ends all sessions of a customer and refuses new ones. Nothing is deleted.',
  example: 'cofferctl customer suspend acme --reason "stolen laptop"',
  operation: 'customer.suspend',
  params: (given) => ({ name: positional(given, 0) }),
  told: ({ sessionsEnded }, { name }, given) =>
    `customer ${name} suspended; ${sessionsEnded} sessions ended\nundo: ${nextLine(given, `customer resume ${name} --reason TEXT`)}\n`,
});
