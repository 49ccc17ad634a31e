import { changing } from '../changing.ts';
import { type Command, positional } from '../command.ts';
import { nextLine } from '../next-line.ts';

export const customerCreate: Command = {
  words: ['customer', 'create'],
  positionals: ['NAME'],
  options: [{ name: 'reason', value: 'TEXT', help: 'why; goes on the record', required: true }],
  help: 'Creates a customer with its key and its folders `deposit` and `collect`.',
  example: 'cofferctl customer create northbank --reason "contract 2026-114"',
  changes: true,
  run: async (client, given) => {
    return changing(
      client,
      given,
      'customer.create',
      { name: positional(given, 0), reason: given.options.reason ?? '' },
      (data) =>
        `customer ${data.name} created with folders ${data.folders.join(', ')}\nnext: ${nextLine(given, `account create NAME --customer ${data.name} --kind person`)}\n`,
    );
  },
};
