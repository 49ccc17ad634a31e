// Owns: a scope as text for a tired person, and as lines of CSV files.
import type { CsvCell } from './csv.ts';
import { csv } from './csv.ts';
import type { Rows, Summary } from './incident.ts';
import { plain, table, when } from './output.ts';

const shownMax = 40;

/** 1,234,567 bytes as 1.2 MiB. */
export function size(bytes: number): string {
  for (const [unit, factor] of [
    ['GiB', 2 ** 30],
    ['MiB', 2 ** 20],
    ['KiB', 2 ** 10],
  ] as const)
    if (bytes >= factor) return `${(bytes / factor).toFixed(1)} ${unit}`;
  return `${bytes} B`;
}

export type Whole = { readonly summary: Summary } & { readonly [P in keyof Rows]: readonly Rows[P][] };

const cut = (all: readonly unknown[], what: string): string =>
  all.length > shownMax ? `… and ${all.length - shownMax} more ${what}: --csv or --json has them all\n` : '';

function warnings({ isComplete, oldestMonth, frozen, unwitnessedMs }: Summary): readonly string[] {
  return [
    ...(isComplete ? [] : [`NOT COMPLETE: the database holds the record from ${oldestMonth} on; months before are in archives`]),
    ...(frozen === null ? [] : [`THE RECORD IS FROZEN: ${plain(frozen)}`]),
    ...(unwitnessedMs < 10_000 ? [] : [`the newest entries were not witnessed for ${Math.round(unwitnessedMs / 1000)} s`]),
  ];
}

export function scopeText(whole: Whole): string {
  const { summary, customers, files, listings, deposits, sessions, actions } = whole;
  const refused = summary.refused.map(({ kind, count }) => `${count} ${kind}`).join(', ');
  const head = [
    ...warnings(summary),
    `${summary.sessions} sessions, ${summary.customers} customers concerned${refused === '' ? '' : `; ${refused}`}`,
    `${summary.certain} files sent for certain, ${summary.possible} possibly, ${summary.unsent} released and not sent`,
    `${size(summary.releasedBytes)} released at most, ${size(summary.sentBytes)} sent by the word of the edge`,
    `${summary.names} names told, ${summary.deposits} deposits passed through, ${summary.reachable} more files could have been read`,
    `worked out in ${(summary.tookMs / 1000).toFixed(1)} s`,
    '',
  ];
  const parts = [
    table({
      columns: ['CUSTOMER', 'CERTAIN', 'POSSIBLE', 'UNSENT', 'RELEASED', 'SENT', 'NAMES', 'DEPOSITS', 'COULD HAVE'],
      rows: customers.map((one) => [
        one.customer,
        one.certain,
        one.possible,
        one.unsent,
        size(one.releasedBytes),
        size(one.sentBytes),
        one.names,
        one.deposits,
        one.reachable,
      ]),
      empty: 'nothing of any customer was exposed',
    }),
    table({
      columns: ['CUSTOMER', 'FILE', 'RELEASED', 'OF', 'SENT', 'CERTAINTY', 'FIRST', 'SHA-256'],
      rows: files
        .slice(0, shownMax)
        .map((one) => [
          one.customer,
          `/${one.folder}${one.path}`,
          size(one.releasedBytes),
          one.size === null ? '?' : size(one.size),
          size(one.sentBytes),
          one.certainty,
          when(one.firstAt),
          one.sha256?.slice(0, 16) ?? '?',
        ]),
      empty: 'no file was released',
    }) + cut(files, 'files'),
    ...(listings.length === 0
      ? []
      : [
          table({
            columns: ['CUSTOMER', 'LISTED', 'NAMES', 'TIMES', 'FIRST', 'LAST'],
            rows: listings
              .slice(0, shownMax)
              .map((one) => [one.customer, `/${one.folder}${one.path}`, one.names, one.times, when(one.firstAt), when(one.lastAt)]),
            empty: '',
          }) + cut(listings, 'listings'),
        ]),
    ...(deposits.length === 0
      ? []
      : [
          table({
            columns: ['CUSTOMER', 'DEPOSIT', 'SIZE', 'OUTCOME', 'AT'],
            rows: deposits
              .slice(0, shownMax)
              .map((one) => [
                one.customer,
                `/${one.folder}${one.path}`,
                one.size === null ? '?' : size(one.size),
                one.outcome,
                when(one.at),
              ]),
            empty: '',
          }) + cut(deposits, 'deposits'),
        ]),
    table({
      columns: ['SESSION', 'ACCOUNT', 'NODE', 'FROM', 'CLIENT', 'OPENED', 'ENDED', 'WHY'],
      rows: sessions
        .slice(0, shownMax)
        .map((one) => [one.session, one.account, one.node, one.source, one.client, when(one.openedAt), when(one.endedAt), one.endReason]),
      empty: 'no session',
    }) + cut(sessions, 'sessions'),
    ...(actions.length === 0
      ? []
      : [
          table({
            columns: ['AT', 'ACTION', 'CUSTOMER', 'ACCOUNT', 'FACTS'],
            rows: actions
              .slice(0, shownMax)
              .map((one) => [when(one.at), one.kind, one.customer, one.account, JSON.stringify(one.facts).slice(0, 100)]),
            empty: '',
          }) + cut(actions, 'actions'),
        ]),
  ];
  return [...head, parts.join('\n')].join('\n');
}

/** In this order since the first version; new ones come at the end. */
export const fileColumns: readonly (readonly [string, (row: Rows['files']) => CsvCell])[] = [
  ['customer', (row) => row.customer],
  ['folder', (row) => row.folder],
  ['path', (row) => row.path],
  ['version', (row) => row.version],
  ['number', (row) => row.number],
  ['sha256', (row) => row.sha256],
  ['size', (row) => row.size],
  ['deposited at', (row) => row.depositedAt],
  ['deposited by', (row) => row.depositedBy],
  ['certainty', (row) => row.certainty],
  ['released bytes', (row) => row.releasedBytes],
  ['released extents', (row) => row.extents],
  ['extents', (row) => row.extentCount],
  ['sent bytes', (row) => row.sentBytes],
  ['first', (row) => row.firstAt],
  ['last', (row) => row.lastAt],
  ['sessions', (row) => row.sessions],
  ['differs', (row) => row.differs],
];

export const filesCsv = (rows: readonly Rows['files'][]): string =>
  csv(
    fileColumns.map(([name]) => name),
    rows.map((row) => fileColumns.map(([, value]) => value(row))),
  );
