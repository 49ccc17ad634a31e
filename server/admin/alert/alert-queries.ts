// Owns: the SQL of alerts.
import type { Transaction } from '../../postgres/database.ts';
import type { Result } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';

type AlertRow = Result<OperatorToAdmin, 'alert.list'>['alerts'][number];

export async function listAlerts(tx: Transaction, limit: number): Promise<readonly AlertRow[]> {
  const rows = await tx.query<Omit<AlertRow, 'firstAt' | 'lastAt'> & { readonly firstAt: Date; readonly lastAt: Date }>(
    `select id, kind, severity, text, next_command as "nextCommand", first_at as "firstAt", last_at as "lastAt", count from alert order by last_at desc limit $1`,
    [limit],
  );
  return rows.map((row) => ({ ...row, firstAt: row.firstAt.toISOString(), lastAt: row.lastAt.toISOString() }));
}
