// Owns: activation windows as a table.
import type { Result } from '../../server/rpc/operation.ts';
import type { OperatorToAdmin } from '../../server/rpc/operators/table.ts';
import { table, when } from '../terminal/output.ts';

export const windowTable = (windows: Result<OperatorToAdmin, 'window.list'>['windows'], empty: string): string =>
  table({
    columns: ['ACCOUNT', 'NAME', 'SCHEDULE', 'FROM', 'UNTIL', 'OPEN NOW', 'OPENED BY', 'REASON'],
    rows: windows.map((w) => [
      w.account,
      w.name,
      w.schedule,
      when(w.opensAt),
      when(w.closesAt),
      w.isOpenNow,
      w.openedBy,
      w.reason,
    ]),
    empty,
  });
