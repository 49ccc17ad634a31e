// Owns: `cofferctl mfa ticket`.
import { createHash } from 'node:crypto';
import { when } from '../terminal/output.ts';
import { randomLetters } from '../terminal/secret.ts';
import { changingVerb } from '../verb/change.ts';
import { changingWithSecret, outOption } from '../verb/secret-change.ts';
import { only, positional, wholeNumber } from '../verb/verb.ts';

export const mfaTicket = changingVerb(
  {
    words: ['mfa', 'ticket'],
    positionals: ['ACCOUNT'],
    options: [{ name: 'hours', value: 'N', help: 'valid for so many hours, 1 to 72 (default 24)' }, outOption],
    help: 'Makes a one-time ticket with which the holder of an account enrols a second factor. It is shown once, here; only its hash is stored.',
    example: 'cofferctl mfa ticket northbank',
  },
  ['mfa.ticket'],
  async (client, given) => {
    const account = positional(given, 0);
    const ticket = (randomLetters(24).match(/.{6}/g) ?? []).join('-');
    const ticketHash = createHash('sha256').update(ticket).digest('hex');
    const params = { account, ticketHash, ...only({ hours: wholeNumber(given, 'hours') }) };
    return changingWithSecret(client, given, 'mfa.ticket', params, ticket, {
      data: { account },
      name: 'ticket',
      text: (shown, result) =>
        `ticket for ${account}:  ${shown}\n${result === null ? 'good once it is approved' : `valid until ${when(result.expiresAt)}`}, once, together with a key of the account\nGive it to its holder by another way than mail. The holder enrols with: ssh -p PORT ${account}@HOST enroll\n`,
    });
  },
);
