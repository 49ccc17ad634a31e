// Owns: the SQL by which the standing verification says what it found.
// Must never: write anything else.
import type { Transaction } from '../postgres/database.ts';
import type { Verdict } from './verify.ts';

export async function reportVerdict(tx: Transaction, host: string, said: Verdict): Promise<void> {
  const { verdict, heads, entries, findings, text, run, since, full } = said;
  await tx.query('select ledger_report_verdict($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)', [
    host,
    verdict,
    heads,
    entries,
    findings,
    text,
    run,
    since?.head ?? null,
    since?.entry ?? null,
    since?.at ?? null,
    run === 'since' ? (full?.at ?? null) : null,
  ]);
}
