// Owns: the SQL of which accounts used which key exchange method.
import type { Transaction } from '../../postgres/database.ts';
import type { Result } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import { type Dated, isoOrNull } from '../reading/rows.ts';

type KeyExchangeRow = Result<OperatorToAdmin, 'report.key-exchange'>['accounts'][number];

export async function listKeyExchangeUse(tx: Transaction): Promise<readonly KeyExchangeRow[]> {
  const rows = await tx.query<Dated<KeyExchangeRow, 'lastWithoutAt'>>(
    `select a.name as account, c.name as customer, u.with_mlkem as "withMlkem", u.without_mlkem as "withoutMlkem",
       u.last_without_at as "lastWithoutAt", u.last_without_client as "lastWithoutClient"
     from key_exchange_use u join account a on a.id = u.account_id left join customer c on c.id = a.customer_id where not a.is_self_test
     order by u.last_without_at desc nulls last, a.name limit 5000`,
  );
  return rows.map((row) => ({ ...row, lastWithoutAt: isoOrNull(row.lastWithoutAt) }));
}
