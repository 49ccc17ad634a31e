// Owns: the options by which the limits of a budget are changed, and what is said afterwards.
import { consequences } from '../../server/domain/budgets/words.ts';
import type { BudgetChange } from '../../server/rpc/operators/budget.ts';
import { type Given, type Option, only, wholeNumber } from '../verb/verb.ts';
import { amount, directionOf, requireScope, scopeOptions } from './scope.ts';

const windows = ['hour', 'day', 'week'] as const;

function caps(given: Given, unit: 'bytes' | 'files'): { hour?: number; day?: number; week?: number } | undefined {
  const named = windows.flatMap((window) => {
    const value = amount(given, `${unit}-${window}`);
    return value === undefined ? [] : [[window, value] as const];
  });
  return named.length === 0 ? undefined : Object.fromEntries(named);
}

/** Returns what to change, without the reason. */
export function budgetChangeOf(given: Given): Omit<BudgetChange, 'reason'> {
  const consequence = consequences.find((one) => one === given.options.consequence);
  if (given.options.consequence !== undefined && consequence === undefined)
    throw new RangeError(`--consequence takes ${consequences.join(', ')}, not "${given.options.consequence}"`);
  return {
    scope: requireScope(given),
    direction: directionOf(given),
    ...only({
      bytes: caps(given, 'bytes'),
      items: caps(given, 'files'),
      rate: amount(given, 'rate'),
      sessions: wholeNumber(given, 'sessions'),
      headroomPercent: wholeNumber(given, 'headroom'),
      ceilingPercent: wholeNumber(given, 'ceiling'),
      consequence,
    }),
  };
}

export const budgetOptions: readonly Option[] = [
  ...scopeOptions,
  { name: 'direction', value: 'D', help: 'out (default), in or list' },
  ...windows.map((window) => ({
    name: `bytes-${window}`,
    value: 'SIZE',
    help: `cap of bytes per ${window}, such as 2GiB`,
  })),
  ...windows.map((window) => ({
    name: `files-${window}`,
    value: 'N',
    help: `cap of files (names of lists) per ${window}`,
  })),
  { name: 'rate', value: 'SIZE', help: 'bytes a second over the wire' },
  { name: 'sessions', value: 'N', help: 'sessions at once' },
  { name: 'headroom', value: 'PERCENT', help: 'approve headroom that one operator may release once (0 to 100)' },
  { name: 'ceiling', value: 'PERCENT', help: 'plane and gateway: refuse at this share of the cap (100 to 1000)' },
  {
    name: 'consequence',
    value: 'WORD',
    help: 'what happens at the cap besides the refusal: nothing (refuse), the sessions end (end-sessions), or the credential is suspended (suspend)',
  },
];

/** Says what was changed, and whether anything became wider. */
export function changedText({
  changed,
  widened,
}: {
  readonly changed: number;
  readonly widened: readonly string[];
}): string {
  const wider = widened.length === 0 ? 'nothing became wider' : `wider now: ${widened.join(', ')}`;
  return `${changed} budget${changed === 1 ? '' : 's'} changed; ${wider}\n`;
}
