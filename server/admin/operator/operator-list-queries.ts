// Owns: the SQL of the list of operators and their keys.
import type { Transaction } from '../../postgres/database.ts';
import type { Result } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import { iso, isoOrNull } from '../reading/rows.ts';

type OperatorRow = Result<OperatorToAdmin, 'operator.list'>['operators'][number];

export async function listOperators(tx: Transaction): Promise<readonly OperatorRow[]> {
  const rows = await tx.query<Omit<OperatorRow, 'createdAt' | 'keys'> & { createdAt: Date }>(
    'select name, role, state, created_at as "createdAt" from operator order by name',
  );
  const keys = await tx.query<{ name: string; fingerprint: string; created_at: Date; ended_at: Date | null }>(
    'select o.name, k.fingerprint, k.created_at, k.ended_at from operator_key k join operator o on o.id = k.operator_id order by k.created_at',
  );
  return rows.map((row) => ({
    ...row,
    createdAt: iso(row.createdAt),
    keys: keys
      .filter((key) => key.name === row.name)
      .map((key) => ({ fingerprint: key.fingerprint, since: iso(key.created_at), endedAt: isoOrNull(key.ended_at) })),
  }));
}
