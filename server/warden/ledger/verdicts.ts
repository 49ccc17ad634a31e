// Owns: putting on the record what the standing verification said, and the alarm when it says something bad, or nothing.
// Must never: take a verdict for a reason to open anything. Whoever took the reading role says what he likes.
import type { Database } from '../../postgres/database.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import { record } from './ledger-queries.ts';
import { takeVerdicts, unverifiedMs } from './verdict-queries.ts';

const verdictsMax = 20;
const hourMs = 3_600_000;

export async function recordVerdicts(database: Database, withinHours: number | null): Promise<void> {
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
  if (withinHours === null) return;
  await database.withSystem(async (tx) => {
    const ms = await unverifiedMs(tx);
    if (ms <= withinHours * hourMs) return;
    await insertAlert(tx, {
      kind: 'ledger.not-verified',
      severity: 'critical',
      subject: 'ledger',
      text: `nobody has verified the record for ${Math.floor(ms / hourMs)} h; ${withinHours} h are allowed`,
      facts: { hours: Math.floor(ms / hourMs), withinHours },
      nextCommand: 'cofferctl ledger status',
    });
  });
}
