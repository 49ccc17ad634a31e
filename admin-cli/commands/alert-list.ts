import { type Command, wholeNumber } from '../command.ts';
import { colour, plain, when } from '../output.ts';

const colours = { notice: 'green', warning: 'yellow', critical: 'red' } as const;

export const alertList: Command = {
  words: ['alert', 'list'],
  positionals: [],
  options: [{ name: 'limit', value: 'N', help: 'at most so many, newest first (1 to 500)' }],
  help: 'Lists alerts: what happened, how often, and the command to type next.',
  example: 'cofferctl alert list --limit 20',
  run: async (client, given) => {
    const limit = wholeNumber(given, 'limit');
    const data = await client.call('alert.list', limit === undefined ? {} : { limit });
    const lines = data.alerts.map((one) => {
      const severity = colour(colours[one.severity as keyof typeof colours] ?? 'yellow', one.severity.padEnd(8), given.isTerminal);
      return `${when(one.lastAt)} ${severity} ${plain(one.text)}${one.count > 1 ? ` (${one.count} times since ${when(one.firstAt)})` : ''}\n         next: ${plain(one.nextCommand)}`;
    });
    return { data, text: lines.length === 0 ? 'no alerts\n' : `${lines.join('\n')}\n` };
  },
};
