import { withExecute } from '../changing.ts';
import type { Command } from '../command.ts';
import { nextLine } from '../next-line.ts';
import { planText, selectionOf, selectionOptions } from '../selection.ts';

export const credentialRevoke: Command = {
  words: ['credential', 'revoke'],
  positionals: [],
  options: [...selectionOptions, { name: 'reason', value: 'TEXT', help: 'why; goes on the record', required: true }],
  help: 'Revokes credentials for good and ends their sessions at once. Shows the credentials and accounts concerned first.',
  example: 'cofferctl credential revoke --customer acme --reason "laptop stolen" --execute',
  changes: true,
  run: async (client, given) => {
    const selection = selectionOf(given);
    if (given.options.execute === undefined) {
      const data = await client.call('credential.plan', { selection, what: 'revoke' });
      return { data: { ...data, executed: false }, text: planText(data, 'revoked', withExecute(given)) };
    }
    const data = await client.call('credential.revoke', { selection, reason: given.options.reason ?? '' });
    return {
      data: { ...data, executed: true },
      text: `${data.revoked} credentials revoked, ${data.sessionsEnded} sessions ended\nnext: ${nextLine(given, 'exposure --credential SHA256:…')}\n`,
    };
  },
};
