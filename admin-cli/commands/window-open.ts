import { type Command, positional, wholeNumber } from '../command.ts';
import { when } from '../output.ts';

export const windowOpen: Command = {
  words: ['window', 'open'],
  positionals: ['ACCOUNT'],
  options: [
    { name: 'hours', value: 'N', help: '1 to 24', required: true },
    { name: 'reason', value: 'TEXT', help: 'why; goes on the record', required: true },
  ],
  help: 'Opens an activation window: the machine account may log in with its key alone until it closes.',
  example: 'cofferctl window open acme-batch --hours 8 --reason "nightly payment run"',
  run: async (client, given) => {
    const account = positional(given, 0);
    const data = await client.call('window.open', { account, hours: wholeNumber(given, 'hours') ?? 0, reason: given.options.reason ?? '' });
    return { data, text: `window of ${account} is open until ${when(data.closesAt)}\nclose it with: cofferctl window close ${account}\n` };
  },
};

export const windowClose: Command = {
  words: ['window', 'close'],
  positionals: ['ACCOUNT'],
  options: [],
  help: 'Closes the open windows of a machine account at once. Running sessions go on: see `session end`.',
  example: 'cofferctl window close acme-batch',
  run: async (client, given) => {
    const account = positional(given, 0);
    const data = await client.call('window.close', { account });
    return { data, text: `${data.closed} open windows of ${account} closed\n` };
  },
};
