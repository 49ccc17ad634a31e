// Owns: `cofferctl change list`.
import { instantOf } from '../terminal/instant.ts';
import { table, when } from '../terminal/output.ts';
import { read } from '../verb/read.ts';
import { only } from '../verb/verb.ts';

export const changeList = read({
  words: ['change', 'list'],
  options: [
    { name: 'all', value: null, help: 'also those that were decided or have expired' },
    { name: 'since', value: 'DAY|7d', help: 'proposed since then' },
  ],
  help: 'Lists changes that wait for a second operator.',
  example: 'cofferctl change list --all --since 30d',
  operation: 'change.list',
  params: ({ options: { all, since } }) => ({
    all: all !== undefined || since !== undefined,
    ...only({ since: since === undefined ? undefined : instantOf(since, 'since') }),
  }),
  text: ({ changes }) =>
    table({
      columns: ['CHANGE', 'OPERATION', 'STATE', 'PROPOSED BY', 'AT', 'DECIDED BY', 'AT', 'REASON'],
      rows: changes.map((one) => [
        one.change,
        one.operation,
        one.breakGlass === null ? one.state : `${one.state} (break-glass)`,
        one.proposer,
        when(one.proposedAt),
        one.decidedBy,
        when(one.decidedAt),
        one.reason,
      ]),
      empty: 'no change waits for a second operator',
    }),
});
