// Owns: `cofferctl file list`.
import { table, when } from '../terminal/output.ts';
import { read } from '../verb/read.ts';
import { only, positional, wholeNumber } from '../verb/verb.ts';

export const fileList = read({
  words: ['file', 'list'],
  positionals: ['CUSTOMER'],
  options: [
    { name: 'folder', value: 'NAME', help: 'only in this folder' },
    { name: 'limit', value: 'N', help: 'at most so many, newest first (1 to 500)' },
  ],
  help: "Lists a customer's files: names, states and hashes, and which accounts are done with them, never content.",
  example: 'cofferctl file list acme --folder deposit',
  operation: 'file.list',
  params: (given) => ({
    customer: positional(given, 0),
    ...only({ folder: given.options.folder, limit: wholeNumber(given, 'limit') }),
  }),
  text: ({ files }) =>
    table({
      columns: ['PATH', 'VERSION', 'STATE', 'BYTES', 'SHA-256', 'ACCOUNT', 'CLOSED', 'DONE', 'ID'],
      rows: files.map((one) => [
        one.path,
        one.number,
        one.withdrawnWhy === null ? one.state : `${one.state} (${one.withdrawnWhy})`,
        one.size,
        one.sha256?.slice(0, 16) ?? null,
        one.account,
        when(one.closedAt),
        one.done.length === 0 ? null : one.done.map(({ account, at }) => `${account} ${when(at)}`).join(', '),
        one.version,
      ]),
      empty: 'no files',
    }),
});
