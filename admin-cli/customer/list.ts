// Owns: `cofferctl customer list`.
import { table, when } from '../terminal/output.ts';
import { read } from '../verb/read.ts';

export const customerList = read({
  words: ['customer', 'list'],
  help: 'Lists all customers.',
  example: 'cofferctl customer list',
  operation: 'customer.list',
  text: ({ customers }) =>
    table({
      columns: ['NAME', 'STATE', 'ACCOUNTS', 'FOLDERS', 'FILES', 'CREATED'],
      rows: customers.map((one) => [one.name, one.state, one.accounts, one.folders, one.files, when(one.createdAt)]),
      empty: 'no customers yet',
    }),
});
