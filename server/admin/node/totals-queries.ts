// Owns: the SQL of how much there is in the whole gateway.
import type { Transaction } from '../../postgres/database.ts';
import type { Result } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';

type Totals = Result<OperatorToAdmin, 'status'>['counts'] & {
  readonly version: string;
  readonly sizeBytes: number;
  readonly now: Date;
};

export async function totals(tx: Transaction): Promise<Totals> {
  const [row] = await tx.query<Totals>(
    `select (select count(*) from customer where not is_self_test) as customers, (select count(*) from account where not is_self_test) as accounts, (select count(*) from session where state = 'open') as "openSessions",
       (select count(*) from version v join customer c on c.id = v.customer_id where v.state = 'published' and not c.is_self_test) as "publishedFiles", (select count(*) from version where state = 'partial') as "partialUploads",
       current_setting('server_version') as version, pg_database_size(current_database()) as "sizeBytes", clock_timestamp() as now`,
  );
  if (row === undefined) throw new Error('no totals');
  return row;
}
