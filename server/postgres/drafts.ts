// Owns: which draft of the record belongs to which transaction (decision 36). Code that writes an entry adds it to the
// draft, and code that ends the transaction ends the draft.
// Must never: report that a transaction was committed before the server said so.
import type { Draft } from '../domain/ledger/births.ts';
import type { Transaction } from './database.ts';

const drafts = new WeakMap<Transaction, Draft>();

/** Returns a transaction that tells the draft of each statement that it runs. */
export function drafting(tx: Transaction, draft: Draft | undefined): Transaction {
  if (draft === undefined) return tx;
  const told: Transaction = {
    query: async (text, values) => {
      const rows = await tx.query(text, values);
      draft.heard(text);
      return rows as never;
    },
  };
  drafts.set(told, draft);
  return told;
}

/** Returns the draft of a transaction, or undefined when nobody watches the entries of its pool. */
export const draftOf = (tx: Transaction): Draft | undefined => drafts.get(tx);
