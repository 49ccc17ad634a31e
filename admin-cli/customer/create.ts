// Owns: `cofferctl customer create`.
import { nextLine } from '../terminal/next-line.ts';
import { change } from '../verb/change.ts';
import { positional } from '../verb/verb.ts';

export const customerCreate = change({
  words: ['customer', 'create'],
  positionals: ['NAME'],
  help: 'Creates a customer with its key and its folders `deposit` and `collect`.',
  example: 'cofferctl customer create northbank --reason "contract 2026-114"',
  operation: 'customer.create',
  params: (given) => ({ name: positional(given, 0) }),
  told: ({ name, folders }, _params, given) =>
    `customer ${name} created with folders ${folders.join(', ')}\nnext: ${nextLine(given, `account create NAME --customer ${name} --kind person`)}\n`,
});
