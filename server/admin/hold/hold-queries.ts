// Owns: the SQL of legal holds.
import type { Transaction } from '../../postgres/database.ts';
import type { Result } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';

type HoldRow = Result<OperatorToAdmin, 'hold.list'>['holds'][number];

export async function listHolds(tx: Transaction): Promise<readonly HoldRow[]> {
  const rows = await tx.query<Omit<HoldRow, 'placedAt'> & { readonly placedAt: Date }>(
    `select h.id as hold, c.name as customer, f.name as folder, h.version_id as version, h.reason, h.placed_by as "placedBy", h.placed_at as "placedAt"
     from legal_hold h join customer c on c.id = h.customer_id left join folder f on f.id = h.folder_id where h.lifted_at is null order by h.placed_at desc limit 5000`,
  );
  return rows.map((row) => ({ ...row, placedAt: row.placedAt.toISOString() }));
}
