// Owns: `cofferctl window close`.
import { change } from '../verb/change.ts';
import { only, positional } from '../verb/verb.ts';

export const windowClose = change({
  words: ['window', 'close'],
  positionals: ['ACCOUNT'],
  options: [{ name: 'name', value: 'NAME', help: 'only this standing window' }],
  help: 'Closes the windows of a machine account at once, and ends the sessions that they opened.',
  example: 'cofferctl window close acme-batch',
  operation: 'window.close',
  params: (given) => ({ account: positional(given, 0), ...only({ name: given.options.name }) }),
  told: ({ closed, sessionsEnded }, { account }) =>
    `${closed} open windows of ${account} closed; ${sessionsEnded} sessions ended\n`,
});
