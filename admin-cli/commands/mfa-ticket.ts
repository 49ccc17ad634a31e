import { createHash } from 'node:crypto';
import { changing } from '../changing.ts';
import { type Command, positional, wholeNumber } from '../command.ts';
import { nextLine } from '../next-line.ts';
import { when } from '../output.ts';
import { changingWithSecret, outOption, randomLetters } from '../secret.ts';

export const mfaTicket: Command = {
  words: ['mfa', 'ticket'],
  positionals: ['ACCOUNT'],
  options: [{ name: 'hours', value: 'N', help: 'valid for so many hours, 1 to 72 (default 24)' }, outOption],
  help: 'Makes a one-time ticket with which the holder of an account enrols a second factor. It is shown once, here; only its hash is stored.',
  example: 'cofferctl mfa ticket northbank',
  changes: true,
  run: async (client, given) => {
    const account = positional(given, 0);
    const hours = wholeNumber(given, 'hours');
    const ticket = (randomLetters(24).match(/.{6}/g) ?? []).join('-');
    const ticketHash = createHash('sha256').update(ticket).digest('hex');
    return changingWithSecret(client, given, 'mfa.ticket', { account, ticketHash, ...(hours === undefined ? {} : { hours }) }, ticket, {
      data: { account },
      name: 'ticket',
      text: (shown, result) =>
        `ticket for ${account}:  ${shown}\n${result === null ? 'good once it is approved' : `valid until ${when(result.expiresAt)}`}, once, together with a key of the account\nGive it to its holder by another way than mail. The holder enrols with: ssh -p PORT ${account}@HOST enroll\n`,
    });
  },
};

export const mfaReset: Command = {
  words: ['mfa', 'reset'],
  positionals: ['ACCOUNT'],
  options: [{ name: 'reason', value: 'TEXT', help: 'why; goes on the record', required: true }],
  help: 'Takes the second factor of an account away, with its open tickets and sessions. `mfa ticket` lets the holder enrol a new one.',
  example: 'cofferctl mfa reset northbank --reason "telephone lost"',
  changes: true,
  run: async (client, given) => {
    const account = positional(given, 0);
    return changing(
      client,
      given,
      'mfa.reset',
      { account, reason: given.options.reason ?? '' },
      (data) =>
        `second factor of ${account} was removed; ${data.sessionsEnded} sessions ended\nnext: ${nextLine(given, `mfa ticket ${account}`)}\n`,
    );
  },
};
