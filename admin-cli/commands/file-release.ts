import { changing } from '../changing.ts';
import { type Command, positional, wholeNumber } from '../command.ts';
import { when } from '../output.ts';

const reason = { name: 'reason', value: 'TEXT', help: 'why; goes on the record', required: true } as const;

export const fileRelease: Command = {
  words: ['file', 'release'],
  positionals: ['VERSION'],
  options: [{ name: 'days', value: 'N', help: 'for how long, 1 to 90 (default 7)' }, reason],
  help: 'Makes a withdrawn version visible in its folder again for some days. Budgets and rights stay as they are.',
  example: 'cofferctl file release 6f1c… --days 3 --reason "the bank lost its copy"',
  changes: true,
  run: async (client, given) => {
    return changing(
      client,
      given,
      'file.release',
      {
        version: positional(given, 0),
        days: wholeNumber(given, 'days') ?? 7,
        reason: given.options.reason ?? '',
      },
      (data) => `the version is visible in its folder again until ${when(data.until)}\n`,
    );
  },
};

export const fileWithdraw: Command = {
  words: ['file', 'withdraw'],
  positionals: ['VERSION'],
  options: [reason],
  help: 'Takes a published version out of its folder. Nothing is deleted: see `file release`.',
  example: 'cofferctl file withdraw 6f1c… --reason "sent to the wrong bank"',
  changes: true,
  run: async (client, given) => {
    return changing(
      client,
      given,
      'file.withdraw',
      { version: positional(given, 0), reason: given.options.reason ?? '' },
      () => 'withdrawn\n',
    );
  },
};
