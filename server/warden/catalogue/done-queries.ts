// Owns: the SQL of what accounts are done with.
import type { AccountId, CustomerId, VersionId } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';

type Done = { readonly account: AccountId; readonly version: VersionId };

/** Notes that an account is done with a version. Returns false when it was done with it before. */
export async function insertDone(
  tx: Transaction,
  { account, version, customer }: Done & { readonly customer: CustomerId },
): Promise<boolean> {
  const rows = await tx.query(
    'insert into done_file (account_id, version_id, customer_id) values ($1, $2, $3) on conflict do nothing returning 1',
    [account, version, customer],
  );
  return rows.length === 1;
}

/** Forgets that an account is done with a version. Returns false when it was not. */
export async function deleteDone(tx: Transaction, { account, version }: Done): Promise<boolean> {
  const rows = await tx.query('delete from done_file where account_id = $1 and version_id = $2 returning 1', [
    account,
    version,
  ]);
  return rows.length === 1;
}
