// Owns: the SQL of accounts that operators may read. It reads no keys and no seeds; the admin process's database role
// could not select them.
import type { Transaction } from '../../postgres/database.ts';
import type { Result } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import { type Dated, isoOrNull } from '../reading/rows.ts';

type AccountRow = Result<OperatorToAdmin, 'account.list'>['accounts'][number];

/** Lists accounts by name: those of a customer, or one of this name, or all of them. */
export async function listAccounts(
  tx: Transaction,
  customer: string | null,
  name: string | null = null,
): Promise<readonly AccountRow[]> {
  const rows = await tx.query<Dated<AccountRow, 'windowOpenUntil' | 'lastUsedAt' | 'expiresAt'>>(
    `select a.name, a.contact, c.name as customer, a.kind, a.plane, a.state, exists (select 1 from second_factor s where s.account_id = a.id and s.enrolled_at is not null) as "secondFactor",
       (select count(*) from credential k where k.account_id = a.id and k.state <> 'revoked') as keys,
       (select w.closes_at from open_window(a.id, clock_timestamp()) w) as "windowOpenUntil",
       (select max(k.last_used_at) from credential k where k.account_id = a.id) as "lastUsedAt", a.manages, a.read_only as "readOnly", a.source_networks::text[] as networks, a.expires_at as "expiresAt",
       coalesce((select o.name || '/' || f.name from folder f join customer o on o.id = f.customer_id where f.id::text = a.starts_in), a.starts_in) as "startsIn"
     from account a left join customer c on c.id = a.customer_id where ($1::text is null or c.name = $1) and ($2::text is null or a.name = $2) and not a.is_self_test order by a.name limit 5000`,
    [customer, name],
  );
  return rows.map((row) => ({
    ...row,
    windowOpenUntil: isoOrNull(row.windowOpenUntil),
    lastUsedAt: isoOrNull(row.lastUsedAt),
    expiresAt: isoOrNull(row.expiresAt),
  }));
}

type RightRow = Result<OperatorToAdmin, 'account.show'>['rights'][number];

/** Returns what an account may do in which folders, as a login would find it: at most `limit` folders, by name. */
export async function listRights(tx: Transaction, account: string, limit: number): Promise<readonly RightRow[]> {
  return tx.query<RightRow>(
    `select c.name as customer, f.name as folder, f.direction, r.verbs
     from account a join folder_right r on r.account_id = a.id join folder f on f.id = r.folder_id join customer c on c.id = r.customer_id
     where a.name = $1 and not a.is_self_test and r.verbs <> '{}' and (a.customer_id is null or a.customer_id = r.customer_id)
     order by c.name, f.name limit $2`,
    [account, limit],
  );
}
