// Owns: which draft of the record belongs to which transaction (decision 0036): whoever writes an entry adds it there, whoever ends the transaction ends it.
// Must never: say that a transaction was committed before the server said so.
import type { Draft } from '../domain/ledger/births.ts';
import type { Transaction } from './database.ts';

const drafts = new WeakMap<Transaction, Draft>();

/** The same transaction, which tells its draft what it runs. */
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

/** Undefined: this pool's entries are watched by nobody. */
export const draftOf = (tx: Transaction): Draft | undefined => drafts.get(tx);
