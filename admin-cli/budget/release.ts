// Owns: `cofferctl budget release`.
import { when } from '../terminal/output.ts';
import { change } from '../verb/change.ts';
import { wholeNumber } from '../verb/verb.ts';
import { requireScope, scopeOptions } from './scope.ts';

export const budgetRelease = change({
  words: ['budget', 'release'],
  options: [...scopeOptions, { name: 'hours', value: 'N', help: 'for how long, 1 to 24 (default 24)' }],
  reason: 'why; goes on the record and into an alert',
  help: 'Releases headroom that was approved beforehand, once, with an alert to everybody.',
  example: 'cofferctl budget release --customer acme --hours 4 --reason "statement run of 10 p.m. refused"',
  operation: 'budget.release',
  params: (given) => ({ scope: requireScope(given), hours: wholeNumber(given, 'hours') ?? 24 }),
  told: ({ percent, until }) => `headroom of ${percent} % is released until ${when(until)}; an alert says so\n`,
});
