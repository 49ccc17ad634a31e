// Owns: what a customer is shown of an incident: the entries of its tree that a scope is about, public fields only, each with its proof.
// Must never: show a sensitive field, or an entry of another customer.
import { hash } from 'node:crypto';
import { classDigest, sensitiveArray } from '../../domain/ledger/leaf.ts';
import type { Snapshot } from '../../postgres/snapshot.ts';
import { anchorOf } from '../ledger/proofs.ts';
import type { Chosen } from './selection-queries.ts';
import { pageOfSlice } from './slice-queries.ts';

const sha256 = (data: Uint8Array): Buffer => hash('sha256', data, 'buffer');
const pageRows = 2000;

/** The lines of a slice (docs/reference/ledger-format.md), as values; none when the customer has no tree. */
export async function writeSlice(tx: Snapshot, chosen: Chosen, customer: string, onRow: (row: unknown) => void): Promise<void> {
  const anchor = await anchorOf(tx, customer);
  if (anchor === undefined) return;
  const { checkpoint, head, tree, path } = anchor;
  onRow({ slice: { version: 1, checkpoint, head, tree } });
  for (let after = -1; ; ) {
    const rows = await pageOfSlice(tx, chosen, customer, after, pageRows);
    for (const { salt, ...entry } of rows)
      onRow({
        shown: [
          entry.tree,
          entry.position,
          entry.number,
          entry.at,
          entry.kind,
          entry.observer,
          entry.customer,
          entry.account,
          entry.session,
          entry.node,
          entry.plane,
          entry.handle,
          entry.version,
          entry.extent,
          entry.bytes,
          entry.publicText,
        ],
        salt: salt.subarray(0, 16).toString('hex'),
        sensitive: Buffer.from(classDigest(sha256, salt.subarray(16), sensitiveArray(entry))).toString('hex'),
        proof: await path(entry.position),
      });
    const last = rows.at(-1);
    if (last === undefined || rows.length < pageRows) return;
    after = last.position;
  }
}
