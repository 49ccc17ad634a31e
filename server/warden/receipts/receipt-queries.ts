// Owns: the SQL of receipts.
import type { VersionId } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';

/** Returns the receipt of a version; undefined while it has none. */
export async function readReceipt(tx: Transaction, version: VersionId): Promise<string | undefined> {
  const [row] = await tx.query<{ receipt: string | null }>('select receipt from version where id = $1', [version]);
  return row?.receipt ?? undefined;
}
