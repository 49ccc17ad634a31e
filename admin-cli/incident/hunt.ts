// Owns: `cofferctl incident hunt`.
import { type ListedIndicator, parseIndicators } from '../../server/domain/incident/indicators.ts';
import { type IndicatorHits, indicatorsPerCallMax } from '../../server/rpc/operators/incident.ts';
import type { Client } from '../connection/client.ts';
import { csv } from '../terminal/csv.ts';
import { inputText } from '../terminal/input-file.ts';
import { nextLine } from '../terminal/next-line.ts';
import { plain, table, when } from '../terminal/output.ts';
import type { Given, Verb } from '../verb/verb.ts';
import { type ArchivedHits, huntArchives, type Progress, requireArchives } from './archive-hunt.ts';
import { united } from './hunt-hits.ts';
import { completeFrom, notices, requireSame, type Span, spanOf } from './hunt-span.ts';

const faultsShownMax = 20;
/** `found` are the hits in the database, `archived` those in the archives. */
type Line = ListedIndicator & { readonly found: IndicatorHits | null; readonly archived: ArchivedHits | null };
type Looked = {
  readonly lines: readonly Line[];
  readonly span: Span;
  readonly completeFrom: string | null;
  /** The number of archived entries that were searched, or null when no archive was. */
  readonly archivedEntries: number | null;
};

/**
 * Reads the file of indicators. Throws a RangeError with all its faults together, so nothing is asked while there is a
 * fault.
 */
function listed(path: string): readonly ListedIndicator[] {
  const { indicators, faults } = parseIndicators(inputText(path));
  if (faults.length > 0) {
    const lines = faults.slice(0, faultsShownMax).map((one) => `line ${one.line}: ${plain(one.text)}`);
    throw new RangeError(
      `${path} cannot be used:\n${lines.join('\n')}${faults.length > faultsShownMax ? `\n… and ${faults.length - faultsShownMax} more` : ''}\nnothing was asked`,
    );
  }
  if (indicators.length === 0) throw new RangeError(`${path} has no indicator`);
  return indicators;
}

async function huntDatabase(
  client: Client,
  indicators: readonly ListedIndicator[],
  progress: Progress,
): Promise<{ readonly found: ReadonlyMap<number, IndicatorHits>; readonly completeFrom: string | null }> {
  const found = new Map<number, IndicatorHits>();
  let from: string | null = null;
  for (let start = 0; start < indicators.length; ) {
    const asked = indicators.slice(start, start + indicatorsPerCallMax);
    const page = await client.call('incident.hunt', { indicators: asked.map(({ type, value }) => ({ type, value })) });
    for (const one of page.found) found.set(start + one.index, one);
    from = page.completeFrom;
    start += page.more ? (page.found.at(-1)?.index ?? 0) + 1 : asked.length;
    progress(`${start} of ${indicators.length} indicators`);
  }
  return { found, completeFrom: from };
}

async function huntAll(
  client: Client,
  indicators: readonly ListedIndicator[],
  directory: string | undefined,
  progress: Progress,
): Promise<Looked> {
  const span = await spanOf(client);
  if (directory !== undefined) requireArchives(directory, span.offline);
  const database = await huntDatabase(client, indicators, progress);
  await requireSame(client, span);
  const archived =
    directory === undefined
      ? undefined
      : await huntArchives(client, { directory, archives: span.offline, indicators }, progress);
  return {
    lines: indicators.map((one, i) => ({
      ...one,
      found: database.found.get(i) ?? null,
      archived: archived?.hits.get(i) ?? null,
    })),
    span,
    completeFrom: completeFrom(span, database.completeFrom, directory !== undefined),
    archivedEntries: archived?.entries ?? null,
  };
}

/** Returns functions that show the progress in one line that is overwritten, on a terminal only. */
function progressOn(isTerminal: boolean): { readonly say: Progress; readonly end: () => void } {
  const write = (text: string): void => {
    if (isTerminal) process.stderr.write(`\r\u001b[K${text}`);
  };
  return { say: write, end: () => write('') };
}

