// Owns: the SQL of entries that are set aside: they wait for ever, and sealing goes on after them.
// Must never: set aside more than a few. More of them are no accident, and then it is better that nothing is served.
import type { Transaction } from '../../postgres/database.ts';
import type { Taken } from './seal-queries.ts';

/** The largest number of entries that may be set aside. With more of them, sealing stops. */
export const setAsideMax = 16;

/**
 * Sets the first waiting entry of a queue aside without reading its content. Returns its id in `ledger_fresh`, or
 * undefined when nothing waits or too many entries were set aside already.
 */
export async function quarantineFirst(
  tx: Transaction,
  why: string,
  line: keyof Taken = 'planes',
): Promise<string | undefined> {
  const [row] = await tx.query<{ id: string }>(
    `insert into ledger_quarantine (id, why)
     select f.id, $1 from (select id from ledger_fresh where (observer = 'admin') = $3 order by id limit 1 + $2::bigint) f
       where not exists (select from ledger_quarantine q where q.id = f.id) and (select count(*) from ledger_quarantine) < $2 order by f.id limit 1 returning id::text`,
    [why, setAsideMax, line === 'operators'],
  );
  return row?.id;
}

/**
 * An entry that cannot be sealed, by its id in `ledger_fresh`, and why. `digest`: of what was read; an entry that could
 * not be read has none.
 */
export type Refused = { readonly id: number; readonly why: string; readonly digest?: string };

/** Sets these entries aside, as far as that many may be. Returns the ids of those that were. */
export async function quarantine(tx: Transaction, refused: readonly Refused[]): Promise<readonly number[]> {
  const rows = await tx.query<{ id: number }>(
    `insert into ledger_quarantine (id, why) select n.id, n.why from unnest($1::bigint[], $2::text[]) with ordinality n(id, why, o)
       where n.o <= $3::bigint - (select count(*) from ledger_quarantine) order by n.o on conflict do nothing returning id`,
    [refused.map(({ id }) => id), refused.map(({ why }) => why), setAsideMax],
  );
  return rows.map(({ id }) => id);
}
