// Owns: the SQL of questions beside archives: which months they hold, and the names of the ids in their entries.
import type { Transaction } from '../../postgres/database.ts';
import type { Params, Result } from '../../rpc/operation.ts';
import type { ListedArchive } from '../../rpc/operators/ledger.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';

const commonTree = "'00000000-0000-0000-0000-000000000000'";
/**
 * The months that are in archives, as the sealed statements of the common tree say, which has entries in every month: a
 * row about an archive can be changed or taken away, and says only what no statement says (a month of a record without
 * common entries).
 */
export const archivedMonths = `select coalesce(t.month, a.month) as month, coalesce(t.file, a.file) as file, coalesce(t.sha256, encode(a.sha256, 'hex')) as sha256,
    coalesce(t.entries, a.entries) as entries, a.deleted_at
  from ledger_archive a full join (
    select distinct on (month) * from (
      select case when s.public ->> 'month' ~ '^\\d{4}-(0[1-9]|1[0-2])$' then to_date(s.public ->> 'month', 'YYYY-MM') end as month, s.sensitive ->> 'file' as file,
        s.sensitive ->> 'sha256' as sha256, count_in(s.sensitive, 'total') as entries, s.number
      from (select number, public, sensitive from ledger_sealed where tree = ${commonTree} and kind = 'ledger.archived'
        union all select number, public, sensitive from ledger_kept where tree = ${commonTree} and kind = 'ledger.archived') s) f
    where f.month is not null order by month, number) t on t.month = a.month`;

/**
 * Returns the archives, oldest first. A month stays in the database beside its archive until every receiver of live
 * entries has it. A month that left may have a table again, when an entry of that time was sealed later; the table then
 * has fewer entries than the archive, so `isOnline` is false and the archive must be read.
 */
export async function listArchives(tx: Transaction): Promise<readonly ListedArchive[]> {
  const rows = await tx.query<Omit<ListedArchive, 'deletedAt'> & { readonly deletedAt: Date | null }>(
    `select to_char(a.month, 'YYYY-MM') as month, a.file, a.sha256, a.entries, a.deleted_at as "deletedAt",
       case when to_regclass('public.ledger_sealed_' || to_char(a.month, 'YYYYMM')) is null then false else (
         select count(*) from ledger_sealed s where s.at >= a.month::timestamp at time zone 'utc' and s.at < (a.month + interval '1 month') at time zone 'utc'
       ) >= a.entries end as "isOnline"
     from (${archivedMonths}) a order by a.month`,
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
      ...(await tx.query<Named>(
        'select id, name::text as name from customer where id = any ($1::uuid[]) order by name',
        [customers],
      )),
    ],
  };
}
