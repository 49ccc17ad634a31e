import { changing } from '../changing.ts';
import { type Command, positional, wholeNumber } from '../command.ts';
import { table, when } from '../output.ts';

export const sessionList: Command = {
  words: ['session', 'list'],
  positionals: [],
  options: [
    { name: 'all', value: null, help: 'ended ones too' },
    { name: 'limit', value: 'N', help: 'at most so many, newest first (1 to 500)' },
  ],
  help: 'Lists sessions: who, from where (as the edge saw it), with which client.',
  example: 'cofferctl session list --all',
  run: async (client, given) => {
    const limit = wholeNumber(given, 'limit');
    const data = await client.call('session.list', { all: given.options.all !== undefined, ...(limit === undefined ? {} : { limit }) });
    const rows = data.sessions.map((one) => [
      one.session,
      one.account,
      one.node,
      one.source,
      one.client,
      one.state,
      when(one.startedAt),
      when(one.endedAt),
      one.endReason,
    ]);
    return {
      data,
      text: table({
        columns: ['SESSION', 'ACCOUNT', 'NODE', 'FROM', 'CLIENT', 'STATE', 'STARTED', 'ENDED', 'WHY'],
        rows,
        empty: 'no open sessions',
      }),
    };
  },
};

export const sessionEnd: Command = {
  words: ['session', 'end'],
  positionals: ['SESSION'],
  options: [{ name: 'reason', value: 'TEXT', help: 'why; goes on the record', required: true }],
  help: 'Ends one session now. Its half-done uploads stay resumable.',
  example: 'cofferctl session end 6f1c… --reason "asked by the bank"',
  changes: true,
  run: async (client, given) => {
    return changing(
      client,
      given,
      'session.end',
      { session: positional(given, 0), reason: given.options.reason ?? '' },
      () => 'session ended\n',
    );
  },
};
