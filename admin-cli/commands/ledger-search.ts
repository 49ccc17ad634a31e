import type { Params } from '../../server/rpc/operation.ts';
import type { OperatorToAdmin } from '../../server/rpc/operator-admin.ts';
import type { LedgerEntryRow } from '../../server/rpc/operator-ledger.ts';
import { type Command, type Given, type Option, positional, wholeNumber } from '../command.ts';
import { csv } from '../csv.ts';
import { plain, when } from '../output.ts';
import { instantOf } from '../scope.ts';

type Filter = Params<OperatorToAdmin, 'ledger.search'>['filter'];

const filterOptions: readonly Option[] = [
  { name: 'kind', value: 'KIND', help: 'such as login.refused, or login for all of them (docs/reference/ledger-entries.md)' },
  { name: 'customer', value: 'NAME', help: 'of this customer' },
  { name: 'account', value: 'NAME', help: 'of this account' },
  { name: 'session', value: 'ID', help: 'of this session' },
  { name: 'node', value: 'NAME', help: 'on this edge' },
  { name: 'source', value: 'NET', help: 'logins from this address or network' },
  { name: 'client-id', value: 'TEXT', help: 'logins whose client called itself something with this in it' },
  { name: 'credential', value: 'SHA256:…', help: 'logins with it, and what was done to it' },
  { name: 'by', value: 'NAME', help: 'what this operator did' },
  { name: 'version', value: 'ID', help: 'about this version of a file' },
  { name: 'sha256', value: 'HEX', help: 'files with this hash' },
  { name: 'text', value: 'TEXT', help: 'with this anywhere in the further fields' },
];
const timeOptions: readonly Option[] = [
  { name: 'since', value: 'DAY|7d', help: 'from then on: a day, an instant, or so long ago' },
  { name: 'until', value: 'DAY|1d', help: 'before then' },
];

