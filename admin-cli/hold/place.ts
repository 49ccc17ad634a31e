// Owns: `cofferctl hold place`.
import { nextLine } from '../terminal/next-line.ts';
import { change } from '../verb/change.ts';
import { only, positional } from '../verb/verb.ts';

export const holdPlace = change({
  words: ['hold', 'place'],
  positionals: ['CUSTOMER'],
  options: [
    { name: 'folder', value: 'NAME', help: 'only what is in this folder' },
    { name: 'version', value: 'ID', help: 'only this version' },
  ],
  help: 'Places a legal hold: no key of this content is destroyed until it is lifted.',
  example: 'cofferctl hold place acme --reason "investigation of 24 November"',
  operation: 'hold.place',
  params: (given) => ({
    customer: positional(given, 0),
    ...only({ folder: given.options.folder, version: given.options.version }),
  }),
  told: ({ hold }, _params, given) =>
    `hold placed; lift it with: ${nextLine(given, `hold lift ${hold} --reason TEXT`)}\n`,
});
