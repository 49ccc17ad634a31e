// Owns: the options that select credentials, for commands that show a plan first and act with --execute.
import type { Params, Result } from '../../server/rpc/operation.ts';
import type { OperatorToAdmin } from '../../server/rpc/operators/table.ts';
import { instantOf } from '../terminal/instant.ts';
import { plain, table, when } from '../terminal/output.ts';
import type { Given, Option } from '../verb/verb.ts';

type Selection = Params<OperatorToAdmin, 'credential.plan'>['selection'];
type Plan = Result<OperatorToAdmin, 'credential.plan'>;
type Row = Plan['credentials'][number];

export const selectionOptions: readonly Option[] = [
  { name: 'customer', value: 'NAME', help: 'credentials of this customer' },
  { name: 'account', value: 'NAME', help: 'of this account' },
  { name: 'credential', value: 'SHA256:…', help: 'this one' },
  { name: 'stale-before', value: 'DATE', help: 'issued before this day, such as 2026-01-31' },
  { name: 'used-from', value: 'NET', help: 'used at least once from this network' },
];

export function selectionOf(given: Given): Selection {
  const { customer, account, credential } = given.options;
  const stale = given.options['stale-before'];
  const usedFrom = given.options['used-from'];
  const staleBefore = stale === undefined ? undefined : instantOf(stale, 'stale-before');
  const chosen = Object.fromEntries(
    Object.entries({ customer, account, fingerprint: credential, staleBefore, usedFrom }).filter(
      ([, value]) => value !== undefined,
    ),
  );
  if (Object.keys(chosen).length === 0)
    throw new RangeError('name whom it concerns: --customer, --account, --credential, --stale-before or --used-from');
  return chosen;
}

export function credentialTable(rows: readonly Row[], empty: string): string {
  return table({
    columns: ['ACCOUNT', 'CREDENTIAL', 'TYPE', 'STATE', 'ISSUED BY', 'EXPIRES', 'LAST USED', 'FROM', 'OPEN'],
    rows: rows.map((one) => [
      one.account,
      one.fingerprint,
      one.algorithm,
      one.state,
      one.issuedBy,
      when(one.expiresAt),
      when(one.lastUsedAt),
      one.lastUsedFrom,
      one.openSessions,
    ]),
    empty,
  });
}

/** Returns what would happen, as text, and the command that makes it happen. */
export function planText(plan: Plan, verb: string, command: string): string {
  if (plan.count === 0) return 'no credential matches\n';
  const locked = plan.locksOut === 0 ? '' : `${plan.locksOut} accounts would be left without any usable credential.\n`;
  return [
    credentialTable(plan.credentials, ''),
    plan.more ? `… and ${plan.count - plan.credentials.length} more\n` : '',
    `\n${plan.count} credentials of ${plan.accounts} accounts would be ${verb}; ${plan.openSessions} sessions are open with them.\n`,
    locked,
    `Nothing was done. To do it: ${plain(command)}\n`,
  ].join('');
}
