// Owns: the SQL of a hunt: which indicators occur anywhere in the record.
import type { Snapshot } from '../../postgres/database.ts';

export type Indicator = { readonly type: string; readonly value: string };
export type HitRow = {
  readonly index: number;
  readonly kind: string;
  readonly count: number;
  readonly firstAt: string;
  readonly lastAt: string;
  readonly accounts: string[];
  readonly customers: string[];
  readonly sessions: string[];
};

const hitColumns = `x.i as index, l.kind, sum(case when l.kind = 'login.strangers' then (l.public ->> 'attempts')::bigint else 1 end)::bigint as count,
  to_json(min(l.at)) #>> '{}' as "firstAt", to_json(max(l.at)) #>> '{}' as "lastAt",
  coalesce((array_agg(distinct a.name::text) filter (where a.name is not null))[1:20], '{}') as accounts,
  coalesce((array_agg(distinct c.name::text) filter (where c.name is not null))[1:20], '{}') as customers,
  coalesce((array_agg(distinct l.session_id::text) filter (where l.session_id is not null))[1:20], '{}') as sessions`;
const hitJoins = 'left join account a on a.id = l.account_id left join customer c on c.id = l.customer_id';
/** What came from somewhere, with something: logins that opened a session and logins that did not. */
const atLogin = "l.kind in ('session.opened', 'login.refused', 'login.partial', 'login.strangers', 'session.refused')";

/** $1: indexes of the indicators, $2: their values. */
const questions: Readonly<Record<string, string>> = {
  network: `select ${hitColumns} from ledger l join unnest($1::int[], $2::inet[]) x(i, v) on l.source <<= x.v ${hitJoins} where ${atLogin} group by 1, 2`,
  fingerprint: `select ${hitColumns} from unnest($1::int[], $2::text[]) x(i, v) join ledger l on l.credential = x.v or l.also_credential = x.v ${hitJoins}
    where l.credential is not null group by 1, 2`,
  client: `select ${hitColumns} from ledger l join unnest($1::int[], $2::text[]) x(i, v) on strpos(lower(l.client), lower(x.v)) > 0 ${hitJoins} where ${atLogin} group by 1, 2`,
  sha256: `select ${hitColumns} from unnest($1::int[], $2::text[]) x(i, v) join ledger l on l.public ->> 'sha256' = x.v ${hitJoins}
    where l.kind in ('upload.closed', 'download.opened') group by 1, 2`,
  account: `select ${hitColumns} from unnest($1::int[], $2::text[]) x(i, v) join account n on n.name = x.v join ledger l on l.account_id = n.id ${hitJoins} where ${atLogin} group by 1, 2`,
  certificate: `select ${hitColumns} from unnest($1::int[], $2::text[]) x(i, v) join ledger l on l.operator is not null and l.sensitive #>> '{certificate,fingerprint}' = x.v ${hitJoins}
    where l.kind = 'operator.asked' group by 1, 2`,
};

/** Each type of indicator is one pass over what it concerns. */
export async function findHits(tx: Snapshot, indicators: readonly Indicator[]): Promise<readonly HitRow[]> {
  const hits: HitRow[] = [];
  for (const [type, text] of Object.entries(questions)) {
    const rows = indicators.map((one, i) => ({ ...one, i })).filter((one) => (one.type === 'address' ? 'network' : one.type) === type);
    if (rows.length > 0) hits.push(...(await tx.query<HitRow>(text, [rows.map((one) => one.i), rows.map((one) => one.value)])));
  }
  return hits.sort((a, b) => a.index - b.index || (a.kind < b.kind ? -1 : 1));
}
