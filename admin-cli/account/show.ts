// Owns: `cofferctl account show`.
import { plain, table, when } from '../terminal/output.ts';
import { read } from '../verb/read.ts';
import { positional } from '../verb/verb.ts';

const line = ([name, value]: readonly [string, string | null]): string =>
  `${name.padEnd(24)} ${value === null ? '-' : plain(value)}\n`;
const yesOrNo = (is: boolean): string => (is ? 'yes' : 'no');

type Right = { readonly customer: string; readonly folder: string; readonly verbs: readonly string[] };
/** Says where relative paths of an account begin, by the rule of a login. */
function startIn(startsIn: string | null, plane: string, rights: readonly Right[]): string {
  const pathOf = (customer: string, folder: string): string =>
    plane === 'internal' ? `/${customer}/${folder}` : `/${folder}`;
  const [only] = rights.length === 1 ? rights : [];
  if (startsIn === null)
    return only?.verbs.includes('write') ? `${pathOf(only.customer, only.folder)} (its only folder)` : '/';
  const set = rights.find((one) => `${one.customer}/${one.folder}` === startsIn);
  if (set !== undefined) return pathOf(set.customer, set.folder);
  return startsIn === 'root' ? '/ (set)' : `/ (${startsIn} was set, and it may do nothing there)`;
}

export const accountShow = read({
  words: ['account', 'show'],
  positionals: ['NAME'],
  help: 'Shows one account: what it is, from where it may log in, and what it may do in which folders.',
  example: 'cofferctl account show processor',
  operation: 'account.show',
  params: (given) => ({ name: positional(given, 0) }),
  text: ({ account, rights }) =>
    [
      ...(
        [
          ['account', account.name],
          ['customer', account.customer ?? 'none: an internal account'],
          ['kind', account.kind],
          ['state', account.state],
          ['ends', when(account.expiresAt)],
          ['allowed sources', account.networks.join(', ') || 'anywhere'],
          ['keys', String(account.keys)],
          ['second factor', yesOrNo(account.secondFactor)],
          ['window until', when(account.windowOpenUntil)],
          ['last used', when(account.lastUsedAt)],
          ['read-only', yesOrNo(account.readOnly)],
          ['manages other accounts', yesOrNo(account.manages)],
          ['starts in', startIn(account.startsIn, account.plane, rights)],
          ['contact', account.contact],
        ] as const
      ).map(line),
      '\n',
      table({
        columns: ['CUSTOMER', 'FOLDER', 'DIRECTION', 'MAY'],
        rows: rights.map((one) => [one.customer, one.folder, one.direction, one.verbs.join(', ')]),
        empty: 'it may do nothing in any folder',
      }),
    ].join(''),
});
