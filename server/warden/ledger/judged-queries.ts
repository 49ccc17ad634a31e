// Owns: the SQL that tells whether a statement about an archive is one that the pipeline of archives wrote.
import type { ArchivedStatement } from '../../domain/ledger/sealable.ts';
import type { Transaction } from '../../postgres/database.ts';

type Stated = ArchivedStatement & { readonly id: number; readonly tree: string };

/** Returns the ids of those statements that say what the rows of the archive and of its range say, marked as stated. */
export async function rangesStated(tx: Transaction, stated: readonly Stated[]): Promise<readonly number[]> {
  const rows = await tx.query<{ id: number }>(
    `select n.id from unnest($1::bigint[], $2::uuid[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[], $8::text[], $9::bigint[])
         n(id, tree, month, first, last, entries, file, sha256, total)
       join ledger_archive_range r on r.tree = n.tree and r.month = (n.month || '-01')::date and r.stated_at is not null
         and (r.first, r.last, r.entries) = (n.first, n.last, n.entries)
       join ledger_archive a on a.month = r.month and a.file = n.file and a.sha256 = decode(n.sha256, 'hex') and a.entries = n.total`,
    [
      stated.map((one) => one.id),
      stated.map((one) => one.tree),
      stated.map((one) => one.month),
      stated.map((one) => one.first),
      stated.map((one) => one.last),
      stated.map((one) => one.entries),
      stated.map((one) => one.file),
      stated.map((one) => one.sha256),
      stated.map((one) => one.total),
    ],
  );
  return rows.map(({ id }) => id);
}

/** Returns the trees and months, as `<tree> <month>`, of which a statement is sealed already. */
export async function isStatedAlready(tx: Transaction, stated: readonly Stated[]): Promise<readonly string[]> {
  const rows = await tx.query<{ name: string }>(
    `select n.tree || ' ' || n.month as name from unnest($1::uuid[], $2::text[]) n(tree, month)
     where exists (select from ledger_sealed s where s.tree = n.tree and s.kind = 'ledger.archived' and s.public ->> 'month' = n.month)
       or exists (select from ledger_kept k where k.tree = n.tree and k.kind = 'ledger.archived' and k.public ->> 'month' = n.month)`,
    [stated.map((one) => one.tree), stated.map((one) => one.month)],
  );
  return rows.map(({ name }) => name);
}

/** Returns the ids of those statements about the deletion of an archive that its row says, too. */
export async function deletionsStated(
  tx: Transaction,
  deleted: readonly { readonly id: number; readonly month: string; readonly file: string }[],
): Promise<readonly number[]> {
  const rows = await tx.query<{ id: number }>(
    `select n.id from unnest($1::bigint[], $2::text[], $3::text[]) n(id, month, file)
       join ledger_archive a on a.month = (n.month || '-01')::date and a.file = n.file and a.deletion_stated_at is not null`,
    [deleted.map((one) => one.id), deleted.map((one) => one.month), deleted.map((one) => one.file)],
  );
  return rows.map(({ id }) => id);
}
