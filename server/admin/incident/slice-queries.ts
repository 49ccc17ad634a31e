// Owns: the SQL of one customer's part of the record, and of which of its entries a scope concerns.
import type { PlacedEntry } from '../../domain/ledger/leaf.ts';
import type { Snapshot } from '../../postgres/snapshot.ts';
import { belongingValues, belongs, type Chosen } from './selection-queries.ts';

export type Extent = {
  /**
   * How many of the tree's entries the scope concerns: from the first position up to the second (`within`), and from
   * the second position on, or not sealed yet (`behind`).
   */
  readonly within: number;
  readonly behind: number;
};

export async function extentOf(tx: Snapshot, chosen: Chosen, customer: string, first: number, end: number): Promise<Extent> {
  const [row] = await tx.query<Extent>(
    `select count(*) filter (where l.position >= $12 and l.position < $13) as within,
       count(*) filter (where l.position >= $13) + (select count(*) from ledger_fresh l where l.customer_id = $11 and ${belongs}) as behind
     from ledger_sealed l where l.tree = $11 and ${belongs}`,
    [...belongingValues(chosen), customer, first, end],
  );
  return row ?? { within: 0, behind: 0 };
}

export type SliceEntry = PlacedEntry & { readonly salt: Buffer; readonly selected: boolean };

const entryColumns = `l.tree, l.position, l.number, micros(l.at) as at, l.kind, l.observer, l.customer_id as customer, l.account_id as account, l.session_id as session, l.node, l.plane,
       l.handle_id as handle, l.version_id as version, l.extent, l.bytes, l.public::text as "publicText", l.credential, l.also_credential as "alsoCredential",
       host(l.source) as source, l.source_port as "sourcePort", l.client, l.operator, l.sensitive::text as "sensitiveText", l.salt`;

/** A customer is created before anything else of it happens: the entry is among the first of its tree. */
const createdWithin = 1000;

/** Returns the entry of the tree, of this size, by which its customer was created; undefined when the database does not have it. */
export async function createdEntry(tx: Snapshot, customer: string, size: number): Promise<SliceEntry | undefined> {
  const [row] = await tx.query<SliceEntry>(
    `select ${entryColumns}, false as selected from ledger_sealed l
     where l.tree = $1 and l.position < $2 and l.kind = 'customer.created' order by l.position limit 1`,
    [customer, Math.min(size, createdWithin)],
  );
  return row;
}

/**
 * Returns up to `limit` entries of the tree from position `first` up to, but not including, `end`, in order. Sensitive
 * fields are read only to compute their digest.
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
     from ledger_sealed l where l.tree = $11 and l.position >= $12 and l.position < $13 order by l.position limit $14`,
    [...belongingValues(chosen), customer, first, end, limit],
  );
}
