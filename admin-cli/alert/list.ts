// Owns: `cofferctl alert list`.
import { colour, plain, when } from '../terminal/output.ts';
import { read } from '../verb/read.ts';
import { only, wholeNumber } from '../verb/verb.ts';

const colours = { notice: 'green', warning: 'yellow', critical: 'red' } as const;

export const alertList = read({
  words: ['alert', 'list'],
  options: [{ name: 'limit', value: 'N', help: 'at most so many, newest first (1 to 500)' }],
  help: 'Lists alerts: what happened, how often, and the command to type next.',
  example: 'cofferctl alert list --limit 20',
  operation: 'alert.list',
  params: (given) => only({ limit: wholeNumber(given, 'limit') }),
  text: ({ alerts }, given) => {
    const lines = alerts.map((one) => {
      const severity = colour(
        colours[one.severity as keyof typeof colours] ?? 'yellow',
        one.severity.padEnd(8),
        given.isTerminal,
      );
      return `${when(one.lastAt)} ${severity} ${plain(one.text)}${one.count > 1 ? ` (${one.count} times since ${when(one.firstAt)})` : ''}\n         next: ${plain(one.nextCommand)}`;
    });
    return lines.length === 0 ? 'no alerts\n' : `${lines.join('\n')}\n`;
  },
});
