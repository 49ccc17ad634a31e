import type { Command } from '../command.ts';
import { table, when } from '../output.ts';

export const accountList: Command = {
  words: ['account', 'list'],
  positionals: [],
  options: [{ name: 'customer', value: 'NAME', help: 'only of this customer' }],
  help: 'Lists accounts: what they are and what they can log in with.',
  example: 'cofferctl account list --customer acme',
  run: async (client, given) => {
    const { customer } = given.options;
    const data = await client.call('account.list', customer === undefined ? {} : { customer });
    const rows = data.accounts.map((one) => [
      one.name,
      one.customer,
      one.kind,
      one.plane,
      one.state,
      one.keys,
      one.secondFactor,
      when(one.windowOpenUntil),
      when(one.lastUsedAt),
    ]);
    return {
      data,
      text: table({
        columns: ['ACCOUNT', 'CUSTOMER', 'KIND', 'PLANE', 'STATE', 'KEYS', 'SECOND FACTOR', 'WINDOW UNTIL', 'LAST USED'],
        rows,
        empty: 'no accounts',
      }),
    };
  },
};
