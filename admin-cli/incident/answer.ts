// Owns: asking for an answer about an incident, and fetching its parts page by page.
// Must never: take a part of an answer for the whole.
import { CofferdamError, type ErrorCode, errorCodes } from '../../server/domain/errors.ts';
import type { Selection } from '../../server/domain/incident/selection.ts';
import {
  type IncidentPart,
  type IncidentRow,
  type IncidentSummary,
  incidentParts,
} from '../../server/rpc/operators/incident.ts';
import type { Client } from '../connection/client.ts';
import { instantOf } from '../terminal/instant.ts';
import type { Given, Option } from '../verb/verb.ts';

const waitMs = 10_000;

export type Answer = {
  readonly scope: string;
  readonly summary: IncidentSummary;
  readonly rows: Readonly<Partial<Record<IncidentPart, number>>>;
};

export const selectionOptions: readonly Option[] = [
  { name: 'credential', value: 'SHA256:…', help: 'used as first or second proof' },
  { name: 'account', value: 'NAME', help: 'of this account' },
  { name: 'source', value: 'NET', help: 'from this address or network' },
  { name: 'client-id', value: 'TEXT', help: "part of the client's identification; case does not count" },
  { name: 'session', value: 'ID', help: 'this session' },
  { name: 'node', value: 'NAME', help: 'on this edge' },
  {
    name: 'operator',
    value: 'NAME',
    help: 'what this operator did, and the sessions of what was touched from then on',
  },
  {
    name: 'since',
    value: 'DAY|7d',
    help: 'entries from then on: a day, an instant such as 2026-01-31T08:00:00Z, or so long ago',
  },
  { name: 'until', value: 'DAY|1d', help: 'entries before then' },
];

/** Returns the selection that the options describe. Throws a RangeError when no option says whom it concerns. */
export function selectionOf({ options }: Given): Selection {
  const given = {
    credential: options.credential,
    account: options.account,
    source: options.source,
    client: options['client-id'],
    session: options.session,
    node: options.node,
    operator: options.operator,
  };
  const named = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  if (Object.keys(named).length === 0)
    throw new RangeError(
      'name whom it concerns: --credential, --account, --source, --client-id, --session, --node or --operator',
    );
  const { since, until } = options;
  return {
    ...named,
    ...(since === undefined ? {} : { since: instantOf(since, 'since') }),
    ...(until === undefined ? {} : { until: instantOf(until, 'until') }),
  };
}

const codeOf = (text: string): ErrorCode => (Object.hasOwn(errorCodes, text) ? (text as ErrorCode) : 'bug');

/** Asks the question, and waits until everything is found, and proved where `proved` asks for it. */
export async function ask(
  client: Client,
  selection: Selection,
  options: { readonly unread: boolean; readonly proved: boolean; readonly isTerminal: boolean },
): Promise<Answer> {
  const { scope } = await client.call('incident.scope', {
    selection,
    unread: options.unread,
    ...(options.proved ? { proved: true } : {}),
  });
  try {
    for (;;) {
      const now = await client.call('incident.progress', { scope, waitMs });
      if (now.state === 'done') return { scope, summary: now.summary, rows: now.rows };
      if (now.state === 'failed') throw new CofferdamError(codeOf(now.code), now.text);
      if (options.isTerminal) process.stderr.write(`\r\u001b[Klooking: ${now.step}, ${now.rows} rows`);
    }
  } finally {
    if (options.isTerminal) process.stderr.write('\r\u001b[K');
  }
}

/**
 * Returns the rows of a part: the first `limit`, or all when it is undefined. Throws `bug` when the answer is not
 * complete.
 */
export async function rowsOf<P extends IncidentPart>(
  client: Client,
  { scope, rows: counts }: Answer,
  part: P,
  limit?: number,
): Promise<readonly IncidentRow<P>[]> {
  const shape = incidentParts[part];
  const wanted = Math.min(limit ?? Number.POSITIVE_INFINITY, counts[part] ?? 0);
  const rows: IncidentRow<P>[] = [];
  for (let offset = 0; rows.length < wanted; ) {
    const page = await client.call('incident.page', { scope, part, offset });
    for (const row of page.rows) rows.push(shape.parse(row) as IncidentRow<P>);
    if (page.next === null) break;
    offset = page.next;
  }
  if (rows.length < wanted) throw new CofferdamError('bug', 'the answer breaks off; it is not complete');
  return limit === undefined ? rows : rows.slice(0, limit);
}
