// Owns: `cofferctl break-glass prepare`.
import { when } from '../terminal/output.ts';
import { change } from '../verb/change.ts';
import { positional, required, wholeNumber } from '../verb/verb.ts';

export const breakGlassPrepare = change({
  words: ['break-glass', 'prepare'],
  positionals: ['OPERATOR'],
  options: [
    {
      name: 'operations',
      value: 'OP,…',
      help: 'what may be done alone, such as window.open,account.unlock',
      required: true,
    },
    { name: 'hours', value: 'N', help: 'how many hours it is open from its first use (default 4, at most 24)' },
    { name: 'days', value: 'N', help: 'how many days it is ready for use (default 30, at most 90)' },
  ],
  help: 'Prepares an emergency: one operator may do these operations alone, once, for some hours. Its use is an alert until it is reviewed.',
  example:
    'cofferctl break-glass prepare dora --operations window.open,account.unlock --hours 4 --days 30 --reason "on call in December"',
  operation: 'break-glass.prepare',
  params: (given) => ({
    operator: positional(given, 0),
    operations: required(given, 'operations').split(','),
    hours: wholeNumber(given, 'hours') ?? 4,
    validDays: wholeNumber(given, 'days') ?? 30,
  }),
  told: ({ validUntil, breakGlass }, { operator }) =>
    `prepared until ${when(validUntil)}; ${operator} uses it with: --break-glass ${breakGlass} --execute\n`,
});
