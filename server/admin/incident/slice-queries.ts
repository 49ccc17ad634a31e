// Owns: the SQL of one customer's entries within a scope.
import type { PlacedEntry } from '../../domain/ledger/leaf.ts';
import type { Snapshot } from '../../postgres/snapshot.ts';
import { type Chosen, chosenValues, selected } from './selection-queries.ts';

/** In the order of their positions, behind `after`. Sensitive fields are read for their digest only. */
export async function pageOfSlice(
  tx: Snapshot,
  chosen: Chosen,
  customer: string,
  after: number,
  limit: number,
): Promise<readonly (PlacedEntry & { readonly salt: Buffer })[]> {
  return tx.query<PlacedEntry & { readonly salt: Buffer }>(
    `select l.tree, l.position, l.number, micros(l.at) as at, l.kind, l.observer, l.customer_id as customer, l.account_id as account, l.session_id as session, l.node, l.plane,
       l.handle_id as handle, l.version_id as version, l.extent, l.bytes, l.public::text as "publicText", l.credential, l.also_credential as "alsoCredential",
       host(l.source) as source, l.source_port as "sourcePort", l.client, l.operator, l.sensitive::text as "sensitiveText", l.salt
     from ledger_sealed l where l.tree = $6 and l.position > $7 and ${selected} order by l.position limit $8`,
    [...chosenValues(chosen), customer, after, limit],
  );
}
