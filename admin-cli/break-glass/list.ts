// Owns: `cofferctl break-glass list`.
import { table, when } from '../terminal/output.ts';
import { read } from '../verb/read.ts';

export const breakGlassList = read({
  words: ['break-glass', 'list'],
  help: 'Lists prepared emergencies, and what became of them. Exit code 1 while one that was opened is not reviewed.',
  example: 'cofferctl break-glass list',
  operation: 'break-glass.list',
  text: ({ breakGlasses }) =>
    table({
      columns: [
        'BREAK-GLASS',
        'OPERATOR',
        'STATE',
        'OPERATIONS',
        'READY UNTIL',
        'OPENED',
        'CLOSES',
        'CHANGES',
        'REASON OR FINDING',
      ],
      rows: breakGlasses.map((one) => [
        one.breakGlass,
        one.operator,
        one.state,
        one.operations.join(','),
        when(one.validUntil),
        when(one.openedAt),
        when(one.closesAt),
        one.changes,
        one.finding ?? one.reason,
      ]),
      empty: 'no emergency was prepared',
    }),
  isFault: ({ breakGlasses }) => breakGlasses.some((one) => one.state === 'used' || one.state === 'open'),
});
