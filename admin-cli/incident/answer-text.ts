// Owns: an answer about an incident as a text: what is certain and what is not, which customers it concerns, and then
// the files.
import { countText, sizeText } from '../../server/domain/budgets/amounts.ts';
import type { IncidentPart, IncidentRow, IncidentSummary } from '../../server/rpc/operators/incident.ts';
import { type CsvCell, csv } from '../terminal/csv.ts';
import { colour, plain, table, when } from '../terminal/output.ts';
import { provedText } from './proved-answer.ts';

export type Shown = { readonly [P in IncidentPart]: readonly IncidentRow<P>[] };
type Counts = Readonly<Partial<Record<IncidentPart, number>>>;

/** The largest number of rows of each list in the text. */
export const shownMax = 40;

const name = (customer: string | null, id: string | null): string => customer ?? id ?? '(none)';
const pathText = (row: { readonly folder: string | null; readonly path: string | null }): string =>
  row.folder === null ? '(no name is known)' : `${row.folder}${row.path ?? ''}`;
const files = (count: number): string => `${countText(count)} ${count === 1 ? 'file' : 'files'}`;

/**
 * Returns the lines about the state of the record. They come first, and anything that is wrong with the record comes
 * first in them.
 */
function recordLines(record: IncidentSummary['record'], isTerminal: boolean): readonly string[] {
  const loud = (text: string): string => colour('red', text, isTerminal);
  const { checkpointAt, unsealed, unwitnessedMs, frozen, completeFrom } = record;
  return [
    ...(completeFrom === null
      ? []
      : [
          loud(
            `NOT COMPLETE: the record before ${when(completeFrom)} is in archives and was not looked at. What follows begins there.`,
          ),
        ]),
    ...(frozen === null
      ? []
      : [loud(`THE RECORD IS FROZEN: ${plain(frozen)} See cofferctl ledger status before you rely on this.`)]),
    `record: newest checkpoint ${when(checkpointAt)}, ${unsealed} entries not sealed yet (they count)${
      unwitnessedMs > 60_000
        ? loud(`; no witness has had the newest ones for ${Math.round(unwitnessedMs / 1000)} s`)
        : ''
    }`,
  ];
}

/** Returns what is said of entries whose counts have another form than a warden gives them. */
export const oddText = (entries: number): string =>
  `${countText(entries)} ${entries === 1 ? 'entry states' : 'entries state'} a count in a form in which no warden writes one: it is not known what ${entries === 1 ? 'it counts' : 'they count'}, and numbers can be higher. The record was touched: see cofferctl ledger verify`;

/**
 * Returns what was looked at, and what is odd about it. An answer that found nothing must not read like an all-clear.
 */
function windowLines({ window, isEmpty, unknown, totals }: IncidentSummary, isTerminal: boolean): readonly string[] {
  const loud = (text: string): string => colour('red', text, isTerminal);
  return [
    `looked at: ${window.since === null ? 'everything' : `from ${when(window.since)}`} up to ${when(window.until)}`,
    ...unknown.map((one) => loud(`THE RECORD KNOWS NO ${plain(one)}: is it spelled rightly?`)),
    ...(totals.oddEntries === 0 ? [] : [loud(oddText(totals.oddEntries))]),
    ...(isEmpty ? [loud('NOTHING WAS FOUND: no session, no failed login, no action, no other entry')] : []),
  ];
}

