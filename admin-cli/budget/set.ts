// Owns: `cofferctl budget set`.
import { change } from '../verb/change.ts';
import { budgetChangeOf, budgetOptions, changedText } from './limits.ts';

export const budgetSet = change({
  words: ['budget', 'set'],
  options: budgetOptions,
  help: 'Changes caps, rate, sessions or headroom of a scope, or the consequence of reaching a cap. What becomes wider needs a second operator.',
  example: 'cofferctl budget set --customer acme --bytes-day 40GiB --reason "quarter end"',
  operation: 'budget.set',
  params: budgetChangeOf,
  told: changedText,
});
