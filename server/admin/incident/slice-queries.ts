// Owns: the SQL of one customer's tree of the record, and of which of its entries belong to a selection.
import type { Snapshot } from '../../postgres/snapshot.ts';
import { entryColumns, type SealedRow } from '../ledger/entry-columns.ts';
import { belongingValues, belongs, type Chosen } from './selection-queries.ts';

/** Numbers of the customer's entries that belong to the selection. */
type SelectedCounts = {
  /** How many are before position `first`. */
  readonly before: number;
  /** How many are from position `first` up to, but not including, `end`. */
  readonly within: number;
  /** How many are from position `end` on, or not sealed yet. */
  readonly behind: number;
};

export async function selectedCounts(
  tx: Snapshot,
  chosen: Chosen,
  customer: string,
  first: number,
  end: number,
): Promise<SelectedCounts> {
  const [row] = await tx.query<SelectedCounts>(
    `select count(*) filter (where l.position < $14) as before, count(*) filter (where l.position >= $14 and l.position < $15) as within,
       count(*) filter (where l.position >= $15) + (select count(*) from ledger_fresh l where l.customer_id = $13 and ${belongs}) as behind
     from ledger_sealed l where l.tree = $13 and ${belongs}`,
    [...belongingValues(chosen), customer, first, end],
  );
  return row ?? { before: 0, within: 0, behind: 0 };
}

export type SliceEntry = SealedRow & { readonly selected: boolean };

/**
 * Returns the last entry among the tree's first `size` entries that created or renamed the customer. Returns undefined
 * when the database does not have it.
 */
export async function namingEntry(tx: Snapshot, customer: string, size: number): Promise<SliceEntry | undefined> {
  const [row] = await tx.query<SliceEntry>(
    `select ${entryColumns}, false as selected from ledger_sealed l
     where l.tree = $1 and l.position < $2 and l.kind in ('customer.created', 'customer.renamed') order by l.position desc limit 1`,
    [customer, size],
  );
  return row;
}

/**
 * Returns up to `limit` entries of the customer's tree from position `first` up to, but not including, `end`, in order.
 * Sensitive fields serve to compute their digest and to decide `selected`; the customer is not shown them.
 */
export async function pageOfSlice(
  tx: Snapshot,
  chosen: Chosen,
  customer: string,
  first: number,
  end: number,
  limit: number,
): Promise<readonly SliceEntry[]> {
  return tx.query<SliceEntry>(
    `select ${entryColumns}, coalesce(${belongs}, false) as selected
     from ledger_sealed l where l.tree = $13 and l.position >= $14 and l.position < $15 order by l.position limit $16`,
    [...belongingValues(chosen), customer, first, end, limit],
  );
}
