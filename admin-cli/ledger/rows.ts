// Owns: entries of the record as lines of text and as CSV.
// Must never: let a text that a client or a customer wrote control the operator's terminal.
import type { LedgerRow } from '../../server/rpc/operators/ledger-entries.ts';
import { csv } from '../terminal/csv.ts';
import { plain } from '../terminal/output.ts';

const valueText = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
const pairs = (fields: Readonly<Record<string, unknown>>): readonly string[] =>
  Object.entries(fields).map(([name, value]) => `${name}=${valueText(value)}`);

/** Returns a line such as `812  2026-11-23 19:04:05.123Z  extent.granted  acme-upload@acme  session=… path=…`. */
export function entryLine(row: LedgerRow): string {
  const who = [row.account, row.customer].filter((name) => name !== null);
  const facts = [
    ...(row.operator === null ? [] : [`operator=${row.operator}`]),
    ...(row.credential === null ? [] : [`credential=${row.credential}`]),
    ...(row.source === null ? [] : [`source=${row.source}`]),
    ...(row.client === null ? [] : [`client=${row.client}`]),
    ...(row.node === null ? [] : [`node=${row.node}`]),
    ...(row.session === null ? [] : [`session=${row.session}`]),
    ...(row.version === null ? [] : [`version=${row.version}`]),
    ...(row.extent === null ? [] : [`extent=${row.extent}`]),
    ...(row.bytes === null ? [] : [`bytes=${row.bytes}`]),
    ...pairs(row.public),
    ...pairs(row.sensitive),
  ];
  const at = `${row.at.slice(0, 10)} ${row.at.slice(11, 23)}Z`;
  return plain(
    `${String(row.number ?? '-').padStart(6)}  ${at}  ${row.kind.padEnd(18)}  ${who.length === 0 ? '-' : who.join('@')}  ${facts.join(' ')}`,
  ).trimEnd();
}

const columns = [
  'number',
  'at',
  'kind',
  'observer',
  'customer',
  'account',
  'session',
  'node',
  'plane',
  'handle',
  'version',
  'extent',
  'bytes',
  'credential',
  'alsoCredential',
  'source',
  'sourcePort',
  'client',
  'operator',
] as const;

export function entriesCsv(rows: readonly LedgerRow[], isTerminal: boolean): string {
  const text = csv(
    [...columns, 'public', 'sensitive'],
    rows.map((row) => [...columns.map((name) => row[name]), JSON.stringify(row.public), JSON.stringify(row.sensitive)]),
  );
  return isTerminal ? text.split('\r\n').map(plain).join('\r\n') : text;
}
