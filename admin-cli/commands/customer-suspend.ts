import { changing } from '../changing.ts';
import { type Command, positional } from '../command.ts';
import { nextLine } from '../next-line.ts';

const reason = { name: 'reason', value: 'TEXT', help: 'why; goes on the record', required: true } as const;

export const customerSuspend: Command = {
  words: ['customer', 'suspend'],
  positionals: ['NAME'],
  options: [reason],
  help: 'Ends all sessions of a customer and refuses new ones. Nothing is deleted.',
  example: 'cofferctl customer suspend acme --reason "stolen laptop"',
  changes: true,
  run: async (client, given) => {
    const name = positional(given, 0);
    return changing(
      client,
      given,
      'customer.suspend',
      { name, reason: given.options.reason ?? '' },
      (data) =>
        `customer ${name} suspended; ${data.sessionsEnded} sessions ended\nundo: ${nextLine(given, `customer resume ${name} --reason TEXT`)}\n`,
    );
  },
};

export const customerResume: Command = {
  words: ['customer', 'resume'],
  positionals: ['NAME'],
  options: [reason],
  help: 'Lets a suspended customer work again.',
  example: 'cofferctl customer resume acme --reason "laptop found, keys replaced"',
  changes: true,
  run: async (client, given) => {
    const name = positional(given, 0);
    return changing(
      client,
      given,
      'customer.resume',
      { name, reason: given.options.reason ?? '' },
      () => `customer ${name} is active again\n`,
    );
  },
};