function filterOf({ options }: Given): Filter {
  const { since, until } = options;
  const given = {
    kind: options.kind,
    customer: options.customer,
    account: options.account,
    session: options.session,
    node: options.node,
    source: options.source,
    client: options['client-id'],
    credential: options.credential,
    operator: options.by,
    version: options.version,
    sha256: options.sha256?.toLowerCase(),
    text: options.text,
    since: since === undefined ? undefined : instantOf(since, 'since'),
    until: until === undefined ? undefined : instantOf(until, 'until'),
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

const factsOf = (row: LedgerEntryRow): string =>
  [
    ...(row.source === null ? [] : [`from ${row.source}`]),
    ...(row.client === null ? [] : [row.client]),
    ...(row.credential === null ? [] : [row.credential]),
    ...(row.operator === null ? [] : [`by ${row.operator}`]),
    ...(row.extent === null ? [] : [`extent ${row.extent}`]),
    ...(row.bytes === null ? [] : [`${row.bytes} bytes`]),
    ...Object.entries({ ...row.public, ...row.sensitive }).map(
      ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
    ),
  ].join(' ');

const lineOf = (row: LedgerEntryRow): string =>
  plain(
    `${String(row.number ?? '-').padStart(9)}  ${when(row.at)}  ${row.kind.padEnd(18)} ${row.observer === 'edge' ? '(edge) ' : ''}${[row.customer, row.account, row.node].filter((one) => one !== null).join('/') || '-'}  ${factsOf(row)}`,
  ).slice(0, 400);

const columns = [
  'NUMBER',
  'AT',
  'KIND',
  'OBSERVER',
  'CUSTOMER',
  'ACCOUNT',
  'SESSION',
  'NODE',
  'SOURCE',
  'CLIENT',
  'CREDENTIAL',
  'OPERATOR',
  'VERSION',
  'EXTENT',
  'BYTES',
  'PUBLIC',
  'SENSITIVE',
];
const cellsOf = (row: LedgerEntryRow) => [
  row.number,
  row.at,
  row.kind,
  row.observer,
  row.customer,
  row.account,
  row.session,
  row.node,
  row.source,
  row.client,
  row.credential,
  row.operator,
  row.version,
  row.extent,
  row.bytes,
  JSON.stringify(row.public),
  JSON.stringify(row.sensitive),
];

const limitUsual = 100;
const pageMax = 200;

export const ledgerSearch: Command = {
  words: ['ledger', 'search'],
  positionals: [],
  options: [
    ...filterOptions,
    ...timeOptions,
    { name: 'limit', value: 'N', help: `at most so many, newest first (default ${limitUsual})` },
    { name: 'csv', value: null, help: 'a line for each entry, for a spreadsheet' },
  ],
  help: 'Entries of the record, newest first. Everything that is given must hold.',
  example: 'cofferctl ledger search --kind login.refused --since 1d',
  run: async (client, given) => {
    const filter = filterOf(given);
    const limit = wholeNumber(given, 'limit') ?? limitUsual;
    const entries: LedgerEntryRow[] = [];
    let isMore = true;
    for (let before: number | undefined; isMore && entries.length < limit; ) {
      const page: { readonly entries: LedgerEntryRow[]; readonly more: boolean } = await client.call('ledger.search', {
        filter,
        limit: Math.min(pageMax, limit - entries.length),
        ...(before === undefined ? {} : { before }),
      });
      entries.push(...page.entries);
      isMore = page.more;
      const last = page.entries.findLast((row) => row.number !== null)?.number ?? undefined;
      if (last === undefined || last === null) break;
      before = last;
    }
    const cut = isMore && entries.length >= limit ? `… there may be more: --limit N\n` : '';
    const text =
      given.options.csv === undefined
        ? `${entries.map((row) => `${lineOf(row)}\n`).join('')}${entries.length === 0 ? 'no entry\n' : ''}${cut}`
        : csv(
            columns.map((one) => one.toLowerCase()),
            entries.map(cellsOf),
          );
    return { data: { entries, isCut: cut !== '' }, text };
  },
};

const pollMs = 500;

export const ledgerTail: Command = {
  words: ['ledger', 'tail'],
  positionals: [],
  options: [...filterOptions, { name: 'count', value: 'N', help: 'ends after so many' }],
  help: 'Follows the record: each entry once it is sealed, in order, until Ctrl-C.',
  example: 'cofferctl ledger tail --kind session',
  run: async (client, given) => {
    const filter = filterOf(given);
    const count = wholeNumber(given, 'count') ?? Number.POSITIVE_INFINITY;
    let isOver = false;
    process.once('SIGINT', () => (isOver = true));
    let { last } = await client.call('ledger.tail', { filter });
    for (let shown = 0; shown < count && !isOver; ) {
      const page = await client.call('ledger.tail', { filter, after: last });
      for (const row of page.entries.slice(0, count - shown)) {
        process.stdout.write(given.isJson ? `${JSON.stringify(row)}\n` : `${lineOf(row)}\n`);
        shown += 1;
      }
      const isQuiet = page.entries.length === 0;
      last = page.last;
      if (isQuiet) await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
    return { data: null, text: '', isSaid: true };
  },
};

export const ledgerShow: Command = {
  words: ['ledger', 'show'],
  positionals: ['NUMBER'],
  options: [],
  help: 'One entry, whole: every field with its class and whose word it is, how its session was opened, and whether it is proved and witnessed.',
  example: 'cofferctl ledger show 4711',
  run: async (client, given) => {
    const number = Number(positional(given, 0));
    if (!Number.isSafeInteger(number) || number < 1) throw new RangeError(`an entry has a number, not "${positional(given, 0)}"`);
    const entry = await client.call('ledger.show', { number });
    const { proof, opening, names } = entry;
    const lines = [
      `entry ${entry.number}, ${when(entry.at)}: ${entry.kind}, ${entry.says}; seen by the ${entry.observer}`,
      ...(names.customer === null ? [] : [`customer ${names.customer}`]),
      ...(names.account === null ? [] : [`account ${names.account}`]),
      '',
      ...entry.fields.map(
        (one) =>
          `  ${one.name.padEnd(16)} ${plain(one.value)}   (${one.class}${one.observer === entry.observer ? '' : `, the word of the ${one.observer}`})`,
      ),
      '',
      ...(opening === null ? [] : [`its session: ${lineOf(opening).trim()}`]),
      `tree ${proof.tree}, position ${proof.position}: ${proof.text}`,
    ];
    return { data: entry, text: `${lines.join('\n')}\n`, isFault: !proof.isProved };
  },
};
