// Owns: the SQL by which indicators are looked for in the whole record, failed logins and strangers included.
import type { IndicatorType } from '../../domain/incident/indicators.ts';
import type { Transaction } from '../../postgres/database.ts';

/** `i`: the indicators; `l`: what they hit. Addresses of strangers of IPv6 are networks of 64 bits. */
const hitsOf: Readonly<Record<IndicatorType, string>> = {
  fingerprint: `select i.index, l.* from i join ledger l on l.credential = i.value and l.credential is not null
    union all select i.index, l.* from i join ledger l on l.also_credential = i.value and l.also_credential is not null and l.also_credential is distinct from l.credential`,
  address: `select i.index, l.* from i join ledger l on l.source = i.value::inet and l.source is not null
    union all select i.index, l.* from i join ledger l on l.source = host(set_masklen(i.value::inet, 64)::cidr)::inet and l.kind = 'login.strangers' and l.source is not null
      where family(i.value::inet) = 6 and host(set_masklen(i.value::inet, 64)::cidr) <> host(i.value::inet)`,
  network: `select i.index, l.* from (select index, value::inet as net, case family(value::inet) when 4 then 32 else 128 end as bits from i) i
      join ledger l on l.source >= host(network(i.net))::inet and l.source <= set_masklen(broadcast(i.net), i.bits) and l.source is not null
    union all select i.index, l.* from i join ledger l on l.source = host(set_masklen(i.value::inet, 64)::cidr)::inet and l.kind = 'login.strangers' and l.source is not null
      where family(i.value::inet) = 6 and masklen(i.value::inet) > 64 and host(set_masklen(i.value::inet, 64)::cidr) <> host(network(i.value::inet))`,
  client: `select m.index, l.* from (
      select i.index, c.client from i join (select distinct client from ledger where client is not null) c on strpos(lower(c.client), lower(i.value)) > 0) m
      join ledger l on l.client = m.client and l.client is not null`,
  sha256: `select i.index, l.* from i join ledger l on l.sha256 = i.value and l.sha256 is not null
    union all select i.index, l.* from i join ledger l on coalesce(l.sensitive #>> '{certificate,fingerprint}', l.sensitive ->> 'fingerprint') = i.value and l.operator is not null`,
  account: `select i.index, l.* from i join account a on a.name::text = i.value join ledger l on l.account_id = a.id and (l.session_id is null or l.kind = 'session.opened')`,
};

export type Hit = {
  readonly index: number;
  readonly hits: number;
  readonly first: Date;
  readonly last: Date;
  readonly sessions: number;
  readonly accounts: readonly string[];
  readonly customers: readonly string[];
  readonly kinds: readonly { readonly kind: string; readonly count: number }[];
};
export type IndexedValue = { readonly index: number; readonly value: string };

/** What occurs, in the order of the indexes. At most `namesMax` + 1 names of each kind. */
export async function findHits(
  tx: Transaction,
  type: IndicatorType,
  values: readonly IndexedValue[],
  namesMax: number,
): Promise<readonly Hit[]> {
  const text = hitsOf[type];
  return tx.query<Hit>(
    `with i as materialized (select * from unnest($1::int[], $2::text[]) i(index, value)),
       hits as (${text}),
       each_kind as materialized (
         select index, kind, count(*) as n, min(at) as first, max(at) as last, array_agg(distinct session_id) filter (where session_id is not null) as sessions,
           array_agg(distinct account_id) filter (where account_id is not null) as accounts, array_agg(distinct customer_id) filter (where customer_id is not null) as customers
         from hits group by index, kind)
     select k.index, sum(k.n)::bigint as hits, min(k.first) as first, max(k.last) as last,
       (select count(distinct s) from each_kind o cross join unnest(o.sessions) s where o.index = k.index) as sessions,
       array(select distinct a.name::text from each_kind o cross join unnest(o.accounts) u(id) join account a on a.id = u.id where o.index = k.index order by 1 limit $3) as accounts,
       array(select distinct c.name::text from each_kind o cross join unnest(o.customers) u(id) join customer c on c.id = u.id where o.index = k.index order by 1 limit $3) as customers,
       json_agg(json_build_object('kind', k.kind, 'count', k.n) order by k.n desc, k.kind) as kinds
     from each_kind k group by k.index order by k.index`,
    [values.map((one) => one.index), values.map((one) => one.value), namesMax + 1],
  );
}