const columns = [
  'LINE',
  'TYPE',
  'VALUE',
  'HITS',
  'ARCHIVED',
  'FIRST',
  'LAST',
  'SESSIONS',
  'ACCOUNTS',
  'CUSTOMERS',
  'KINDS',
  'NOTE',
];
const cellsOf = ({ line, type, value, note, found, archived }: Line) => {
  const both = united(found, archived);
  const names = (list: readonly string[] | undefined): string =>
    `${(list ?? []).join(' ')}${both?.more === true ? ' …' : ''}`;
  return [
    line,
    type,
    value,
    both?.hits ?? 0,
    archived?.hits ?? 0,
    both?.first == null ? null : when(both.first),
    both?.last == null ? null : when(both.last),
    both?.sessions ?? 0,
    names(both?.accounts),
    names(both?.customers),
    (both?.kinds ?? []).map((one) => `${one.kind} ${one.count}`).join(', '),
    note,
  ];
};

function textOf(given: Given, { lines, span, archivedEntries }: Looked, hit: readonly Line[], notice: string): string {
  const looked =
    archivedEntries === null
      ? ''
      : `Looked at the database and ${span.offline.length} archives with ${archivedEntries} entries.\n`;
  const next = `next: ${nextLine(given, 'incident scope --source NET')} (or --credential, --client-id, --account); it looks at the database only\n`;
  const list = hit.length === 0 ? '' : `\n${table({ columns, rows: hit.map(cellsOf), empty: '' })}\n${next}`;
  return `${notice}${looked}${hit.length} of ${lines.length} indicators occur\n${list}`;
}

export const incidentHunt: Verb = {
  words: ['incident', 'hunt'],
  positionals: [],
  options: [
    {
      name: 'ioc',
      value: 'FILE',
      help: 'CSV: a header type,value[,note] and lines; or values alone, told by their form',
      required: true,
    },
    {
      name: 'archive',
      value: 'DIR',
      help: 'looks at the archives too: a directory with every ledger-YYYY-MM.jsonl.gz that there is',
    },
    { name: 'csv', value: null, help: 'a line for each indicator' },
  ],
  help: 'Looks for indicators of compromise in the whole record, failed logins and operators included; with --archive in the months that have left the database, too. Types: address, network, fingerprint, client (part of an identification), sha256 (of a file, or of an operator’s key), account. Exit code 0: none occurs; 1: at least one does; with 10 or 78 an archive is missing or not the one that was written, and there is no answer.',
  example: 'cofferctl incident hunt --ioc indicators.csv --archive archive',
  operations: ['incident.hunt', 'incident.names', 'ledger.archives', 'ledger.status'],
  run: async (client, given) => {
    const { say, end } = progressOn(given.isTerminal);
    const looked = await huntAll(client, listed(given.options.ioc ?? ''), given.options.archive, say).finally(end);
    const { lines, span, completeFrom: from, archivedEntries } = looked;
    const hit = lines.filter((one) => one.found !== null || one.archived !== null);
    const notice = notices(span, from);
    if (given.options.csv !== undefined) for (const one of notice) process.stderr.write(`cofferctl: ${one}\n`);
    const archives =
      archivedEntries === null ? null : { months: span.offline.map((one) => one.month), entries: archivedEntries };
    return {
      data: {
        completeFrom: from,
        archives,
        retentionEnded: span.ended.map((one) => one.month),
        indicators: lines.length,
        occurring: hit.length,
        lines,
      },
      text:
        given.options.csv === undefined
          ? textOf(given, looked, hit, notice.map((one) => `${one}\n`).join(''))
          : csv(
              columns.map((one) => one.toLowerCase()),
              lines.map(cellsOf),
            ),
      isFault: hit.length > 0,
    };
  },
};
