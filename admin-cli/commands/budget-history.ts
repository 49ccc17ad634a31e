import { amountText, budgetWindows } from '../../server/domain/budgets.ts';
import { course } from '../chart.ts';
import type { Command } from '../command.ts';
import { plain } from '../output.ts';
import { directionOf, requireScope, scopeOptions } from '../scope.ts';

const height = 8;
const columnsMax = 96;

/** Returns at most `columnsMax` values. In a wide window, each column stands for several buckets and shows the last of them. */
function columns(values: readonly number[]): readonly number[] {
  const per = Math.ceil(values.length / columnsMax);
  return Array.from({ length: Math.ceil(values.length / per) }, (_, i) => values[Math.min(values.length, (i + 1) * per) - 1] ?? 0);
}

export const budgetHistory: Command = {
  words: ['budget', 'history'],
  positionals: [],
  options: [
    ...scopeOptions,
    { name: 'window', value: 'W', help: 'hour, day (default) or week' },
    { name: 'direction', value: 'D', help: 'out (default), in or list' },
    { name: 'unit', value: 'U', help: 'bytes (default) or items (files; names of lists)' },
  ],
  help: 'Draws how a window filled up against its cap.',
  example: 'cofferctl budget history --customer acme --window week',
  run: async (client, given) => {
    const direction = directionOf(given);
    const window = budgetWindows.find((one) => one === (given.options.window ?? 'day'));
    if (window === undefined) throw new RangeError(`--window takes hour, day or week, not "${given.options.window}"`);
    const unit = given.options.unit ?? (direction === 'list' ? 'items' : 'bytes');
    if (unit !== 'bytes' && unit !== 'items') throw new RangeError(`--unit takes bytes or items, not "${unit}"`);
    const data = await client.call('budget.history', { scope: requireScope(given), direction, unit, window });
    const text = (value: number): string => amountText(direction, unit, value);
    const first = data.buckets[0]?.from ?? '';
    const last = data.buckets.at(-1)?.from ?? '';
    const time = (iso: string): string => (window === 'week' ? `${iso.slice(5, 10)} ${iso.slice(11, 16)}` : iso.slice(11, 16));
    return {
      data,
      text: `${plain(data.label)}: ${text(data.used)} ${direction} of ${text(data.cap)} in the last ${window}\n\n${course({
        values: columns(data.buckets.map((one) => one.since)),
        cap: data.cap,
        height,
        label: text,
        from: time(first),
        until: `${time(last)} UTC`,
      })}`,
    };
  },
};
