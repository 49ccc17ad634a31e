import type { Command } from '../command.ts';
import { table, when } from '../output.ts';

export const customerList: Command = {
  words: ['customer', 'list'],
  positionals: [],
  options: [],
  help: 'Lists all customers.',
  example: 'cofferctl customer list',
  run: async (client) => {
    const data = await client.call('customer.list', {});
    const rows = data.customers.map((one) => [one.name, one.state, one.accounts, one.folders, one.files, when(one.createdAt)]);
    return {
      data,
      text: table({ columns: ['NAME', 'STATE', 'ACCOUNTS', 'FOLDERS', 'FILES', 'CREATED'], rows, empty: 'no customers yet' }),
    };
  },
};
