// Owns: what belongs to a transaction beside its rows: its draft of the record (decision 0036), to which whoever writes
// an entry adds it, and the alerts that it raised, which the process's own sink hears when it has ended, whatever
// stands in their rows then. Whoever ends the transaction ends both.
// Must never: say that a transaction was committed before the server said so; tell an alert that was undone, for
// instance by a plan.
import type { Draft, End } from '../domain/ledger/births.ts';
import type { AlertSink, RaisedAlert } from '../domain/raised-alert.ts';
import { SavepointList } from '../domain/savepoints.ts';
import type { Transaction } from './database.ts';

const drafts = new WeakMap<Transaction, Draft>();
const outboxes = new WeakMap<Transaction, SavepointList<RaisedAlert>>();

/** The same transaction, which tells its draft and its outbox what it runs; `end` is called when it has ended. */
export function drafting(
  tx: Transaction,
  draft: Draft | undefined,
  sink?: AlertSink,
): { readonly tx: Transaction; end(end: End): void } {
  if (draft === undefined && sink === undefined) return { tx, end: () => {} };
  const alerts = new SavepointList<RaisedAlert>();
  const told: Transaction = {
    query: async (text, values) => {
      const rows = await tx.query(text, values);
      draft?.heard(text);
      alerts.heard(text);
      return rows as never;
    },
  };
  if (draft !== undefined) drafts.set(told, draft);
  if (sink !== undefined) outboxes.set(told, alerts);
  return {
    tx: told,
    end: (end) => {
      draft?.end(end);
      // Of a commit nobody knows the end of, too: an alert may be told twice, and not never.
      if (end !== 'undone') for (const alert of alerts.items) sink?.(alert);
    },
  };
}

/** Returns the draft of a transaction, or undefined when nobody watches the entries of its pool. */
export const draftOf = (tx: Transaction): Draft | undefined => drafts.get(tx);

/** The alert goes out when the transaction has ended. Without a sink only its row tells of it. */
export const leaveAlert = (tx: Transaction, alert: RaisedAlert): void => outboxes.get(tx)?.add(alert);
