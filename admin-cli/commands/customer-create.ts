import { changing } from '../changing.ts';
import { type Command, positional } from '../command.ts';

export const customerCreate: Command = {
  words: ['customer', 'create'],
  positionals: ['NAME'],
  options: [],
  help: 'Creates a customer with its key and its folders `deposit` and `collect`.',
  example: 'cofferctl customer create northbank',
  changes: true,
  run: async (client, given) => {
    return changing(
      client,
      given,
      'customer.create',
      { name: positional(given, 0) },
      (data) =>
        `customer ${data.name} created with folders ${data.folders.join(', ')}\nnext: cofferctl account create NAME --customer ${data.name} --kind person\n`,
    );
  },
};
