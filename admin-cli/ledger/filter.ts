// Owns: the options that select entries of the record.
import { type LedgerFilter, ledgerFilter } from '../../server/rpc/operators/ledger-entries.ts';
import { instantOf } from '../terminal/instant.ts';
import type { Given, Option } from '../verb/verb.ts';

export const followOptions: readonly Option[] = [
  {
    name: 'kind',
    value: 'KIND',
    help: 'such as login.refused, or login for all of them (docs/reference/ledger-entries.md)',
  },
  { name: 'customer', value: 'NAME', help: 'of this customer' },
  { name: 'account', value: 'NAME', help: 'of this account' },
  { name: 'session', value: 'ID', help: 'of this session' },
  { name: 'node', value: 'NAME', help: 'on this edge' },
  { name: 'source', value: 'NET', help: 'from this address or network, or in a session from there' },
  {
    name: 'client-id',
    value: 'TEXT',
    help: "part of the client's identification, or of its session's; case does not count",
  },
  { name: 'credential', value: 'SHA256:…', help: 'names this credential, or is in a session that was opened with it' },
  { name: 'operator', value: 'NAME', help: 'what this operator did' },
  { name: 'version', value: 'ID', help: 'of this version of a file' },
  { name: 'sha256', value: 'HASH', help: 'of a file with this content' },
  { name: 'text', value: 'TEXT', help: 'anywhere in the further fields; case does not count' },
];
export const searchOptions: readonly Option[] = [
  ...followOptions,
  {
    name: 'since',
    value: 'DAY|7d',
    help: 'entries from then on: a day, an instant such as 2026-01-31T08:00:00Z, or so long ago',
  },
  { name: 'until', value: 'DAY|1d', help: 'entries before then' },
];

/** Returns the filter that the options describe. Throws a RangeError that names the invalid option. */
export function filterOf({ options }: Given): LedgerFilter {
  const { kind, customer, account, session, node, source, credential, operator, version, sha256, text, since, until } =
    options;
  const given = {
    ...{
      kind,
      customer,
      account,
      session,
      node,
      source,
      clientId: options['client-id'],
      credential,
      operator,
      version,
      text,
    },
    sha256: sha256?.toLowerCase(),
    since: since === undefined ? undefined : instantOf(since, 'since'),
    until: until === undefined ? undefined : instantOf(until, 'until'),
  };
  const parsed = ledgerFilter.safeParse(
    Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
  );
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const name = String(issue?.path[0] ?? '').replace('clientId', 'client-id');
  throw new RangeError(`--${name}: ${issue?.message}`);
}
