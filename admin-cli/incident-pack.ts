// Owns: the texts of an incident's pack: the overall page, a draft notice for each customer, and how to verify a slice.
// Must never: state as known what is not known, or leave a gap that looks filled. What a person has to decide is in
// brackets.

import { sizeText as size } from '../server/domain/budgets.ts';
import { clocksFrom } from '../server/domain/incident/clocks.ts';
import type { Selection } from '../server/domain/incident/selection.ts';
import type { IncidentRow, IncidentSummary } from '../server/rpc/operator-incident.ts';
import { type CsvCell, csv } from './csv.ts';
import type { SliceHead } from './incident-folder.ts';

import { when } from './output.ts';

/** Returns the customer's name, or its id when the catalogue has no name. */
export const nameOf = (of: { readonly customer: string | null; readonly customerId: string | null }): string =>
  of.customer ?? of.customerId ?? 'none';

export type CustomerPack = {
  readonly totals: IncidentRow<'customers'>;
  readonly files: readonly IncidentRow<'files'>[];
  readonly names: readonly IncidentRow<'names'>[];
  readonly deposits: readonly IncidentRow<'deposits'>[];
};

const selectionText = (selection: Selection): string =>
  Object.entries(selection)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');

export function overallPage(given: {
  readonly selection: Selection;
  readonly aware: Date;
  readonly made: Date;
  readonly summary: IncidentSummary;
  readonly customers: readonly IncidentRow<'customers'>[];
}): string {
  const { selection, aware, made, summary, customers } = given;
  const { totals, record } = summary;
  return [
    '# Incident: whose files were exposed',
    '',
    `Asked: ${selectionText(selection)}. Awareness: ${when(aware.toISOString())}. Made: ${when(made.toISOString())}.`,
    '',
    ...(record.completeFrom === null
      ? []
      : [`**Not complete: the record before ${when(record.completeFrom)} is in archives and was not looked at.**`, '']),
    ...(record.frozen === null ? [] : [`**The record is frozen: ${record.frozen}**`, '']),
    '## Clocks',
    '',
    'Counted from the time of awareness that was given. Which of them apply is for counsel to say.',
    '',
    '| until (UTC) | rule | what | counted |',
    '|---|---|---|---|',
    ...clocksFrom(aware).map((one) => `| ${when(one.until)} | ${one.rule} | ${one.what} | ${one.note} |`),
    '',
    '## What is known',
    '',
    `- ${totals.sessions} sessions, ${customers.length} customers concerned`,
    `- ${totals.certain} files were sent for certain, ${totals.possible} possibly (a node or a line broke while they were), ${totals.unsent} were released and not sent by the word of the edge`,
    `- at most ${size(totals.releasedBytes)} were released: no more can have left; ${size(totals.sentBytes)} were sent by the word of the edge`,
    `- ${totals.names} names were told; ${totals.deposits} deposits passed through; ${totals.unread} more files could have been read and were not`,
    `- ${totals.refusedLogins} refused logins, ${totals.partialLogins} half-given, ${totals.refusedSessions} refused sessions, ${totals.strangerLogins} with names that nobody has`,
    '',
    '## Customers',
    '',
    '| customer | certain | possible | unsent | released | sent | names | deposits | could have been read |',
    '|---|---|---|---|---|---|---|---|---|',
    ...customers.map(
      (one) =>
        `| ${nameOf(one)} | ${one.certain} | ${one.possible} | ${one.unsent} | ${size(one.releasedBytes)} | ${size(one.sentBytes)} | ${one.names} | ${one.deposits} | ${one.unread} |`,
    ),
    '',
    'A folder for each: `files.csv`, `files.json`, `names.csv`, `deposits.csv`, `slice.jsonl` (its part of the record, without a gap), `VERIFY.md`, `notice.md` (a draft).',
    'Nothing of one customer stands in the folder of another.',
    '',
    '## The record behind it',
    '',
    '```',
    (record.checkpoint ?? 'nothing is sealed').trimEnd(),
    '```',
    '',
  ].join('\n');
}

