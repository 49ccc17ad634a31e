// Owns: `cofferctl credential revoke`.
import { nextLine } from '../terminal/next-line.ts';
import { changingVerb, reasonOption, withExecute } from '../verb/change.ts';
import { required } from '../verb/verb.ts';
import { planText, selectionOf, selectionOptions } from './selection.ts';

export const credentialRevoke = changingVerb(
  {
    words: ['credential', 'revoke'],
    options: [...selectionOptions, reasonOption()],
    help: 'Revokes credentials for good and ends their sessions at once. Shows the credentials and accounts concerned first.',
    example: 'cofferctl credential revoke --customer acme --reason "laptop stolen" --execute',
  },
  ['credential.revoke', 'credential.plan'],
  async (client, given) => {
    const selection = selectionOf(given);
    if (given.options.execute === undefined) {
      const data = await client.call('credential.plan', { selection, what: 'revoke' });
      return { data: { ...data, executed: false }, text: planText(data, 'revoked', withExecute(given)) };
    }
    const data = await client.call('credential.revoke', { selection, reason: required(given, 'reason') });
    return {
      data: { ...data, executed: true },
      text: `${data.revoked} credentials revoked, ${data.sessionsEnded} sessions ended\nnext: ${nextLine(given, 'exposure --credential SHA256:…')}\n`,
    };
  },
);
