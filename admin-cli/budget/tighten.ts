// Owns: `cofferctl budget tighten`.
import { change } from '../verb/change.ts';
import { budgetChangeOf, budgetOptions, changedText } from './limits.ts';

export const budgetTighten = change({
  words: ['budget', 'tighten'],
  options: budgetOptions,
  help: 'Changes the same values as `budget set`. The role operator or security-officer suffices, alone; it is refused when a value would become wider.',
  example: 'cofferctl budget tighten --account acme-batch --bytes-hour 100MiB --reason "odd downloads at night"',
  operation: 'budget.tighten',
  params: budgetChangeOf,
  told: changedText,
});
