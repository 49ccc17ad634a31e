// Owns: `cofferctl budget history`.
import { amountText } from '../../server/domain/budgets/amounts.ts';
import { type BudgetWindow, budgetWindows } from '../../server/domain/budgets/words.ts';
import { course } from '../terminal/chart.ts';
import { plain } from '../terminal/output.ts';
import { read } from '../verb/read.ts';
import type { Given } from '../verb/verb.ts';
import { directionOf, requireScope, scopeOptions } from './scope.ts';

const height = 8;
const columnsMax = 96;

/**
 * Returns at most `columnsMax` values. In a wide window, each column stands for several buckets and shows the last of
 * them.
 */
function columns(values: readonly number[]): readonly number[] {
  const per = Math.ceil(values.length / columnsMax);
  return Array.from(
    { length: Math.ceil(values.length / per) },
    (_, i) => values[Math.min(values.length, (i + 1) * per) - 1] ?? 0,
  );
}

function windowOf(given: Given): BudgetWindow {
  const window = budgetWindows.find((one) => one === (given.options.window ?? 'day'));
  if (window === undefined) throw new RangeError(`--window takes hour, day or week, not "${given.options.window}"`);
  return window;
}

function unitOf(given: Given): 'bytes' | 'items' {
  const unit = given.options.unit ?? (directionOf(given) === 'list' ? 'items' : 'bytes');
  if (unit !== 'bytes' && unit !== 'items') throw new RangeError(`--unit takes bytes or items, not "${unit}"`);
  return unit;
}

export const budgetHistory = read({
  words: ['budget', 'history'],
  options: [
    ...scopeOptions,
    { name: 'window', value: 'W', help: 'hour, day (default) or week' },
    { name: 'direction', value: 'D', help: 'out (default), in or list' },
    { name: 'unit', value: 'U', help: 'bytes (default) or items (files; names of lists)' },
  ],
  help: 'Draws how a window filled up against its cap.',
  example: 'cofferctl budget history --customer acme --window week',
  operation: 'budget.history',
  params: (given) => ({
    direction: directionOf(given),
    window: windowOf(given),
    unit: unitOf(given),
    scope: requireScope(given),
  }),
  text: (data, given) => {
    const [direction, window, unit] = [directionOf(given), windowOf(given), unitOf(given)];
    const text = (value: number): string => amountText(direction, unit, value);
    const time = (iso = ''): string =>
      window === 'week' ? `${iso.slice(5, 10)} ${iso.slice(11, 16)}` : iso.slice(11, 16);
    const drawn = course({
      values: columns(data.buckets.map((one) => one.since)),
      cap: data.cap,
      height,
      label: text,
      from: time(data.buckets[0]?.from),
      until: `${time(data.buckets.at(-1)?.from)} UTC`,
    });
    return `${plain(data.label)}: ${text(data.used)} ${direction} of ${text(data.cap)} in the last ${window}\n\n${drawn}`;
  },
});
