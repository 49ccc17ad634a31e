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

/** Entries that this warden wrote, and that are neither waiting nor sealed as it wrote them. */
type Lost = { readonly gone: readonly Birth[]; readonly changed: readonly Birth[] };

function listOf(lost: readonly Birth[]): string {
  const kinds = Map.groupBy(lost, (one) => one.kind);
  return [...kinds].map(([kind, those]) => `${those.length} ${kind}`).join(', ');
}

/**
 * Tells of entries that this warden wrote, that no signed head contains, and that a release gave up, or that cannot be
 * looked for any more. Their times are those that the database gave them.
 */
export async function tellGivenUp(
  tx: Transaction,
  { era }: Pick<Look, 'era'>,
  { gone, changed }: Lost,
  isByRelease: boolean,
): Promise<void> {
  const lost = [...gone, ...changed];
  if (lost.length === 0) return;
  const at = (micros: number): string => new Date(micros / 1000).toISOString();
  const times = lost.map((one) => one.writtenAt);
  const [from, to] = [at(Math.min(...times)), at(Math.max(...times))];
  const isGone = `what is neither waiting nor sealed, entries by kind: ${listOf(gone)}`;
  const isChanged = `what does not say any more what was written, entries by kind: ${listOf(changed)}`;
  const parts = [...(gone.length > 0 ? [isGone] : []), ...(changed.length > 0 ? [isChanged] : [])];
  const who = isByRelease
    ? `the release that began era ${era} gave up`
    : 'an earlier run of this warden left, too long ago to be searched for,';
  const text = `${who} what this warden wrote from ${from} to ${to} and ${parts.join('; and ')}`;
  const kinds = Object.fromEntries(
    [...Map.groupBy(lost, (one) => one.kind)].map(([kind, those]) => [kind, those.length]),
  );
  await tell(tx, text, { era, entries: lost.length, changed: changed.length, kinds, from, to });
}

/** Tells of a checkpoint that was signed just before a loss, and that the operators of the release did not know of. */
export async function tellUnnamed(tx: Transaction, { era }: Pick<Look, 'era'>, unnamed: Vouched): Promise<void> {
  const { by, size, time } = unnamed;
  const text = `more was given up than the release named: ${by} has a checkpoint of ${size} heads, era ${unnamed.era}, of ${time}, which was signed in the last moment before the loss`;
  await tell(tx, text, { era, size, time, of: unnamed.era });
}
