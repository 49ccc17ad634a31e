// Owns: saying what a release gave up beyond what its operators could see: in an entry of the record and an alert.
// Must never: say only one of the two, or leave out how much it is, of which kinds and of which time.
import type { Birth } from '../../domain/ledger/births.ts';
import type { Transaction } from '../../postgres/database.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import type { Vouched } from './comparison.ts';
import { record } from './entries/record.ts';
import type { Look } from './seal-queries.ts';

async function tell(tx: Transaction, text: string, facts: Readonly<Record<string, unknown>>): Promise<void> {
  await record(tx, { kind: 'ledger.given-up', observer: 'warden', sensitive: { text, facts } });
  await insertAlert(tx, {
    kind: 'ledger.given-up',
    severity: 'critical',
    subject: 'ledger',
    text,
    facts,
    nextCommand: 'cofferctl ledger status',
  });
}

/**
 * Tells of entries that this warden wrote, that no signed head contains, and that a release gave up. Their times are
 * told by the database's clock.
 */
export async function tellGivenUp(
  tx: Transaction,
  { era, now }: Pick<Look, 'era' | 'now'>,
  lost: readonly Birth[],
): Promise<void> {
  if (lost.length === 0) return;
  const kinds: Record<string, number> = {};
  for (const { kind } of lost) kinds[kind] = (kinds[kind] ?? 0) + 1;
  const at = (birth: number): string => new Date(now - (performance.now() - birth)).toISOString();
  const times = lost.map((one) => one.at);
  const [from, to] = [at(Math.min(...times)), at(Math.max(...times))];
  const list = Object.entries(kinds)
    .map(([kind, count]) => `${count} ${kind}`)
    .join(', ');
  const text = `the release that began era ${era} gave up what this warden wrote from ${from} to ${to} and what is neither waiting nor sealed, entries by kind: ${list}`;
  await tell(tx, text, { era, entries: lost.length, kinds, from, to });
}

/** Tells of a checkpoint that was signed just before a loss, and that the operators of the release did not know of. */
export async function tellUnnamed(tx: Transaction, { era }: Pick<Look, 'era'>, unnamed: Vouched): Promise<void> {
  const { by, size, time } = unnamed;
  const text = `more was given up than the release named: ${by} has a checkpoint of ${size} heads, era ${unnamed.era}, of ${time}, which was signed in the last moment before the loss`;
  await tell(tx, text, { era, size, time, of: unnamed.era });
}
