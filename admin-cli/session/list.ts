// Owns: `cofferctl session list`.
import { table, when } from '../terminal/output.ts';
import { read } from '../verb/read.ts';
import { only, wholeNumber } from '../verb/verb.ts';

export const sessionList = read({
  words: ['session', 'list'],
  options: [
    { name: 'all', value: null, help: 'ended ones too' },
    { name: 'limit', value: 'N', help: 'at most so many, newest first (1 to 500)' },
  ],
  help: 'Lists sessions: who, from where (as the edge saw it), with which client.',
  example: 'cofferctl session list --all',
  operation: 'session.list',
  params: (given) => ({ all: given.options.all !== undefined, ...only({ limit: wholeNumber(given, 'limit') }) }),
  text: ({ sessions }) =>
    table({
      columns: ['SESSION', 'ACCOUNT', 'NODE', 'FROM', 'CLIENT', 'STATE', 'STARTED', 'ENDED', 'WHY'],
      rows: sessions.map((one) => [
        one.session,
        one.account,
        one.node,
        one.source,
        one.client,
        one.state,
        when(one.startedAt),
        when(one.endedAt),
        one.endReason,
      ]),
      empty: 'no open sessions',
    }),
});
