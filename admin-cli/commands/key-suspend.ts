import { changing } from '../changing.ts';
import { type Command, positional } from '../command.ts';

const reason = { name: 'reason', value: 'TEXT', help: 'why; goes on the record', required: true } as const;

export const keySuspend: Command = {
  words: ['key', 'suspend'],
  positionals: ['FINGERPRINT'],
  options: [reason],
  help: 'Suspends one key and ends its sessions. `key resume` undoes it.',
  example: 'cofferctl key suspend SHA256:… --reason "seen from an unknown network"',
  changes: true,
  run: async (client, given) => {
    return changing(
      client,
      given,
      'key.suspend',
      { fingerprint: positional(given, 0), reason: given.options.reason ?? '' },
      (data) => `key suspended; ${data.sessionsEnded} sessions ended\n`,
    );
  },
};

export const keyResume: Command = {
  words: ['key', 'resume'],
  positionals: ['FINGERPRINT'],
  options: [reason],
  help: 'Makes a suspended key usable again. Needs a second operator.',
  example: 'cofferctl key resume SHA256:… --reason "it was the quarter end"',
  changes: true,
  run: async (client, given) => {
    return changing(
      client,
      given,
      'key.resume',
      { fingerprint: positional(given, 0), reason: given.options.reason ?? '' },
      () => 'key is usable again\n',
    );
  },
};
