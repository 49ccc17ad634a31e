// Owns: the texts of an incident's pack: the overall page, a draft notice for each customer, and how to verify a slice.
// Must never: state as known what is not known, or leave a gap that looks filled. What a person has to decide is in
// brackets.

import { sizeText as size } from '../../server/domain/budgets/amounts.ts';
import { clocksFrom } from '../../server/domain/incident/clocks.ts';
import { kindOfSelection, type Selection } from '../../server/domain/incident/selection.ts';
import type { IncidentRow, IncidentSummary } from '../../server/rpc/operators/incident.ts';
import { type CsvCell, csv } from '../terminal/csv.ts';
import { shown } from '../terminal/next-line.ts';
import { when } from '../terminal/output.ts';
import { oddText } from './answer-text.ts';
import { type SliceHead, verifierSum } from './folder.ts';
import { provedText } from './proved-answer.ts';
import type { ProvedName } from './slice-check.ts';

type Named = { readonly customer: string | null; readonly customerId: string | null };

/** Returns the customer's name, or its id when the catalogue has no name. */
const nameOf = (of: Named): string => of.customer ?? of.customerId ?? 'none';

export type CustomerPack = {
  readonly totals: IncidentRow<'customers'>;
  readonly files: readonly IncidentRow<'files'>[];
  readonly names: readonly IncidentRow<'names'>[];
  readonly deposits: readonly IncidentRow<'deposits'>[];
  /** Failed logins and changes: entries of no session that belong to the selection. */
  readonly traces: readonly IncidentRow<'traces'>[];
};

/** To whom a letter goes: by the name that the customer's own record states, where that could be proved. */
type Addressee = { readonly id: string | null; readonly isProved: boolean } & ProvedName;

export const addressee = (of: Named, named: ProvedName | undefined): Addressee => ({
  ...(named ?? { name: nameOf(of) }),
  id: of.customerId,
  isProved: named !== undefined,
});

/** A selection and its window, as every sentence of a letter is limited by it. */
export type Asked = {
  readonly selection: Selection;
  readonly window: IncidentSummary['window'];
  readonly isEmpty: boolean;
  /** What is older is in archives and was not looked at; null: everything was. */
  readonly completeFrom: string | null;
  /** What the answer, or the record behind it, does not reach, each a sentence. */
  readonly limits: readonly string[];
};

/** Returns what a customer is told of the selection: by what was asked, and never whom, who may be another customer. */
const askedText = ({ selection, window, completeFrom }: Asked): string =>
  `${kindOfSelection(selection)} [which: name it where it may be told], ${window.since === null ? 'from the beginning' : `from ${when(window.since)}`} up to ${when(window.until)} (UTC)${completeFrom === null ? '' : `; our record before ${when(completeFrom)} is in archives, and was not looked at`}`;

const limitsText = ({ limits }: Asked): readonly string[] =>
  limits.length === 0 ? [] : ['This is not complete:', '', ...limits.map((one) => `- ${one}`), ''];

