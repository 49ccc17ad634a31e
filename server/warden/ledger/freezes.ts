// Owns: writing a freeze: its row, its entry and its alarm, once and in one transaction.
// Must never: leave a freeze half written. Nothing is served before it is written, nor after.
import type { Transaction } from '../../postgres/database.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import type { Known } from './guard.ts';
import { record } from './ledger-queries.ts';
import { type Freeze, insertFreeze, type Look } from './seal-queries.ts';
import { RecordDiverged } from './standing.ts';

/** Returns the freeze with the facts that a release must name: the checkpoint that is given up, and the size to which the record goes back. */
export const wholeFreeze = (id: string, freeze: Omit<Freeze, 'id'>, seen: Look, known: Known | undefined): Freeze => ({
  ...freeze,
  id,
  facts: { witnessedSize: known?.heads ?? seen.heads, witnessedRoot: known?.root ?? '', heads: seen.heads, era: seen.era, ...freeze.facts },
});

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

/**
 * Returns what `work` returns, or the freeze of a record that turned out not to be what was signed: nothing of it is served any
 * more, and nothing more is signed.
 */
export async function orDiverged<T>({ identity, number }: Look, work: () => Promise<T>): Promise<T | Omit<Freeze, 'id'>> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof RecordDiverged)) throw error;
    return { why: 'diverged', text: error.message, facts: { identity, entries: number } };
  }
}
