import { type Command, positional, wholeNumber } from '../command.ts';
import { table, when } from '../output.ts';

export const fileList: Command = {
  words: ['file', 'list'],
  positionals: ['CUSTOMER'],
  options: [
    { name: 'folder', value: 'NAME', help: 'only in this folder' },
    { name: 'limit', value: 'N', help: 'at most so many, newest first (1 to 500)' },
  ],
  help: "Lists a customer's files: names, states and hashes, never content.",
  example: 'cofferctl file list acme --folder deposit',
  run: async (client, given) => {
    const { folder } = given.options;
    const limit = wholeNumber(given, 'limit');
    const data = await client.call('file.list', {
      customer: positional(given, 0),
      ...(folder === undefined ? {} : { folder }),
      ...(limit === undefined ? {} : { limit }),
    });
    const rows = data.files.map((one) => [
      one.path,
      one.number,
      one.withdrawnWhy === null ? one.state : `${one.state} (${one.withdrawnWhy})`,
      one.size,
      one.sha256?.slice(0, 16) ?? null,
      one.account,
      when(one.closedAt),
      one.version,
    ]);
    return {
      data,
      text: table({ columns: ['PATH', 'VERSION', 'STATE', 'BYTES', 'SHA-256', 'ACCOUNT', 'CLOSED', 'ID'], rows, empty: 'no files' }),
    };
  },
};