const addressText = ({ name, before, id, isProved }: Addressee): readonly string[] => [
  id === null
    ? '[This belongs to no customer.]'
    : `${name} has the id ${id} in our gateway. Every receipt that you have from it names this id (\`customer\`), signed: compare them.`,
  ...(before === undefined ? [] : [`Until ${when(before.until)} (UTC) its name in our gateway was ${before.name}.`]),
  ...(isProved || id === null
    ? []
    : ["[The name is the catalogue's alone: the entry that states it could not be proved from here. Compare it.]"]),
];

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
  /** What a reader must be told first, each a sentence. */
  readonly warnings: readonly string[];
}): string {
  const { selection, aware, made, summary, customers, warnings } = given;
  const { totals, record } = summary;
  return [
    '# Incident: whose files were exposed',
    '',
    `Asked: ${selectionText(selection)}. Looked at: ${summary.window.since === null ? 'everything' : `from ${when(summary.window.since)}`} up to ${when(summary.window.until)} (UTC). Awareness: ${when(aware.toISOString())}. Made: ${when(made.toISOString())}.`,
    '',
    ...warnings.flatMap((one) => [`**${one}**`, '']),
    ...(record.completeFrom === null
      ? []
      : [`**Not complete: the record before ${when(record.completeFrom)} is in archives and was not looked at.**`, '']),
    ...(record.frozen === null ? [] : [`**The record is frozen: ${record.frozen}**`, '']),
    ...(totals.oddEntries === 0 ? [] : [`**${oddText(totals.oddEntries)}.**`, '']),
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
    '| customer | id | certain | possible | unsent | released | sent | names | deposits | failed logins | entries | could have been read |',
    '|---|---|---|---|---|---|---|---|---|---|---|---|',
    ...customers.map(
      (one) =>
        `| ${nameOf(one)} | ${one.customerId ?? 'none'} | ${one.certain} | ${one.possible} | ${one.unsent} | ${size(one.releasedBytes)} | ${size(one.sentBytes)} | ${one.names} | ${one.deposits} | ${one.failedLogins} | ${one.entries} | ${one.unread} |`,
    ),
    '',
    'A folder for each: `files.csv`, `files.json`, `names.csv`, `deposits.csv`, `attempts.csv` (failed logins and changes), `slice.jsonl` (its part of the record, without a gap), `VERIFY.md`, `notice.md` (a draft).',
    'What could have been read is counted by the rights that the accounts have today, not by those of the time.',
    'Nothing of one customer stands in the folder of another.',
    '',
    '## The record behind it',
    '',
    '```',
    (summary.proved?.checkpoint ?? record.checkpoint ?? 'nothing is sealed').trimEnd(),
    '```',
    '',
    provedText(summary),
    '',
  ].join('\n');
}

export function notice(pack: CustomerPack, aware: Date, to: Addressee, asked: Asked): string {
  const { totals, files, traces } = pack;
  const times = [...files.flatMap((one) => [one.first, one.last]), ...traces.map((one) => one.at)].sort();
  const exposed = files.filter((one) => one.certainty !== 'unsent');
  const others = traces.length - totals.failedLogins;
  return [
    `# Draft notice to ${to.name}`,
    '',
    '[Check every sentence before this is sent. What stands in brackets is for a person to fill in.]',
    '',
    'Dear [name],',
    '',
    ...addressText(to),
    '',
    `on ${when(aware.toISOString())} (UTC) we became aware of unauthorised access to our file transfer gateway. We have asked our record for ${askedText(asked)}: ${totals.entries} entries that concern ${to.name} belong to it. Every sentence below is about these alone.`,
    '',
    exposed.length === 0
      ? 'By our record no file of yours was sent to whoever did it.'
      : `By our record ${totals.certain} of your files were sent, and ${totals.possible} more may have been (the connection broke while they were read). The list with names, sizes, hashes and times is attached (files.csv).`,
    ...(times.length === 0
      ? []
      : [`This happened between ${when(times[0] ?? null)} and ${when(times.at(-1) ?? null)} (UTC).`]),
    ...(totals.unsent === 0
      ? []
      : [`${totals.unsent} further files were opened; by our record nothing of them was sent.`]),
    ...(totals.names === 0 ? [] : [`${totals.names} names of files were listed (names.csv).`]),
    ...(totals.deposits === 0
      ? []
      : [
          `${totals.deposits} files that were delivered in that time passed through the part of our system that was affected (deposits.csv).`,
        ]),
    ...(totals.failedLogins === 0
      ? []
      : [
          `${totals.failedLogins} logins to your accounts were refused, or stopped before the last proof (attempts.csv). They opened no session.`,
        ]),
    ...(others <= 0 ? [] : [`${others} more entries tell of changes to your accounts or keys (attempts.csv).`]),
    `In this, no other file of yours was released: at most ${size(totals.releasedBytes)} left our store.`,
    '',
    ...limitsText(asked),
    'Whether these statements are complete you can check yourself: our record is sealed when it is written, and every entry of it of that time that concerns you is attached, without a gap (slice.jsonl, VERIFY.md), whether it belongs to the above or not.',
    '',
    '[What happened, as far as it is known. What was done. What the customer should do: keys to change, payments to look at.]',
    '',
    '[Contact, reachable day and night. Number of this incident.]',
    '',
  ].join('\n');
}

