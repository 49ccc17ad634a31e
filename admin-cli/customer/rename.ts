// Owns: `cofferctl customer rename`.
import { change } from '../verb/change.ts';
import { positional, required } from '../verb/verb.ts';

export const customerRename = change({
  words: ['customer', 'rename'],
  positionals: ['NAME'],
  options: [
    { name: 'to', value: 'NEW', help: 'the new name, which no other customer has or ever had', required: true },
  ],
  help: 'Gives a customer another name. Its sessions and those of our own accounts that reach it end; for our own accounts, its folders are at /NEW afterwards. What was written before keeps the old name.',
  example: 'cofferctl customer rename northbank --to northern-bank --reason "merger, contract 2026-131"',
  operation: 'customer.rename',
  params: (given) => ({ name: positional(given, 0), to: required(given, 'to') }),
  told: ({ sessionsEnded, internalAccounts }, { name, to }) =>
    [
      `customer ${name} is ${to} now; ${sessionsEnded} sessions ended`,
      internalAccounts.length === 0
        ? 'none of our own accounts reaches its folders'
        : `at /${to} and no longer at /${name}, its folders are found by our own accounts: ${internalAccounts.join(', ')}`,
      `entries of the record, alerts and letters of before keep the name ${name}, which no other customer is given`,
      '',
    ].join('\n'),
});
