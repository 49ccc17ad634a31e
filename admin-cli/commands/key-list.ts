import type { Command } from '../command.ts';
import { table, when } from '../output.ts';

export const keyList: Command = {
  words: ['key', 'list'],
  positionals: [],
  options: [{ name: 'account', value: 'NAME', help: 'only of this account' }],
  help: 'Lists registered keys, who issued them, and when they were last used.',
  example: 'cofferctl key list --account acme-batch',
  run: async (client, given) => {
    const { account } = given.options;
    const data = await client.call('key.list', account === undefined ? {} : { account });
    const rows = data.keys.map((one) => [
      one.account,
      one.fingerprint,
      one.algorithm,
      one.state,
      one.issuedBy,
      when(one.expiresAt),
      when(one.lastUsedAt),
    ]);
    return {
      data,
      text: table({ columns: ['ACCOUNT', 'FINGERPRINT', 'TYPE', 'STATE', 'ISSUED BY', 'EXPIRES', 'LAST USED'], rows, empty: 'no keys' }),
    };
  },
};
