// Owns: the SQL that says whose a name is, or was.
import type { Transaction } from '../../postgres/database.ts';

/**
 * Returns whether a customer has this name (`isPresent`), and the present name of the one that had it before (`now`).
 */
export async function whoseName(
  tx: Transaction,
  name: string,
): Promise<{ readonly isPresent: boolean; readonly now: string | null }> {
  const [row] = await tx.query<{ isPresent: boolean; now: string | null }>(
    `select exists (select 1 from customer where name = $1 and not is_self_test) as "isPresent",
       (select name::text from customer where $1 = any (former_names) and not is_self_test limit 1) as now`,
    [name],
  );
  return row ?? { isPresent: false, now: null };
}

export async function isAccountNamed(tx: Transaction, name: string): Promise<boolean> {
  return (await tx.query('select 1 from account where name = $1 and not is_self_test', [name])).length === 1;
}
