import { createHash, randomBytes } from 'node:crypto';
import { type Command, positional, wholeNumber } from '../command.ts';
import { when } from '../output.ts';

export const mfaTicket: Command = {
  words: ['mfa', 'ticket'],
  positionals: ['ACCOUNT'],
  options: [{ name: 'hours', value: 'N', help: 'valid for so many hours, 1 to 72 (default 24)' }],
  help: 'Makes a one-time ticket with which the holder of an account enrols a second factor. It is shown once, here; only its hash is stored.',
  example: 'cofferctl mfa ticket northbank',
  run: async (client, given) => {
    const account = positional(given, 0);
    const hours = wholeNumber(given, 'hours');
    const ticket = (randomBytes(12).toString('hex').match(/.{6}/g) ?? []).join('-');
    const { expiresAt } = await client.call('mfa.ticket', {
      account,
      ticketHash: createHash('sha256').update(ticket).digest('hex'),
      ...(hours === undefined ? {} : { hours }),
    });
    return {
      data: { account, ticket, expiresAt },
      text: `ticket for ${account}:  ${ticket}\nvalid until ${when(expiresAt)}, once, together with a key of the account\nGive it to its holder by another way than mail. At the next login with key the gateway asks for it.\n`,
    };
  },
};