/** Returns a draft letter to a customer that the incident did not touch. */
export const assurance = (to: Addressee, { entries }: Pick<SliceHead, 'entries'>, asked: Asked): string =>
  [
    `# Draft letter to ${to.name}`,
    '',
    '[Check every sentence before this is sent. What stands in brackets is for a person to fill in.]',
    '',
    'Dear [name],',
    '',
    ...addressText(to),
    '',
    `you may have heard of unauthorised access to our file transfer gateway. We have asked our record for ${askedText(asked)}. ${
      asked.isEmpty
        ? 'Our record has nothing of it at all: no session, no failed login, no other entry, of nobody.'
        : `Of the ${entries} entries of that time that concern ${to.name} none belongs to it.`
    }`,
    '',
    ...limitsText(asked),
    `You need not take our word for what is in our record. Every entry of that time that concerns you is attached (slice.jsonl), ${entries} in all, with the proof that none was left out and none was changed since it was sealed`,
    '(VERIFY.md). Look at all of them: each file of yours that was opened, by whom and when, is there. Which of them belong to what we asked for is our word, and this letter says it.',
    '',
    '[Contact. Number of this incident.]',
    '',
  ].join('\n');

export function verifying(keys: readonly string[], to: Addressee, { since, until }: IncidentSummary['window']): string {
  const demanded = `${since === null ? '' : ` --since ${new Date(since).toISOString()}`} --until ${new Date(until).toISOString()}`;
  return [
    '# How to verify slice.jsonl',
    '',
    `It holds every entry of our record that concerns customer ${to.id ?? 'none'} (${to.name}) and that was sealed between two points of it that we signed: one from before the time asked for, or the beginning, and one behind it.`,
    'The id is yours when it is the one in your receipts (`customer`): they are signed. That no entry is missing is proved: with one left out, added or changed, or with points that do not enclose the',
    'time below, it does not verify. Which of them belong to the incident (`selected`), and the words of the first line, are signed by nobody: our letter says it, and you can look at every entry. Needed: Node.js 20',
    'or later, and the verifier beside this folder (one file without dependencies; docs/reference/ledger-format.md of the product describes the format for any other program).',
    '',
    '```',
    `node ../ledger-verifier.mjs slice ${keys.map((key) => `--key ${shown(key)}`).join(' ')}${demanded} slice.jsonl`,
    '```',
    '',
    'Do not believe this page: whoever could alter the folder could alter the program beside it and the key above. Use the key that you were given when the contract began, and the program as it comes with the',
    `product, or as you got it in another way; the one beside this folder has the SHA-256 ${verifierSum()}. Compare the time with the one that you want to know about. When you keep checkpoints of our record yourself, or somebody whom you`,
    'trust keeps them, add `--witness DIRECTORY`: then nobody can have rewritten the record since, we included. Internal fields (addresses, fingerprints) are covered by a digest and not shown;',
    'of other customers nothing is in it.',
    '',
  ].join('\n');
}

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
const traceColumns: readonly (readonly [string, (row: IncidentRow<'traces'>) => CsvCell])[] = [
  ['at', (row) => row.at],
  ['kind', (row) => row.kind],
  ['account', (row) => row.account],
  ['facts', (row) => JSON.stringify(row.facts)],
];
const sheet = <T>(columns: readonly (readonly [string, (row: T) => CsvCell])[], rows: readonly T[]): string =>
  csv(
    columns.map(([name]) => name),
    rows.map((row) => columns.map(([, value]) => value(row))),
  );
export const namesCsv = (rows: readonly IncidentRow<'names'>[]): string => sheet(listingColumns, rows);
export const depositsCsv = (rows: readonly IncidentRow<'deposits'>[]): string => sheet(depositColumns, rows);
export const attemptsCsv = (rows: readonly IncidentRow<'traces'>[]): string => sheet(traceColumns, rows);
