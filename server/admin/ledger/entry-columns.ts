// Owns: the columns by which a sealed entry is read from the database for its leaf to be computed, in the spelling in
// which it was sealed.
import type { PlacedEntry } from '../../domain/ledger/leaf.ts';

/** A sealed entry with the secret that its leaf is computed with. */
export type SealedRow = PlacedEntry & { readonly salt: Buffer };

/** The columns of an entry `l` of the record, as a `SealedRow`. */
export const entryColumns = `l.tree, l.position, l.number, micros(l.at) as at, l.kind, l.observer, l.customer_id as customer, l.account_id as account, l.session_id as session, l.node, l.plane,
       l.handle_id as handle, l.version_id as version, l.extent, l.bytes, l.public::text as "publicText", l.credential, l.also_credential as "alsoCredential",
       host(l.source) as source, l.source_port as "sourcePort", l.client, l.operator, l.sensitive::text as "sensitiveText", l.salt`;
