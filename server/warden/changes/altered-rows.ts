// Owns: how it is told that a row is not what the warden wrote: an entry and an alert, whoever found it.
import type { Transaction } from '../../postgres/database.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import { record } from '../ledger/ledger-queries.ts';
import type { SealKind } from './seal-queries.ts';

/** A row that is not what it was when the warden wrote it. Sessions and handles carry MACs of their own. */
export type AlteredRow = { readonly kind: SealKind | 'session' | 'download' | 'upload' | 'used-code'; readonly id: string };

export async function alarmBroken(tx: Transaction, row: AlteredRow, where: string): Promise<void> {
  const facts = { kind: row.kind, row: row.id, where };
  await record(tx, { kind: 'row.broken-seal', observer: 'warden', sensitive: facts });
  await insertAlert(tx, {
    kind: 'row.broken-seal',
    severity: 'critical',
    subject: `${row.kind}/${row.id}`,
    text: `the row of ${row.kind} ${row.id} is not what the warden wrote: somebody changed the database; ${where}`,
    facts,
    nextCommand: 'cofferctl report changes --since 7d',
  });
}
