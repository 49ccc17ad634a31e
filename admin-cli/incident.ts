// Owns: asking for a scope and reading all of it, page by page.
// Must never: take half of it for the whole.
import { CofferdamError } from '../server/domain/errors.ts';
import type { Params, Result } from '../server/rpc/operation.ts';
import type { OperatorToAdmin } from '../server/rpc/operator-admin.ts';
import type {
  IncidentActionRow,
  IncidentCustomerRow,
  IncidentDepositRow,
  IncidentFileRow,
  IncidentListingRow,
  IncidentPart,
  IncidentReachableRow,
  IncidentSessionRow,
} from '../server/rpc/operator-incident.ts';
import type { Client } from './client.ts';
import type { Given, Option } from './command.ts';
import { instantOf } from './scope.ts';

export type Wish = Params<OperatorToAdmin, 'incident.scope'>;
export type Summary = NonNullable<Result<OperatorToAdmin, 'incident.progress'>['summary']>;
export type Rows = {
  readonly customers: IncidentCustomerRow;
  readonly files: IncidentFileRow;
  readonly listings: IncidentListingRow;
  readonly deposits: IncidentDepositRow;
  readonly sessions: IncidentSessionRow;
  readonly actions: IncidentActionRow;
  readonly reachable: IncidentReachableRow;
};

export const scopeOptions: readonly Option[] = [
  { name: 'credential', value: 'SHA256:…', help: 'sessions opened with this key or password' },
  { name: 'account', value: 'NAME', help: 'sessions of this account' },
  { name: 'source', value: 'NET', help: 'sessions that came from this address or network (the word of the edge)' },
  { name: 'client-id', value: 'TEXT', help: 'sessions whose client called itself something with this in it' },
  { name: 'session', value: 'ID', help: 'one session' },
  { name: 'node', value: 'NAME', help: 'everything that went through this edge: for an edge that was taken over' },
  { name: 'operator', value: 'NAME', help: 'what this operator did, and the sessions of what he touched' },
  { name: 'since', value: 'DAY|7d', help: 'from then on: a day, an instant, or so long ago' },
  { name: 'until', value: 'DAY|7d', help: 'before then' },
];

export function wishOf(given: Given): Wish {
  const { credential, account, source, session, node, operator, since, until, 'client-id': client } = given.options;
  const wish: Wish = {
    ...(credential === undefined ? {} : { credential }),
    ...(account === undefined ? {} : { account }),
    ...(source === undefined ? {} : { source }),
    ...(client === undefined ? {} : { client }),
    ...(session === undefined ? {} : { session }),
    ...(node === undefined ? {} : { node }),
    ...(operator === undefined ? {} : { operator }),
    ...(since === undefined ? {} : { since: instantOf(since, 'since') }),
    ...(until === undefined ? {} : { until: instantOf(until, 'until') }),
  };
  if (Object.keys(wish).length === 0)
    throw new RangeError(
      'name at least one of --credential, --account, --source, --client-id, --session, --node, --operator, --since, --until',
    );
  return wish;
}

const pollMs = 100;

/** Works out a scope; throws what went wrong. */
export async function scopeOf(client: Client, wish: Wish): Promise<{ readonly scope: string; readonly summary: Summary }> {
  const { scope } = await client.call('incident.scope', wish);
  for (;;) {
    const { state, text, summary } = await client.call('incident.progress', { scope });
    if (state === 'failed') throw new CofferdamError('invalid', `${text}. No scope was found out`);
    if (state === 'done' && summary !== null) return { scope, summary };
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

/** Rows of one part; at most `limit`. */
export async function* rowsOf<P extends IncidentPart>(client: Client, scope: string, part: P): AsyncGenerator<Rows[P]> {
  for (let offset: number | null = 0; offset !== null; ) {
    const page: { readonly lines: string; readonly next: number | null } = await client.call('incident.page', { scope, part, offset });
    for (const line of page.lines.split('\n')) if (line !== '') yield JSON.parse(line) as Rows[P];
    offset = page.next;
  }
}

export async function allRows<P extends IncidentPart>(client: Client, scope: string, part: P): Promise<readonly Rows[P][]> {
  const rows: Rows[P][] = [];
  for await (const row of rowsOf(client, scope, part)) rows.push(row);
  return rows;
}
