// Owns: writing a freeze: its row, its entry and its alarm, once and in one transaction.
// Must never: leave a freeze half written. Nothing is served before it is written, nor after.
import type { Transaction } from '../../postgres/database.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import { record } from './ledger-queries.ts';
import { type Freeze, insertFreeze } from './seal-queries.ts';

/** Writes the freeze. Does nothing when an unreleased freeze exists already. */
export async function recordFreeze(tx: Transaction, whole: Freeze): Promise<void> {
  if (!(await insertFreeze(tx, whole))) return;
  await record(tx, {
    kind: 'ledger.frozen',
    observer: 'warden',
    sensitive: { freeze: whole.id, why: whole.why, text: whole.text, facts: whole.facts },
  });
  await insertAlert(tx, {
    kind: 'ledger.frozen',
    severity: 'critical',
    subject: whole.id,
    text: `nothing is served: ${whole.text}`,
    facts: { freeze: whole.id, why: whole.why, ...whole.facts },
    nextCommand: 'cofferctl ledger status',
  });
}
