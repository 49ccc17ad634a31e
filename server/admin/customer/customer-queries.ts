// Owns: the SQL of customers and their folders that operators may read.
import type { Transaction } from '../../postgres/database.ts';
import type { Result } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import { type Dated, iso } from '../reading/rows.ts';

type CustomerRow = Result<OperatorToAdmin, 'customer.list'>['customers'][number];

type FolderRow = Result<OperatorToAdmin, 'customer.show'>['folders'][number];

export async function listCustomers(
  tx: Transaction,
  name: string | null,
  limit: number,
  after = '',
): Promise<readonly CustomerRow[]> {
  const rows = await tx.query<Dated<CustomerRow, 'createdAt'>>(
    `select c.id, c.name, c.state, (select count(*) from account a where a.customer_id = c.id) as accounts, (select count(*) from folder f where f.customer_id = c.id) as folders,
       (select count(*) from version v where v.customer_id = c.id and v.state = 'published') as files, c.created_at as "createdAt", c.allowed_proofs as "allowedProofs",
       c.former_names as "formerNames"
     from customer c where ($1::text is null or c.name = $1) and c.name > $3 and not c.is_self_test order by c.name limit $2`,
    [name, limit, after],
  );
  return rows.map((row) => ({ ...row, createdAt: iso(row.createdAt) }));
}

export async function listFolders(tx: Transaction, customer: string): Promise<readonly FolderRow[]> {
  return tx.query<FolderRow>(
    `select f.name, f.direction, f.publish_rule as "publishRule", f.marker, f.settle_ms as "settleMs", f.replace_allowed as "replaceAllowed", f.directories_allowed as "directoriesAllowed", f.read_back as "readBack", f.window_days as "windowDays", f.reads_max as "readsMax", f.retention_days as "retentionDays",
       (select count(*) from file x join version v on v.file_id = x.id where x.folder_id = f.id and v.state = 'published') as files
     from folder f join customer c on c.id = f.customer_id where c.name = $1 order by f.name`,
    [customer],
  );
}
