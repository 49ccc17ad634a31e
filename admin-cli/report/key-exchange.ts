// Owns: `cofferctl report key-exchange`.
import { table, when } from '../terminal/output.ts';
import { read } from '../verb/read.ts';

export const reportKeyExchange = read({
  words: ['report', 'key-exchange'],
  help: 'Lists accounts that log in without a post-quantum key exchange, and with which client, so that you can ask them to update.',
  example: 'cofferctl report key-exchange',
  operation: 'report.key-exchange',
  text: ({ accounts }) =>
    table({
      columns: ['ACCOUNT', 'CUSTOMER', 'WITH ML-KEM', 'WITHOUT', 'LAST WITHOUT', 'ITS CLIENT'],
      rows: accounts.map((one) => [
        one.account,
        one.customer,
        String(one.withMlkem),
        String(one.withoutMlkem),
        when(one.lastWithoutAt),
        one.lastWithoutClient,
      ]),
      empty: 'nobody has logged in yet',
    }),
});
