import { createHash } from 'node:crypto';
import { type Command, positional, wholeNumber } from '../command.ts';
import { when } from '../output.ts';
import { deliver, outOption, randomLetters } from '../secret.ts';

export const mfaTicket: Command = {
  words: ['mfa', 'ticket'],
  positionals: ['ACCOUNT'],
  options: [{ name: 'hours', value: 'N', help: 'valid for so many hours, 1 to 72 (default 24)' }, outOption],
  help: 'Makes a one-time ticket with which the holder of an account enrols a second factor. It is shown once, here; only its hash is stored.',
  example: 'cofferctl mfa ticket northbank',
  run: async (client, given) => {
    const account = positional(given, 0);
    const hours = wholeNumber(given, 'hours');
    const ticket = (randomLetters(24).match(/.{6}/g) ?? []).join('-');
    const ticketHash = createHash('sha256').update(ticket).digest('hex');
    const { result, delivered } = await deliver(given, ticket, () =>
      client.call('mfa.ticket', { account, ticketHash, ...(hours === undefined ? {} : { hours }) }),
    );
    return {
      data: { account, expiresAt: result.expiresAt, file: delivered.file, ...(delivered.file === null ? { ticket } : {}) },
      text: `ticket for ${account}:  ${delivered.text}\nvalid until ${when(result.expiresAt)}, once, together with a key of the account\nGive it to its holder by another way than mail. The holder enrols with: ssh -p PORT ${account}@HOST enroll\n`,
    };
  },
};

export const mfaReset: Command = {
  words: ['mfa', 'reset'],
  positionals: ['ACCOUNT'],
  options: [{ name: 'reason', value: 'TEXT', help: 'why; goes on the record', required: true }],
  help: 'Takes the second factor of an account away, with its open tickets and sessions. `mfa ticket` lets the holder enrol a new one.',
  example: 'cofferctl mfa reset northbank --reason "telephone lost"',
  run: async (client, given) => {
    const account = positional(given, 0);
    const data = await client.call('mfa.reset', { account, reason: given.options.reason ?? '' });
    return {
      data,
      text: `second factor of ${account} is gone; ${data.sessionsEnded} sessions ended\nnext: cofferctl mfa ticket ${account}\n`,
    };
  },
};
