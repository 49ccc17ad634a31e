// Owns: `cofferctl break-glass review`.
import { change } from '../verb/change.ts';
import { positional, required } from '../verb/verb.ts';

export const breakGlassReview = change({
  words: ['break-glass', 'review'],
  positionals: ['BREAK-GLASS'],
  options: [{ name: 'finding', value: 'TEXT', help: 'what the review found; goes on the record', required: true }],
  help: 'Closes the review of an emergency that was used. Two operators sign it, so one of them is not the one who acted.',
  example:
    'cofferctl break-glass review 6f1c… --finding "two windows opened for the salary run, as agreed by telephone"',
  operation: 'break-glass.review',
  params: (given) => ({ breakGlass: positional(given, 0), finding: required(given, 'finding') }),
  told: () => 'reviewed\n',
});
