// Owns: putting on the record what the standing verification said, and the alarm when it says something bad, or nothing.
// Must never: take a verdict for a reason to open anything. Whoever took the reading role says what he likes.
import type { Database, Transaction } from '../../postgres/database.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import { record } from './ledger-queries.ts';
import { newestRecorded, takeVerdicts, unverifiedMs } from './verdict-queries.ts';

const verdictsMax = 20;
const hourMs = 3_600_000;

/** Hours within which something must have been said: by any run, and by one that read all of the record; null: nobody is expected. */
export type Within = { readonly any: number | null; readonly full: number | null };

/** What one leading warden knows of the verdicts. Null: it has not looked since it leads. */
export type VerdictMemory = { newest: number | null };

/**
 * Puts the new verdicts on the record, and raises the alarms. What this warden has not recorded while it leads is new,
 * whatever its mark says; a mark that somebody else made is an alarm of its own.
 */
export async function recordVerdicts(database: Database, within: Within, memory: VerdictMemory = { newest: null }): Promise<void> {
  memory.newest = await database.withSystem(async (tx) => {
    const known = memory.newest ?? (await newestRecorded(tx));
    let newest = known;
    for (const { id, wasMarked, ...verdict } of await takeVerdicts(tx, verdictsMax, known)) {
      newest = Math.max(newest, Number(id));
      await record(tx, { kind: 'ledger.verified', observer: 'warden', sensitive: verdict });
      if (wasMarked)
        await insertAlert(tx, {
          kind: 'ledger.not-verified',
          severity: 'critical',
          subject: `${verdict.host}, hidden`,
          text: `a verdict (${verdict.verdict}) was marked as recorded before it was: somebody changed the database to keep it from the record`,
          facts: { verdictNumber: Number(id), ...verdict },
          nextCommand: 'cofferctl doctor',
        });
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
    return newest;
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
