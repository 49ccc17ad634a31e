import { changing } from '../changing.ts';
import { type Command, positional } from '../command.ts';
import { nextLine } from '../next-line.ts';
import { table, when } from '../output.ts';

const reason = { name: 'reason', value: 'TEXT', help: 'why; goes on the record', required: true } as const;

export const holdPlace: Command = {
  words: ['hold', 'place'],
  positionals: ['CUSTOMER'],
  options: [
    { name: 'folder', value: 'NAME', help: 'only what is in this folder' },
    { name: 'version', value: 'ID', help: 'only this version' },
    reason,
  ],
  help: 'Places a legal hold: no key of this content is destroyed until it is lifted.',
  example: 'cofferctl hold place acme --reason "investigation of 24 November"',
  changes: true,
  run: async (client, given) => {
    const { folder, version } = given.options;
    return changing(
      client,
      given,
      'hold.place',
      {
        customer: positional(given, 0),
        reason: given.options.reason ?? '',
        ...(folder === undefined ? {} : { folder }),
        ...(version === undefined ? {} : { version }),
      },
      (data) => `hold placed; lift it with: ${nextLine(given, `hold lift ${data.hold} --reason TEXT`)}\n`,
    );
  },
};

export const holdLift: Command = {
  words: ['hold', 'lift'],
  positionals: ['HOLD'],
  options: [reason],
  help: 'Lifts a legal hold: what is past its retention is destroyed within seconds. Needs a second operator.',
  example: 'cofferctl hold lift 6f1c… --reason "investigation closed"',
  changes: true,
  run: async (client, given) => {
    return changing(client, given, 'hold.lift', { hold: positional(given, 0), reason: given.options.reason ?? '' }, () => 'hold lifted\n');
  },
};

export const holdList: Command = {
  words: ['hold', 'list'],
  positionals: [],
  options: [],
  help: 'Lists legal holds that are in force.',
  example: 'cofferctl hold list',
  run: async (client) => {
    const data = await client.call('hold.list', {});
    const rows = data.holds.map((one) => [one.hold, one.customer, one.folder, one.version, one.placedBy, when(one.placedAt), one.reason]);
    return {
      data,
      text: table({ columns: ['HOLD', 'CUSTOMER', 'FOLDER', 'VERSION', 'PLACED BY', 'SINCE', 'REASON'], rows, empty: 'no legal holds' }),
    };
  },
};