export function notice(pack: CustomerPack, aware: Date): string {
  const { totals, files } = pack;
  const times = files.flatMap((one) => [one.first, one.last]).sort();
  const exposed = files.filter((one) => one.certainty !== 'unsent');
  return [
    `# Draft notice to ${nameOf(totals)}`,
    '',
    '[Check every sentence before this is sent. What stands in brackets is for a person to fill in.]',
    '',
    'Dear [name],',
    '',
    `on ${when(aware.toISOString())} (UTC) we became aware of unauthorised access to our file transfer gateway that concerns files of ${nameOf(totals)}.`,
    '',
    exposed.length === 0
      ? 'By our record no file of yours was sent to the intruder.'
      : `By our record ${totals.certain} of your files were sent to the intruder, and ${totals.possible} more may have been (the connection broke while they were read). The list with names, sizes, hashes and times is attached (files.csv).`,
    ...(times.length === 0 ? [] : [`This happened between ${when(times[0] ?? null)} and ${when(times.at(-1) ?? null)} (UTC).`]),
    ...(totals.unsent === 0 ? [] : [`${totals.unsent} further files were opened; by our record nothing of them was sent.`]),
    ...(totals.names === 0 ? [] : [`${totals.names} names of files were listed (names.csv).`]),
    ...(totals.deposits === 0
      ? []
      : [
          `${totals.deposits} files that were delivered in that time passed through the part of our system that was affected (deposits.csv).`,
        ]),
    `No other file of yours was released: at most ${size(totals.releasedBytes)} left our store.`,
    '',
    'Whether these statements are complete you can check yourself: our record is sealed when it is written, and every entry of it that concerns you is attached, from a point of the record before the incident to one behind it, without a gap (slice.jsonl, VERIFY.md).',
    '',
    '[What happened, as far as it is known. What was done. What the customer should do: keys to change, payments to look at.]',
    '',
    '[Contact, reachable day and night. Number of this incident.]',
    '',
  ].join('\n');
}

/** Returns a draft letter to a customer that the incident did not touch. */
export const assurance = (customer: string, { subject, entries }: Pick<SliceHead, 'subject' | 'entries'>): string =>
  [
    `# Draft letter to ${customer}`,
    '',
    '[Check every sentence before this is sent. What stands in brackets is for a person to fill in.]',
    '',
    'Dear [name],',
    '',
    `you may have heard of unauthorised access to our file transfer gateway. We have asked our record about ${subject}: nothing that concerns ${customer} belongs to it.`,
    '',
    `You need not take our word for it. Every entry of our record of that time that concerns you is attached (slice.jsonl), ${entries} in all, with the proof that none was left out and none was changed since it was sealed`,
    '(VERIFY.md). Look at all of them: each file of yours that was opened, by whom and when, is there.',
    '',
    '[Contact. Number of this incident.]',
    '',
  ].join('\n');

export const verifying = (keys: readonly string[]): string =>
  [
    '# How to verify slice.jsonl',
    '',
    'It holds every entry of our record that concerns you, between two points of it that we signed: one from before the incident, or the beginning, and one behind it. That none of them is missing is',
    'proved: with one left out, added or changed it does not verify. Which of them belong to the incident is our word (`selected`); you can look at every one. Needed: Node.js 20 or later, and the',
    'verifier beside this folder (one file without dependencies; docs/reference/ledger-format.md of the product describes the format for any other program).',
    '',
    '```',
    `node ../ledger-verifier.mjs slice ${keys.map((key) => `--key ${key}`).join(' ')} slice.jsonl`,
    '```',
    '',
    'Compare the key with the one that you were given when the contract began. When you keep checkpoints of our record yourself, or get them from somebody whom you trust, add',
    '`--witness DIRECTORY`: then nobody can have rewritten the record since, we included. Internal fields (addresses, fingerprints) are covered by a digest and not shown;',
    'of other customers nothing is in it.',
    '',
  ].join('\n');

const listingColumns: readonly (readonly [string, (row: IncidentRow<'names'>) => CsvCell])[] = [
  ['folder', (row) => row.folder],
  ['path', (row) => row.path],
  ['names', (row) => row.names],
  ['times', (row) => row.times],
  ['first', (row) => row.first],
  ['last', (row) => row.last],
];
const depositColumns: readonly (readonly [string, (row: IncidentRow<'deposits'>) => CsvCell])[] = [
  ['folder', (row) => row.folder],
  ['path', (row) => row.path],
  ['version', (row) => row.version],
  ['sha256', (row) => row.sha256],
  ['size', (row) => row.size],
  ['state', (row) => row.state],
  ['first', (row) => row.first],
  ['last', (row) => row.last],
];
const sheet = <T>(columns: readonly (readonly [string, (row: T) => CsvCell])[], rows: readonly T[]): string =>
  csv(
    columns.map(([name]) => name),
    rows.map((row) => columns.map(([, value]) => value(row))),
  );
export const namesCsv = (rows: readonly IncidentRow<'names'>[]): string => sheet(listingColumns, rows);
export const depositsCsv = (rows: readonly IncidentRow<'deposits'>[]): string => sheet(depositColumns, rows);
