// Owns: `cofferctl account list`.
import { table, when } from '../terminal/output.ts';
import { read } from '../verb/read.ts';
import { only } from '../verb/verb.ts';

export const accountList = read({
  words: ['account', 'list'],
  options: [{ name: 'customer', value: 'NAME', help: 'only of this customer' }],
  help: 'Lists accounts: what they are and what they can log in with.',
  example: 'cofferctl account list --customer acme',
  operation: 'account.list',
  params: ({ options: { customer } }) => only({ customer }),
  text: ({ accounts }) =>
    table({
      columns: ['ACCOUNT', 'CUSTOMER', 'KIND', 'PLANE', 'STATE', 'KEYS', 'SECOND FACTOR', 'WINDOW UNTIL', 'LAST USED'],
      rows: accounts.map((one) => [
        one.name,
        one.customer,
        one.kind,
        one.plane,
        one.state,
        one.keys,
        one.secondFactor,
        when(one.windowOpenUntil),
        when(one.lastUsedAt),
      ]),
      empty: 'no accounts',
    }),
});
