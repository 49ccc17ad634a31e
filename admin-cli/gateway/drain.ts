// Owns: `cofferctl drain`.
import { CofferdamError } from '../../server/domain/errors.ts';
import { nextLine } from '../terminal/next-line.ts';
import { table, when } from '../terminal/output.ts';
import { executeOption, reasonOption, withExecute } from '../verb/change.ts';
import { positional, type Verb, wholeNumber } from '../verb/verb.ts';

const minutesDefault = 30;

export const drain: Verb = {
  words: ['drain'],
  positionals: ['NODE'],
  options: [
    reasonOption(),
    {
      name: 'within',
      value: 'MINUTES',
      help: `how many minutes transfers that are under way get (default ${minutesDefault}, 0 to 1440)`,
    },
    executeOption('drain the edge; without --execute only the plan is shown'),
  ],
  help: 'Restarts one edge in order: no new sessions, transfers finish, idle sessions end; then it starts anew.',
  example: 'cofferctl drain partner-1 --within 10 --reason "kernel update" --execute',
  operations: ['node.drain', 'node.drain-plan'],
  run: async (client, given) => {
    const node = positional(given, 0);
    const minutes = wholeNumber(given, 'within') ?? minutesDefault;
    const reason = given.options.reason ?? '';
    if (given.options.execute !== undefined) {
      const data = await client.call('node.drain', { node, reason, withinMinutes: minutes });
      const text = `${node} takes no new sessions and drains until ${when(data.until)} at the latest; ${data.sessions} sessions are open\nnext: ${nextLine(given, 'status')}\n`;
      return { data: { ...data, executed: true }, text };
    }
    const data = await client.call('node.drain-plan', { node });
    if (!data.alive) throw new CofferdamError('conflict', `${node} is not connected: there is nothing to drain`);
    const transferring = data.sessions.filter((one) => one.uploads + one.downloads > 0);
    const rows = data.sessions.map((one) => [one.account, one.source, when(one.startedAt), one.uploads, one.downloads]);
    const longest =
      transferring.length === 0
        ? 'no transfers are under way: draining takes a few seconds'
        : `${transferring.length} of them transfer: draining takes as long as they do, at most ${minutes} minutes; what is cut then can be resumed`;
    const text = [
      `${node} (${data.plane}): ${data.sessions.length}${data.more ? ' or more' : ''} open sessions\n`,
      `${longest}\n`,
      data.drainingUntil === null
        ? ''
        : `it is already draining, until ${when(data.drainingUntil)}; a new order replaces that time\n`,
      rows.length === 0
        ? ''
        : `\n${table({ columns: ['ACCOUNT', 'FROM', 'SINCE', 'UPLOADS', 'DOWNLOADS'], rows, empty: '' })}`,
      `\nNothing was done. To do it: ${withExecute(given)}\n`,
    ].join('');
    return { data: { ...data, executed: false }, text };
  },
};
