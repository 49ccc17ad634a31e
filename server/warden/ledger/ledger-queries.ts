// Owns: writing ledger entries, in the effect's own transaction.
// Must never: be called after the effect; if the entry cannot be written, the effect does not happen.
import type { Transaction } from '../../postgres/database.ts';
import type { LedgerEntry } from '../context.ts';

const watched = new WeakMap<Transaction, LedgerEntry[]>();

/** What this transaction records from now on, as it is recorded: for a plan, which is undone. */
export function watch(tx: Transaction): readonly LedgerEntry[] {
  const entries: LedgerEntry[] = [];
  watched.set(tx, entries);
  return entries;
}

export async function record(tx: Transaction, entry: LedgerEntry): Promise<void> {
  watched.get(tx)?.push(entry);
  await tx.query(
    'insert into ledger (kind, customer_id, account_id, session_id, node, observer, public, sensitive) values ($1, $2, $3, $4, $5, $6, $7, $8)',
    [
      entry.kind,
      entry.customer ?? null,
      entry.account ?? null,
      entry.session ?? null,
      entry.node ?? null,
      entry.observer,
      JSON.stringify(entry.public ?? {}),
      JSON.stringify(entry.sensitive ?? {}),
    ],
  );
}
