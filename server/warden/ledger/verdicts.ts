// Owns: putting on the record what the standing verification said, and the alarm when it says something bad, or nothing.
// Must never: take a verdict for a reason to open anything. Whoever took the reading role says what he likes.
import type { Database, Transaction } from '../../postgres/database.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import { record } from './ledger-queries.ts';
import { takeVerdicts, unverifiedMs } from './verdict-queries.ts';

const verdictsMax = 20;
const hourMs = 3_600_000;

/** Hours within which something must have been said: by any run, and by one that read all of the record; null: nobody is expected. */
export type Within = { readonly any: number | null; readonly full: number | null };

export async function recordVerdicts(database: Database, within: Within): Promise<void> {
  await database.withSystem(async (tx) => {
    for (const { id: _id, ...verdict } of await takeVerdicts(tx, verdictsMax)) {
      await record(tx, { kind: 'ledger.verified', observer: 'warden', sensitive: verdict });
      if (verdict.verdict !== 'bad') continue;
      await insertAlert(tx, {
        kind: 'ledger.not-verified',
        severity: 'critical',
        subject: verdict.host,
        text: `the record does not verify: ${verdict.text}`,
        facts: { ...verdict },
        nextCommand: 'cofferctl ledger status',
      });
    }
  });
  await database.withSystem(async (tx) => {
    const { anyMs, fullMs } = await unverifiedMs(tx);
    await sayLate(tx, 'ledger', 'verified the record', anyMs, within.any);
    await sayLate(tx, 'whole ledger', 'verified the whole record, old entries too,', fullMs, within.full);
  });
}

async function sayLate(tx: Transaction, subject: string, what: string, ms: number, withinHours: number | null): Promise<void> {
  if (withinHours === null || ms <= withinHours * hourMs) return;
  const hours = Math.floor(ms / hourMs);
  await insertAlert(tx, {
    kind: 'ledger.not-verified',
    severity: 'critical',
    subject,
    text: `nobody has ${what} for ${hours} h; ${withinHours} h are allowed`,
    facts: { hours, withinHours },
    nextCommand: 'cofferctl ledger status',
  });
}
