// Owns: the SQL of customer keys and receipt keys.
import type { CustomerId, CustomerKeyId } from '../../domain/ids.ts';
import { idOf } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';

export type CustomerKeyRow = { readonly id: CustomerKeyId; readonly wrapped: Buffer; readonly wrappedBy: string };
type Raw = { readonly id: string; readonly wrapped: Buffer; readonly wrapped_by: string };
const shape = (row: Raw): CustomerKeyRow => ({
  id: idOf<CustomerKeyId>(row.id),
  wrapped: row.wrapped,
  wrappedBy: row.wrapped_by,
});

export async function insertCustomerKey(tx: Transaction, customer: CustomerId, row: CustomerKeyRow): Promise<void> {
  await tx.query('insert into customer_key (id, customer_id, wrapped, wrapped_by) values ($1, $2, $3, $4)', [
    row.id,
    customer,
    row.wrapped,
    row.wrappedBy,
  ]);
}

export async function newestCustomerKey(tx: Transaction, customer: CustomerId): Promise<CustomerKeyRow | undefined> {
  const rows = await tx.query<Raw>(
    'select id, wrapped, wrapped_by from customer_key where customer_id = $1 order by created_at desc limit 1',
    [customer],
  );
  return rows[0] && shape(rows[0]);
}

export async function findCustomerKey(
  tx: Transaction,
  customer: CustomerId,
  id: CustomerKeyId,
): Promise<CustomerKeyRow | undefined> {
  const rows = await tx.query<Raw>(
    'select id, wrapped, wrapped_by from customer_key where customer_id = $1 and id = $2',
    [customer, id],
  );
  return rows[0] && shape(rows[0]);
}

export async function publishReceiptKey(tx: Transaction, id: string, pem: string): Promise<void> {
  await tx.query('insert into receipt_key (id, public_pem) values ($1, $2) on conflict (id) do nothing', [id, pem]);
}
