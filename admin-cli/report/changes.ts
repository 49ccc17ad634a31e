// Owns: `cofferctl report changes`.
import type { Result } from '../../server/rpc/operation.ts';
import type { OperatorToAdmin } from '../../server/rpc/operators/table.ts';
import { csv } from '../terminal/csv.ts';
import { instantOf } from '../terminal/instant.ts';
import { table, when } from '../terminal/output.ts';
import { required, type Verb } from '../verb/verb.ts';

export const reportChanges: Verb = {
  words: ['report', 'changes'],
  positionals: [],
  options: [
    {
      name: 'since',
      value: 'DAY|7d',
      help: 'a day such as 2026-01-31, or so many days or hours ago (30d, 12h)',
      required: true,
    },
    { name: 'csv', value: null, help: 'as CSV' },
  ],
  help: 'Lists everything that operators changed, newest first: who, what, who approved it, and how it went.',
  example: 'cofferctl report changes --since 30d',
  operations: ['report.changes'],
  run: async (client, given) => {
    const since = instantOf(required(given, 'since'), 'since');
    type Row = Result<OperatorToAdmin, 'report.changes'>['changes'][number];
    const changes: Row[] = [];
    for (let after: { at: string; id: string } | undefined; ; ) {
      const page = await client.call('report.changes', { since, ...(after === undefined ? {} : { after }) });
      changes.push(...page.changes);
      const last = page.changes.at(-1);
      if (!page.more || last === undefined) break;
      after = { at: last.at, id: last.id };
      if (given.isTerminal) process.stderr.write(`\r\u001b[K${changes.length} changes`);
    }
    if (given.isTerminal) process.stderr.write('\r\u001b[K');
    const columns = ['AT', 'OPERATION', 'BY', 'APPROVED BY', 'BREAK-GLASS', 'OUTCOME', 'REASON', 'WHAT'];
    const rows = changes.map((one) => [
      when(one.at),
      one.operation,
      one.by,
      one.approvedBy,
      one.breakGlass,
      one.outcome,
      one.reason,
      one.params,
    ]);
    return {
      data: { changes, more: false },
      text:
        given.options.csv === undefined ? table({ columns, rows, empty: 'nothing was changed' }) : csv(columns, rows),
    };
  },
};
