// Owns: the SQL of one customer's part of the record, and of which of its entries a scope concerns.
import type { PlacedEntry } from '../../domain/ledger/leaf.ts';
import type { Snapshot } from '../../postgres/snapshot.ts';
import { type Chosen, chosenValues, selected } from './selection-queries.ts';

export type Extent = {
  /**
   * How many of the tree's entries the scope concerns: from the first position up to the second (`within`), and from
   * the second position on (`behind`).
   */
  readonly within: number;
  readonly behind: number;
};

export async function extentOf(tx: Snapshot, chosen: Chosen, customer: string, first: number, end: number): Promise<Extent> {
  const [row] = await tx.query<Extent>(
    `select count(*) filter (where l.position >= $7 and l.position < $8) as within, count(*) filter (where l.position >= $8) as behind
     from ledger_sealed l where l.tree = $6 and ${selected}`,
    [...chosenValues(chosen), customer, first, end],
  );
  return row ?? { within: 0, behind: 0 };
}

export type SliceEntry = PlacedEntry & { readonly salt: Buffer; readonly selected: boolean };

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
    `select l.tree, l.position, l.number, micros(l.at) as at, l.kind, l.observer, l.customer_id as customer, l.account_id as account, l.session_id as session, l.node, l.plane,
       l.handle_id as handle, l.version_id as version, l.extent, l.bytes, l.public::text as "publicText", l.credential, l.also_credential as "alsoCredential",
       host(l.source) as source, l.source_port as "sourcePort", l.client, l.operator, l.sensitive::text as "sensitiveText", l.salt, coalesce(${selected}, false) as selected
     from ledger_sealed l where l.tree = $6 and l.position >= $7 and l.position < $8 order by l.position limit $9`,
    [...chosenValues(chosen), customer, first, end, limit],
  );
}
