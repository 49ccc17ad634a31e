// Owns: the SQL of prepared emergencies.
import type { Transaction } from '../../postgres/database.ts';
import type { Result } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import { iso, isoOrNull } from '../reading/rows.ts';

type BreakGlassRow = Result<OperatorToAdmin, 'break-glass.list'>['breakGlasses'][number];

export async function listBreakGlasses(tx: Transaction): Promise<readonly BreakGlassRow[]> {
  const rows = await tx.query<
    Omit<BreakGlassRow, 'validUntil' | 'openedAt' | 'closesAt' | 'reviewedAt'> & {
      validUntil: Date;
      openedAt: Date | null;
      closesAt: Date | null;
      reviewedAt: Date | null;
    }
  >(
    `select g.id as "breakGlass", o.name as operator, g.operations, g.hours, g.reason, g.valid_until as "validUntil", g.opened_at as "openedAt", g.closes_at as "closesAt",
       case when g.reviewed_at is not null then 'reviewed' when g.opened_at is not null and g.ended_at is null and g.closes_at > clock_timestamp() then 'open'
         when g.opened_at is not null then 'used' when g.ended_at is not null then 'ended' when g.valid_until <= clock_timestamp() then 'expired' else 'prepared' end as state,
       (select count(*) from change c where c.break_glass_id = g.id) as changes, g.reviewed_at as "reviewedAt", g.finding
     from break_glass g join operator o on o.id = g.operator_id order by g.created_at desc limit 500`,
  );
  return rows.map((row) => ({
    ...row,
    validUntil: iso(row.validUntil),
    openedAt: isoOrNull(row.openedAt),
    closesAt: isoOrNull(row.closesAt),
    reviewedAt: isoOrNull(row.reviewedAt),
  }));
}
