// Owns: the SQL of accounts that operators may read. It reads no keys and no seeds; the admin process's database role
// could not select them.
import type { Transaction } from '../../postgres/database.ts';
import type { Result } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import { type Dated, isoOrNull } from '../reading/rows.ts';

type AccountRow = Result<OperatorToAdmin, 'account.list'>['accounts'][number];

export async function listAccounts(tx: Transaction, customer: string | null): Promise<readonly AccountRow[]> {
  const rows = await tx.query<Dated<AccountRow, 'windowOpenUntil' | 'lastUsedAt' | 'expiresAt'>>(
    `select a.name, c.name as customer, a.kind, a.plane, a.state, exists (select 1 from second_factor s where s.account_id = a.id and s.enrolled_at is not null) as "secondFactor",
       (select count(*) from credential k where k.account_id = a.id and k.state <> 'revoked') as keys,
       (select w.closes_at from open_window(a.id, clock_timestamp()) w) as "windowOpenUntil",
       (select max(k.last_used_at) from credential k where k.account_id = a.id) as "lastUsedAt", a.manages, a.read_only as "readOnly", a.source_networks::text[] as networks, a.expires_at as "expiresAt"
     from account a left join customer c on c.id = a.customer_id where ($1::text is null or c.name = $1) and not a.is_self_test order by a.name limit 5000`,
    [customer],
  );
  return rows.map((row) => ({
    ...row,
    windowOpenUntil: isoOrNull(row.windowOpenUntil),
    lastUsedAt: isoOrNull(row.lastUsedAt),
    expiresAt: isoOrNull(row.expiresAt),
  }));
}
