// Owns: `cofferctl hold list`.
import { table, when } from '../terminal/output.ts';
import { read } from '../verb/read.ts';

export const holdList = read({
  words: ['hold', 'list'],
  help: 'Lists legal holds that are in force.',
  example: 'cofferctl hold list',
  operation: 'hold.list',
  text: ({ holds }) =>
    table({
      columns: ['HOLD', 'CUSTOMER', 'FOLDER', 'VERSION', 'PLACED BY', 'SINCE', 'REASON'],
      rows: holds.map((one) => [
        one.hold,
        one.customer,
        one.folder,
        one.version,
        one.placedBy,
        when(one.placedAt),
        one.reason,
      ]),
      empty: 'no legal holds',
    }),
});
