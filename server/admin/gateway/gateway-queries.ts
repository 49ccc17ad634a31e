// Owns: the SQL of the installation's id.
import type { Transaction } from '../../postgres/database.ts';

export async function installationId(tx: Transaction): Promise<string> {
  const [row] = await tx.query<{ id: string }>('select id from installation');
  if (row === undefined) throw new Error('the database has no id of the installation');
  return row.id;
}
