// Owns: the SQL of which sessions rely on a row.
import { type AccountId, type CredentialId, type CustomerId, idOf } from '../../domain/ids.ts';
import type { SessionFilter } from '../../domain/session-filter.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { RowName } from '../seals/seal-queries.ts';

/** Returns which sessions rely on a row. Undefined means that all sessions do, or none. */
export async function scopeOfRow(tx: Transaction, { kind, id }: RowName): Promise<SessionFilter | undefined> {
  if (kind === 'credential') return { credential: idOf<CredentialId>(id) };
  if (kind === 'account' || kind === 'rights' || kind === 'second-factor') return { account: idOf<AccountId>(id) };
  if (kind === 'customer') return { customer: idOf<CustomerId>(id) };
  if (kind === 'window' || kind === 'standing-window') return { window: id };
  if (kind !== 'folder' && kind !== 'budget') return undefined;
  const [row] = await tx.query<{ credential_id: string | null; account_id: string | null; customer_id: string | null }>(
    kind === 'folder'
      ? 'select null as credential_id, null as account_id, customer_id from folder where id = $1'
      : 'select credential_id, account_id, customer_id from budget where id = $1',
    [id],
  );
  if (row === undefined) return undefined;
  if (row.credential_id !== null) return { credential: idOf<CredentialId>(row.credential_id) };
  if (row.account_id !== null) return { account: idOf<AccountId>(row.account_id) };
  return row.customer_id === null ? undefined : { customer: idOf<CustomerId>(row.customer_id) };
}
