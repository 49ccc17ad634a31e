import { type Command, positional } from '../command.ts';

export const customerCreate: Command = {
  words: ['customer', 'create'],
  positionals: ['NAME'],
  options: [],
  help: 'Creates a customer with its key and its folders `deposit` and `collect`.',
  example: 'cofferctl customer create northbank',
  run: async (client, given) => {
    const data = await client.call('customer.create', { name: positional(given, 0) });
    return {
      data,
      text: `customer ${data.name} created with folders ${data.folders.join(', ')}\nnext: cofferctl account create NAME --customer ${data.name} --kind person\n`,
    };
  },
};