function totalLines({ totals, accounts, accountsMore }: IncidentSummary): readonly string[] {
  const failed = totals.refusedLogins + totals.partialLogins + totals.refusedSessions + totals.strangerLogins;
  return [
    `sessions: ${countText(totals.sessions)}; accounts: ${accounts.length === 0 ? 'none' : accounts.slice(0, 8).map(plain).join(', ')}${accounts.length > 8 || accountsMore ? ' and more' : ''}`,
    `exposed:  ${files(totals.certain)} certain, ${totals.possible} possible, ${totals.unsent} unsent; keys of ${sizeText(totals.releasedBytes)} left, the edge says ${sizeText(totals.sentBytes)} went out`,
    `also:     ${countText(totals.names)} names told; ${countText(totals.deposits)} deposits of ${sizeText(totals.depositBytes)} passed through`,
    `not read: ${files(totals.unread)} (${sizeText(totals.unreadBytes)}) could have been read, as rights stand today`,
    ...(failed === 0
      ? []
      : [
          `failed:   ${totals.refusedLogins} logins refused, ${totals.partialLogins} stopped half-way, ${totals.refusedSessions} had no room, ${totals.strangerLogins} with unknown names`,
        ]),
    ...(totals.unknownVersions === 0
      ? []
      : [`${files(totals.unknownVersions)} of the record are not in the catalogue`]),
    ...(totals.differing === 0
      ? []
      : [`${files(totals.differing)} have another size or hash in the catalogue today; the record's are shown`]),
  ];
}

const rest = (count: number | undefined, shown: number, what: string): string =>
  (count ?? 0) > shown
    ? `… and ${countText((count ?? 0) - shown)} more ${what}: --csv lists files, --json everything\n`
    : '';

function fileTable(rows: readonly IncidentRow<'files'>[]): string {
  return table({
    columns: ['CUSTOMER', 'FILE', 'SIZE', 'CERTAINTY', 'EXTENTS', 'RELEASED', 'SENT', 'FIRST', 'LAST', 'NOTE'],
    rows: rows.map((row) => [
      name(row.customer, row.customerId),
      pathText(row),
      row.size === null ? null : sizeText(row.size),
      row.certainty,
      `${row.releasedExtents}/${row.extents ?? '?'}`,
      sizeText(row.releasedBytes),
      sizeText(row.sentBytes),
      when(row.first),
      when(row.last),
      [
        ...(row.state === null ? ['not in the catalogue'] : []),
        ...(row.differs.length > 0 ? [`catalogue has another ${row.differs.join(', ')}`] : []),
        ...(row.verifiedExtents > 0 ? [`${row.verifiedExtents} to hash an upload`] : []),
      ].join('; '),
    ]),
    empty: 'no key of any file left',
  });
}

const customerTable = (rows: readonly IncidentRow<'customers'>[]): string =>
  table({
    columns: [
      'CUSTOMER',
      'CERTAIN',
      'POSSIBLE',
      'UNSENT',
      'RELEASED',
      'SENT',
      'NAMES',
      'DEPOSITS',
      'NOT READ',
      'FAILED LOGINS',
      'ENTRIES',
    ],
    rows: rows.map((row) => [
      name(row.customer, row.customerId),
      row.certain,
      row.possible,
      row.unsent,
      sizeText(row.releasedBytes),
      sizeText(row.sentBytes),
      row.names,
      row.deposits,
      row.unread,
      row.failedLogins,
      row.entries,
    ]),
    empty: 'no customer is concerned',
  });

const sessionTable = (rows: readonly IncidentRow<'sessions'>[]): string =>
  table({
    columns: ['START', 'END', 'REASON', 'ACCOUNT', 'CREDENTIAL', 'FROM', 'CLIENT', 'NODE', 'OUT', 'SESSION'],
    rows: rows.map((row) => [
      when(row.start),
      when(row.end),
      row.reason,
      row.account,
      [row.credential, row.alsoCredential].filter((one) => one !== null).join(' '),
      row.source,
      row.client,
      row.node,
      row.bytesOut === null ? null : sizeText(row.bytesOut),
      row.session,
    ]),
    empty: 'no session fits',
  });

const nameTable = (rows: readonly IncidentRow<'names'>[]): string =>
  table({
    columns: ['CUSTOMER', 'FOLDER', 'NAMES', 'TIMES', 'FIRST', 'LAST'],
    rows: rows.map((row) => [
      name(row.customer, row.customerId),
      pathText(row),
      row.names,
      row.times,
      when(row.first),
      when(row.last),
    ]),
    empty: '',
  });

