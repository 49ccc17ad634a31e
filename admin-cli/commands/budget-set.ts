import { consequences } from '../../server/domain/budgets.ts';
import type { BudgetChange } from '../../server/rpc/operator-budgets.ts';
import { changing } from '../changing.ts';
import { type Command, type Given, wholeNumber } from '../command.ts';
import { when } from '../output.ts';
import { amount, directionOf, requireScope, scopeOptions } from '../scope.ts';

const windows = ['hour', 'day', 'week'] as const;

function caps(given: Given, unit: 'bytes' | 'files'): { hour?: number; day?: number; week?: number } | undefined {
  const named = windows.flatMap((window) => {
    const value = amount(given, `${unit}-${window}`);
    return value === undefined ? [] : [[window, value] as const];
  });
  return named.length === 0 ? undefined : Object.fromEntries(named);
}

function changeOf(given: Given): BudgetChange {
  const consequence = consequences.find((one) => one === given.options.consequence);
  if (given.options.consequence !== undefined && consequence === undefined)
    throw new RangeError(`--consequence takes ${consequences.join(', ')}, not "${given.options.consequence}"`);
  const [bytes, items] = [caps(given, 'bytes'), caps(given, 'files')];
  const [rate, sessions, headroom, ceiling] = [
    amount(given, 'rate'),
    wholeNumber(given, 'sessions'),
    wholeNumber(given, 'headroom'),
    wholeNumber(given, 'ceiling'),
  ];
  return {
    scope: requireScope(given),
    direction: directionOf(given),
    reason: given.options.reason ?? '',
    ...(bytes === undefined ? {} : { bytes }),
    ...(items === undefined ? {} : { items }),
    ...(rate === undefined ? {} : { rate }),
    ...(sessions === undefined ? {} : { sessions }),
    ...(headroom === undefined ? {} : { headroomPercent: headroom }),
    ...(ceiling === undefined ? {} : { ceilingPercent: ceiling }),
    ...(consequence === undefined ? {} : { consequence }),
  };
}

const options = [
  ...scopeOptions,
  { name: 'direction', value: 'D', help: 'out (default), in or list' },
  ...windows.map((window) => ({ name: `bytes-${window}`, value: 'SIZE', help: `cap of bytes per ${window}, such as 2GiB` })),
  ...windows.map((window) => ({ name: `files-${window}`, value: 'N', help: `cap of files (names of lists) per ${window}` })),
  { name: 'rate', value: 'SIZE', help: 'bytes a second over the wire' },
  { name: 'sessions', value: 'N', help: 'sessions at once' },
  { name: 'headroom', value: 'PERCENT', help: 'approve headroom that one operator may release once (0 to 100)' },
  { name: 'ceiling', value: 'PERCENT', help: 'plane and gateway: refuse at this share of the cap (100 to 1000)' },
  {
    name: 'consequence',
    value: 'WORD',
    help: 'what happens at the cap besides the refusal: nothing (refuse), the sessions end (end-sessions), or the credential is suspended (suspend)',
  },
  { name: 'reason', value: 'TEXT', help: 'why; goes on the record', required: true },
] as const;

function setting(words: readonly string[], operation: 'budget.set' | 'budget.tighten', help: string, example: string): Command {
  return {
    words,
    positionals: [],
    options,
    help,
    example,
    changes: true,
    run: async (client, given) => {
      return changing(client, given, operation, changeOf(given), (data) => {
        const wider = data.widened.length === 0 ? 'nothing became wider' : `wider now: ${data.widened.join(', ')}`;
        return `${data.changed} budget${data.changed === 1 ? '' : 's'} changed; ${wider}\n`;
      });
    },
  };
}

export const budgetSet = setting(
  ['budget', 'set'],
  'budget.set',
  'Changes caps, rate, sessions, headroom or consequence of a scope. What becomes wider needs a second operator.',
  'cofferctl budget set --customer acme --bytes-day 40GiB --reason "quarter end"',
);
export const budgetTighten = setting(
  ['budget', 'tighten'],
  'budget.tighten',
  'Changes the same values as `budget set`. Any operator may do it alone; it is refused when a value would become wider.',
  'cofferctl budget tighten --account acme-batch --bytes-hour 100MiB --reason "odd downloads at night"',
);

export const budgetRelease: Command = {
  words: ['budget', 'release'],
  positionals: [],
  options: [
    ...scopeOptions,
    { name: 'hours', value: 'N', help: 'for how long, 1 to 24 (default 24)' },
    { name: 'reason', value: 'TEXT', help: 'why; goes on the record and into an alert', required: true },
  ],
  help: 'Releases headroom that was approved beforehand, once, with an alert to everybody.',
  example: 'cofferctl budget release --customer acme --hours 4 --reason "statement run of 10 p.m. refused"',
  changes: true,
  run: async (client, given) => {
    const scope = requireScope(given);
    return changing(
      client,
      given,
      'budget.release',
      {
        scope,
        hours: wholeNumber(given, 'hours') ?? 24,
        reason: given.options.reason ?? '',
      },
      (data) => `headroom of ${data.percent} % is released until ${when(data.until)}; an alert says so\n`,
    );
  },
};
