// Owns: the texts of an incident's pack: the overall page, a draft notice for each customer, how to verify a slice.
// Must never: say that something is known which is not, or leave a blank that looks filled. What a person has to decide stands in brackets.
import { clocksFrom } from '../server/domain/incident/clocks.ts';
import { type CsvCell, csv } from './csv.ts';
import type { Rows, Summary, Wish } from './incident.ts';
import { size } from './incident-text.ts';
import { when } from './output.ts';

export type CustomerPack = {
  readonly totals: Rows['customers'];
  readonly files: readonly Rows['files'][];
  readonly listings: readonly Rows['listings'][];
  readonly deposits: readonly Rows['deposits'][];
};

const wishText = (wish: Wish): string =>
  Object.entries(wish)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');

export function overallPage(given: {
  readonly wish: Wish;
  readonly aware: Date;
  readonly made: Date;
  readonly summary: Summary;
  readonly customers: readonly Rows['customers'][];
  readonly sessions: number;
}): string {
  const { wish, aware, made, summary, customers } = given;
  return [
    '# Incident: whose files were exposed',
    '',
    `Asked: ${wishText(wish)}. Awareness: ${when(aware.toISOString())}. Made: ${when(made.toISOString())}.`,
    '',
    ...(summary.isComplete
      ? []
      : [`**Not complete: the database holds the record from ${summary.oldestMonth} on; months before are in archives.**`, '']),
    ...(summary.frozen === null ? [] : [`**The record is frozen: ${summary.frozen}**`, '']),
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
    `- ${summary.sessions} sessions, ${customers.length} customers concerned`,
    `- ${summary.certain} files were sent for certain, ${summary.possible} possibly (a node or a line broke while they were), ${summary.unsent} were released and not sent by the word of the edge`,
    `- at most ${size(summary.releasedBytes)} were released: no more can have left; ${size(summary.sentBytes)} were sent by the word of the edge`,
    `- ${summary.names} names were told; ${summary.deposits} deposits passed through; ${summary.reachable} more files could have been read and were not`,
    ...summary.refused.map(({ kind, count }) => `- ${count} × ${kind}`),
    '',
    '## Customers',
    '',
    '| customer | certain | possible | unsent | released | sent | names | deposits | could have been read |',
    '|---|---|---|---|---|---|---|---|---|',
    ...customers.map(
      (one) =>
        `| ${one.customer} | ${one.certain} | ${one.possible} | ${one.unsent} | ${size(one.releasedBytes)} | ${size(one.sentBytes)} | ${one.names} | ${one.deposits} | ${one.reachable} |`,
    ),
    '',
    'A folder for each: `files.csv`, `files.json`, `listings.csv`, `deposits.csv`, `slice.jsonl` (its part of the record, with proofs), `VERIFY.md`, `notice.md` (a draft).',
    'Nothing of one customer stands in the folder of another.',
    '',
    '## The record behind it',
    '',
    '```',
    (summary.checkpoint ?? 'nothing is sealed').trimEnd(),
    '```',
    '',
  ].join('\n');
}

export function notice(pack: CustomerPack, aware: Date): string {
  const { totals, files } = pack;
  const times = files
    .map((one) => one.firstAt)
    .concat(files.map((one) => one.lastAt))
    .sort();
  const exposed = files.filter((one) => one.certainty !== 'unsent');
  return [
    `# Draft notice to ${totals.customer}`,
    '',
    '[Check every sentence before this is sent. What stands in brackets is for a person to fill in.]',
    '',
    'Dear [name],',
    '',
    `on ${when(aware.toISOString())} (UTC) we became aware of unauthorised access to our file transfer gateway that concerns files of ${totals.customer}.`,
    '',
    exposed.length === 0
      ? 'By our record no file of yours was sent to the intruder.'
      : `By our record ${totals.certain} of your files were sent to the intruder, and ${totals.possible} more may have been (the connection broke while they were read). The list with names, sizes, hashes and times is attached (files.csv).`,
    ...(times.length === 0 ? [] : [`This happened between ${when(times[0] ?? null)} and ${when(times.at(-1) ?? null)} (UTC).`]),
    ...(totals.unsent === 0 ? [] : [`${totals.unsent} further files were opened; by our record nothing of them was sent.`]),
    ...(totals.names === 0 ? [] : [`${totals.names} names of files were listed (listings.csv).`]),
    ...(totals.deposits === 0
      ? []
      : [
          `${totals.deposits} files that were delivered in that time passed through the part of our system that was affected (deposits.csv).`,
        ]),
    `No other file of yours was released: at most ${size(totals.releasedBytes)} left our store.`,
    '',
    'Whether these statements are complete you can check yourself: our record is sealed when it is written, and your part of it is attached with proofs (slice.jsonl, VERIFY.md).',
    '',
    '[What happened, as far as it is known. What was done. What the customer should do: keys to change, payments to look at.]',
    '',
    '[Contact, reachable day and night. Number of this incident.]',
    '',
  ].join('\n');
}

export const verifying = (keys: readonly string[]): string =>
  [
    '# How to verify slice.jsonl',
    '',
    'It holds the entries of our record that concern you and this incident, each with the proof that it stands where it was sealed. Needed: Node.js 24, and the verifier',
    'beside this folder (one file without dependencies; docs/reference/ledger-format.md of the product describes the format for any other program).',
    '',
    '```',
    `node ../ledger-verifier.ts slice ${keys.map((key) => `--key ${key}`).join(' ')} slice.jsonl`,
    '```',
    '',
    'Compare the key with the one that you were given when the contract began. When you keep checkpoints of our record yourself, or get them from somebody whom you trust, add',
    '`--witness DIRECTORY`: then nobody can have rewritten the record since, we included. A slice proves what it shows; internal fields (addresses, fingerprints) are covered by a',
    'digest and not shown.',
    '',
  ].join('\n');

const listingColumns: readonly (readonly [string, (row: Rows['listings']) => CsvCell])[] = [
  ['folder', (row) => row.folder],
  ['path', (row) => row.path],
  ['names', (row) => row.names],
  ['times', (row) => row.times],
  ['first', (row) => row.firstAt],
  ['last', (row) => row.lastAt],
];
const depositColumns: readonly (readonly [string, (row: Rows['deposits']) => CsvCell])[] = [
  ['folder', (row) => row.folder],
  ['path', (row) => row.path],
  ['version', (row) => row.version],
  ['sha256', (row) => row.sha256],
  ['size', (row) => row.size],
  ['outcome', (row) => row.outcome],
  ['at', (row) => row.at],
];
const sheet = <T>(columns: readonly (readonly [string, (row: T) => CsvCell])[], rows: readonly T[]): string =>
  csv(
    columns.map(([name]) => name),
    rows.map((row) => columns.map(([, value]) => value(row))),
  );
export const listingsCsv = (rows: readonly Rows['listings'][]): string => sheet(listingColumns, rows);
export const depositsCsv = (rows: readonly Rows['deposits'][]): string => sheet(depositColumns, rows);