const depositTable = (rows: readonly IncidentRow<'deposits'>[]): string =>
  table({
    columns: ['CUSTOMER', 'FILE', 'SIZE', 'STATE', 'UPLOADS', 'FIRST', 'LAST'],
    rows: rows.map((row) => [
      name(row.customer, row.customerId),
      pathText(row),
      row.size === null ? null : sizeText(row.size),
      row.state,
      row.uploads,
      when(row.first),
      when(row.last),
    ]),
    empty: '',
  });

const traceTable = (rows: readonly IncidentRow<'traces'>[]): string =>
  table({
    columns: ['AT', 'KIND', 'CUSTOMER', 'ACCOUNT'],
    rows: rows.map((row) => [when(row.at), row.kind, name(row.customer, row.customerId), row.account]),
    empty: '',
  });

const actionTable = (rows: readonly IncidentRow<'actions'>[]): string =>
  table({
    columns: ['AT', 'KIND', 'BY', 'CUSTOMER', 'ACCOUNT', 'CREDENTIAL', 'ENTRY'],
    rows: rows.map((row) => [
      when(row.at),
      row.kind,
      row.operator,
      row.customer,
      row.account,
      row.credential,
      row.number,
    ]),
    empty: '',
  });

/** Returns the whole text. `counts` are the numbers of rows of all lists; `shown` contains the first rows of each. */
export function scopeText(
  summary: IncidentSummary,
  shown: Omit<Shown, 'unread'>,
  counts: Counts,
  isTerminal: boolean,
): string {
  const part = (title: string, what: IncidentPart, body: string): readonly string[] =>
    (counts[what] ?? 0) === 0
      ? []
      : ['', title, body.trimEnd(), rest(counts[what], shownMax, what).trimEnd()].filter(
          (line, i) => i === 0 || line !== '',
        );
  return `${[
    ...recordLines(summary.record, isTerminal),
    ...windowLines(summary, isTerminal),
    ...totalLines(summary),
    '',
    customerTable(shown.customers).trimEnd(),
    ...part('FILES whose keys left', 'files', fileTable(shown.files)),
    ...part('NAMES that were told', 'names', nameTable(shown.names)),
    ...part('DEPOSITS that passed through', 'deposits', depositTable(shown.deposits)),
    ...part(
      'OUTSIDE OF SESSIONS: failed logins, how the credential became usable, what the operator did',
      'traces',
      traceTable(shown.traces),
    ),
    ...part('SESSIONS', 'sessions', sessionTable(shown.sessions)),
    ...part('ACTIONS of the operator', 'actions', actionTable(shown.actions)),
    '',
    'certain: a client closed the file itself after bytes went out. possible: keys left and what arrived is unknown. unsent: the edge says nothing went out.',
    provedText(summary),
    `found in ${(summary.tookMs / 1000).toFixed(1)} s`,
  ].join('\n')}\n`;
}

type Column = readonly [name: string, value: (row: IncidentRow<'files'>) => CsvCell];
/** The order of the columns never changes from one version to the next: new columns are added at the end. */
const columns: readonly Column[] = [
  ['customer', (row) => row.customer],
  ['customer id', (row) => row.customerId],
  ['folder', (row) => row.folder],
  ['path', (row) => row.path],
  ['version', (row) => row.version],
  ['sha256', (row) => row.sha256],
  ['size', (row) => row.size],
  ['deposited', (row) => row.deposited],
  ['certainty', (row) => row.certainty],
  ['extents', (row) => row.extents],
  ['released extents', (row) => row.releasedExtents],
  ['released bytes', (row) => row.releasedBytes],
  ['extents to hash an upload', (row) => row.verifiedExtents],
  ['sent bytes', (row) => row.sentBytes],
  ['handles', (row) => row.handles],
  ['first', (row) => row.first],
  ['last', (row) => row.last],
  ['catalogue state', (row) => row.state],
  ['catalogue differs', (row) => row.differs.join(' ')],
];

export function filesCsv(rows: readonly IncidentRow<'files'>[], isTerminal: boolean): string {
  const shown = (value: CsvCell): CsvCell => (isTerminal && typeof value === 'string' ? plain(value) : value);
  return csv(
    columns.map(([title]) => title),
    rows.map((row) => columns.map(([, value]) => shown(value(row)))),
  );
}
