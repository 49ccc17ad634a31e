// Owns: `cofferctl folder create`.
import { nextLine } from '../terminal/next-line.ts';
import { change } from '../verb/change.ts';
import { positional } from '../verb/verb.ts';
import { ruleOptions, rulesOf, rulesText } from './rules.ts';

const directions = ['deposit', 'collect'] as const;

export const folderCreate = change({
  words: ['folder', 'create'],
  positionals: ['CUSTOMER', 'NAME'],
  options: [
    {
      name: 'direction',
      value: 'deposit|collect',
      help: 'whether the customer puts files into it, or collects files from it',
      required: true,
    },
    ...ruleOptions,
  ],
  help: "Makes a folder of a customer. The customer's accounts may use it at their next login; internal accounts are given rights with `account set --give`.",
  example:
    'cofferctl folder create northbank pain001 --direction deposit --publish on-marker --reason "payment files with a marker"',
  operation: 'folder.create',
  params: (given) => {
    const direction = directions.find((one) => one === given.options.direction);
    if (direction === undefined) throw new RangeError('--direction is deposit or collect');
    return { customer: positional(given, 0), name: positional(given, 1), direction, ...rulesOf(given) };
  },
  told: ({ accounts, ...rules }, { customer, name }, given) =>
    [
      `folder ${name} of ${customer} made: ${rulesText(rules)}`,
      accounts.length === 0
        ? 'no account of the customer exists yet'
        : `usable from their next login by ${accounts.join(', ')}`,
      `for our own side: ${nextLine(given, `account set NAME --give ${customer}/${name} --reason TEXT`)}`,
      '',
    ].join('\n'),
});
