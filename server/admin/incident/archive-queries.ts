// Owns: the SQL of questions beside archives: which months they hold, and the names of the ids in their entries.
import type { Transaction } from '../../postgres/database.ts';
import type { Params, Result } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operator-admin.ts';
import type { ListedArchive } from '../../rpc/operator-ledger.ts';

/**
 * Returns the archives, oldest first. A month stays in the database beside its archive until every receiver of live
 * entries has it. A month that left may have a table again, when an entry of that time was sealed later; the table then
 * has fewer entries than the archive, so `isOnline` is false and the archive must be read.
 */
export async function listArchives(tx: Transaction): Promise<readonly ListedArchive[]> {
  const rows = await tx.query<Omit<ListedArchive, 'deletedAt'> & { readonly deletedAt: Date | null }>(
    `select to_char(a.month, 'YYYY-MM') as month, a.file, encode(a.sha256, 'hex') as sha256, a.entries, a.deleted_at as "deletedAt",
       case when to_regclass('public.ledger_sealed_' || to_char(a.month, 'YYYYMM')) is null then false else (
         select count(*) from ledger_sealed s where s.at >= a.month::timestamp at time zone 'utc' and s.at < (a.month + interval '1 month') at time zone 'utc'
       ) >= a.entries end as "isOnline"
     from ledger_archive a order by a.month`,
  );
  return rows.map((row) => ({ ...row, deletedAt: row.deletedAt?.toISOString() ?? null }));
}

export async function findNames(
  tx: Transaction,
  { accounts, customers, accountNames }: Params<OperatorToAdmin, 'incident.names'>,
): Promise<Result<OperatorToAdmin, 'incident.names'>> {
  type Named = { readonly id: string; readonly name: string };
  return {
    accounts: [
      ...(await tx.query<Named>(
        'select id, name::text as name from account where id = any ($1::uuid[]) or name::text = any ($2::text[]) order by name',
        [accounts, accountNames],
      )),
    ],
    customers: [
      ...(await tx.query<Named>('select id, name::text as name from customer where id = any ($1::uuid[]) order by name', [customers])),
    ],
  };
}
