// Owns: the SQL by which the standing verification says what it found.
// Must never: write anything else.
import type { Transaction } from '../postgres/database.ts';
import type { Verdict } from './library.ts';

export async function reportVerdict(tx: Transaction, host: string, { verdict, heads, entries, findings, text }: Verdict): Promise<void> {
  await tx.query('select ledger_report_verdict($1, $2, $3, $4, $5, $6)', [host, verdict, heads, entries, findings, text]);
}
