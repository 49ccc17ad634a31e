// Owns: the rows of an access review, as lines of a CSV file and as a text that a person reads account by account.
import type { AccessRow } from '../../server/rpc/operators/report.ts';
import { type CsvCell, csv } from '../terminal/csv.ts';
import { colour, plain, when } from '../terminal/output.ts';

type Window = AccessRow['windows'][number];
type Column = readonly [name: string, value: (row: AccessRow) => CsvCell];

const windowText = (one: Window): string =>
  one.name === null
    ? `${when(one.opensAt)} to ${when(one.closesAt)}, opened by ${one.openedBy}: ${one.reason}`
    : `EXCEPTION ${one.name}: ${one.schedule}, until ${when(one.closesAt)}, opened by ${one.openedBy}: ${one.reason}`;

function windowTexts(row: AccessRow): readonly string[] {
  const hidden = row.windowCount - row.windows.length;
  return [
    ...row.windows.map(windowText),
    ...(hidden > 0 ? [`and ${hidden} more: cofferctl window list --account ${row.account}`] : []),
  ];
}

/** The order of the columns never changes from one version to the next: new columns are added at the end. */
const columns: readonly Column[] = [
  ['account', (row) => row.account],
  ['kind', (row) => row.kind],
  ['plane', (row) => row.plane],
  ['state', (row) => row.state],
  ['ends', (row) => row.expiresAt],
  ['contact', (row) => row.contact],
  ['manages', (row) => row.manages],
  ['account networks', (row) => row.networks.join(' ')],
  ['customer', (row) => row.customer],
  ['customer state', (row) => row.customerState],
  ['folder', (row) => row.folder],
  ['direction', (row) => row.direction],
  ['verbs', (row) => row.verbs.join(' ')],
  ['credential', (row) => row.credential?.fingerprint ?? 'no usable credential'],
  ['type', (row) => row.credential?.type ?? null],
  ['credential state', (row) => row.credential?.state ?? null],
  ['issued by', (row) => row.credential?.issuedBy ?? null],
  ['issued at', (row) => row.credential?.issuedAt ?? null],
  ['expires', (row) => row.credential?.expiresAt ?? null],
  ['first used at', (row) => row.credential?.firstUsed?.at ?? null],
  ['first source', (row) => row.credential?.firstUsed?.from ?? null],
  ['last used at', (row) => row.credential?.lastUsed?.at ?? null],
  ['last source', (row) => row.credential?.lastUsed?.from ?? null],
  ['unused days', (row) => row.credential?.unusedDays ?? null],
  ['credential networks', (row) => row.credential?.networks.join(' ') ?? null],
  ['read only', (row) => row.readOnly || row.credential?.readOnly === true],
  ['second factor', (row) => row.secondFactor],
  ['allowed proofs', (row) => row.allowedProofs.join(' ')],
  ['opens with', (row) => row.opensWith.join(' ')],
  ['blocked', (row) => row.blocked],
  ['windows', (row) => windowTexts(row).join('; ')],
  ['ended credentials', (row) => row.endedCredentials],
];

export function accessCsv(rows: readonly AccessRow[], isTerminal: boolean): string {
  const shown = (value: CsvCell): CsvCell => (isTerminal && typeof value === 'string' ? plain(value) : value);
  return csv(
    columns.map(([name]) => name),
    rows.map((row) => columns.map(([, value]) => shown(value(row)))),
  );
}

function grouped<T>(rows: readonly T[], key: (row: T) => string): readonly (readonly [T, readonly T[]])[] {
  const groups = new Map<string, T[]>();
  for (const row of rows) {
    const found = groups.get(key(row));
    if (found === undefined) groups.set(key(row), [row]);
    else found.push(row);
  }
  return [...groups.values()].flatMap((group) => (group[0] === undefined ? [] : [[group[0], group] as const]));
}

function credentialLines(first: AccessRow, rows: readonly AccessRow[], isTerminal: boolean): readonly string[] {
  const one = first.credential;
  const reach = rows
    .filter((row) => row.folder !== null)
    .map((row) => {
      const suspended = row.customerState === 'active' ? '' : ` (customer ${row.customerState})`;
      return `      ${row.customer}/${plain(row.folder ?? '')}  ${row.direction}: ${row.verbs.join(', ') || 'nothing'}${suspended}`;
    });
  const blocked = rows.every((row) => row.blocked !== null) ? first.blocked : null;
  if (one === null)
    return [
      `  no usable credential${first.endedCredentials > 0 ? ` (${first.endedCredentials} have ended)` : ''}`,
      ...reach,
    ];
  const at = (use: NonNullable<typeof one.lastUsed>): string => `${when(use.at)} from ${use.from ?? '?'}`;
  const used =
    one.firstUsed === null || one.lastUsed === null
      ? 'never used'
      : `first used ${at(one.firstUsed)}, last used ${at(one.lastUsed)}`;
  const limits = [
    ...(one.readOnly ? ['read-only'] : []),
    ...(one.networks.length > 0 ? [`from ${one.networks.join(' ')}`] : []),
  ];
  return [
    `  ${one.fingerprint}  ${one.type}, ${one.state}${limits.length === 0 ? '' : `, ${limits.join(', ')}`}`,
    `      issued ${when(one.issuedAt)} by ${plain(one.issuedBy)}, ends ${when(one.expiresAt)}`,
    `      ${used}${one.unusedDays > 0 ? `; unused for ${one.unusedDays} days` : ''}`,
    blocked === null
      ? `      ${colour('yellow', `opens with ${first.opensWith.join(' or ')}`, isTerminal)}`
      : `      ${colour('green', `opens nothing: ${blocked}`, isTerminal)}${first.allowedProofs.length > 0 ? ` (allowed: ${first.allowedProofs.join(', ')})` : ''}`,
    ...(reach.length === 0 ? ['      reaches no folder'] : reach),
  ];
}

function accountLines(first: AccessRow, rows: readonly AccessRow[], isTerminal: boolean): readonly string[] {
  const facts = [
    first.state,
    ...(first.expiresAt === null ? [] : [`ends ${when(first.expiresAt)}`]),
    ...(first.manages ? ["manages the customer's machines"] : []),
    ...(first.readOnly ? ['read-only'] : []),
    first.secondFactor ? 'second factor' : 'no second factor',
    first.networks.length === 0 ? 'from anywhere' : `from ${first.networks.join(' ')}`,
    `contact ${first.contact === null ? 'unknown' : plain(first.contact)}`,
  ];
  return [
    `${first.account}  (${first.kind}, ${first.plane} plane${first.plane === 'partner' ? `, ${first.customer}` : ''})`,
    `  ${facts.join('; ')}`,
    ...windowTexts(first).map((text) => `  window ${plain(text)}`),
    ...grouped(rows, (row) => row.credential?.fingerprint ?? '').flatMap(([one, same]) =>
      credentialLines(one, same, isTerminal),
    ),
    '',
  ];
}

export function accessText(rows: readonly AccessRow[], isTerminal: boolean): string {
  if (rows.length === 0) return 'nobody\n';
  const accounts = grouped(rows, (row) => row.account);
  const open = new Set(rows.filter((row) => row.blocked === null).map((row) => row.account)).size;
  const exceptions = accounts.reduce(
    (sum, [first]) => sum + first.windows.filter((one) => one.name !== null).length,
    0,
  );
  return [
    `${accounts.length} accounts; ${open} of them can open a session and reach a folder; ${exceptions} exceptions`,
    '',
    ...accounts.flatMap(([first, same]) => accountLines(first, same, isTerminal)),
  ].join('\n');
}
