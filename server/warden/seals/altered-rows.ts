// Owns: reporting that a row is not what the warden wrote: one entry and one alert, whichever part of the warden found
// it.
import type { Transaction } from '../../postgres/database.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import { record } from '../ledger/entries/record.ts';
import type { SealKind } from './seal-queries.ts';

/**
 * A row that differs from what the warden wrote. Sessions and the handles of downloads and uploads are included; they
 * carry MACs of their own.
 */
type AlteredRow = { readonly kind: SealKind | 'session' | 'download' | 'upload' | 'used-code'; readonly id: string };

/** Records and raises that a row is not what the warden wrote. `where` says what found it, or what was done with it. */
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
