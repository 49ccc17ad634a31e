import type { Command } from '../command.ts';
import { table, when } from '../output.ts';

export const reportKeyExchange: Command = {
  words: ['report', 'key-exchange'],
  positionals: [],
  options: [],
  help: 'Lists accounts that log in without a post-quantum key exchange, and with which client, so that you can ask them to update.',
  example: 'cofferctl report key-exchange',
  run: async (client) => {
    const data = await client.call('report.key-exchange', {});
    const rows = data.accounts.map((one) => [
      one.account,
      one.customer,
      String(one.withMlkem),
      String(one.withoutMlkem),
      when(one.lastWithoutAt),
      one.lastWithoutClient,
    ]);
    return {
      data,
      text: table({
        columns: ['ACCOUNT', 'CUSTOMER', 'WITH ML-KEM', 'WITHOUT', 'LAST WITHOUT', 'ITS CLIENT'],
        rows,
        empty: 'nobody has logged in yet',
      }),
    };
  },
};
