// Owns: `cofferctl budget show`.
import { amountText, sizeText } from '../../server/domain/budgets/amounts.ts';
import type { BudgetDirection } from '../../server/domain/budgets/words.ts';
import type { Result } from '../../server/rpc/operation.ts';
import type { OperatorToAdmin } from '../../server/rpc/operators/table.ts';
import { bar } from '../terminal/chart.ts';
import { colour, plain, when } from '../terminal/output.ts';
import { read } from '../verb/read.ts';
import { only } from '../verb/verb.ts';
import { scopeOf, scopeOptions } from './scope.ts';

type Row = Result<OperatorToAdmin, 'budget.show'>['budgets'][number];
const directionNames: Readonly<Record<BudgetDirection, string>> = { out: 'out', in: 'in', list: 'listed' };

function lines(row: Row, isTerminal: boolean): string {
  const counted = row.direction === 'list' ? (['items'] as const) : (['bytes', 'items'] as const);
  const use = counted.flatMap((unit) =>
    row.windows.map(({ window, [unit]: { used, cap } }) => {
      const share = cap === 0 ? 0 : used / cap;
      const text = `${bar(used, cap)}  ${amountText(row.direction, unit, used)} of ${amountText(row.direction, unit, cap)}`;
      return `  ${directionNames[row.direction].padEnd(6)} ${window.padEnd(4)} ${share >= 1 ? colour('red', text, isTerminal) : share >= 0.8 ? colour('yellow', text, isTerminal) : text}`;
    }),
  );
  const facts = [
    ...(row.rate === null ? [] : [`rate ${sizeText(row.rate)}/s`]),
    ...(row.sessionsMax === null ? [] : [`sessions ${row.sessionsOpen ?? 0} of ${row.sessionsMax}`]),
    ...(row.ceilingPercent === 100 ? [] : [`slows down at the cap, refuses at ${row.ceilingPercent} %`]),
    ...(row.headroomUntil === null
      ? []
      : [`headroom of ${row.headroomPercent} % released until ${when(row.headroomUntil)}`]),
    ...(row.headroomUntil === null && row.headroomPercent > 0
      ? [`headroom of ${row.headroomPercent} % ${row.isHeadroomSpent ? 'spent' : 'approved'}`]
      : []),
    ...(row.consequence === 'refuse' ? [] : [`at the cap: ${row.consequence}`]),
  ];
  return [...use, ...(facts.length === 0 ? [] : [`         ${facts.join('; ')}`])].join('\n');
}

export const budgetShow = read({
  words: ['budget', 'show'],
  options: scopeOptions,
  help: 'Shows use against caps over the last hour, day and week. Without a scope: gateway, planes and the busiest customers.',
  example: 'cofferctl budget show --account acme-batch',
  operation: 'budget.show',
  params: (given) => only({ scope: scopeOf(given) }),
  text: ({ budgets }, given) => {
    const parts: string[] = [];
    let heading = '';
    for (const row of budgets) {
      const own = `${row.scope} ${plain(row.label)}`;
      if (own !== heading) parts.push(`${parts.length === 0 ? '' : '\n'}${own}`);
      heading = own;
      parts.push(lines(row, given.isTerminal));
    }
    return `${parts.join('\n')}\n`;
  },
});
