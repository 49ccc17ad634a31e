// Owns: the SQL of one customer's entries within a scope.
import type { PlacedEntry } from '../../domain/ledger/leaf.ts';
import type { Snapshot } from '../../postgres/database.ts';
import type { Filter } from './scope-queries.ts';

/** In the order of their positions, behind `after`. Sensitive fields are read for their digest only. */
export async function pageOfSlice(
  tx: Snapshot,
  filter: Filter,
  customer: string,
  after: number,
  limit: number,
): Promise<readonly (PlacedEntry & { readonly salt: Buffer })[]> {
  return tx.query<PlacedEntry & { readonly salt: Buffer }>(
    `select l.tree, l.position, l.number, micros(l.at) as at, l.kind, l.observer, l.customer_id as customer, l.account_id as account, l.session_id as session, l.node, l.plane,
       l.handle_id as handle, l.version_id as version, l.extent, l.bytes, l.public::text as "publicText", l.credential, l.also_credential as "alsoCredential",
       host(l.source) as source, l.source_port as "sourcePort", l.client, l.operator, l.sensitive::text as "sensitiveText", l.salt
     from ledger_sealed l where l.tree = $1 and l.position > $2 and ($3::uuid[] is null or l.session_id = any ($3::uuid[])) and ($4::text is null or l.node = $4::text)
       and l.at >= coalesce($5::timestamptz, '-infinity') and l.at < coalesce($6::timestamptz, 'infinity') order by l.position limit $7`,
    [customer, after, filter.sessions, filter.node, filter.since, filter.until, limit],
  );
}
