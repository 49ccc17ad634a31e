// Owns: the SQL that looks for indicators in the whole record, including failed logins and logins without an account.
import type { IndicatorType } from '../../domain/incident/indicators.ts';
import type { Transaction } from '../../postgres/database.ts';

/**
 * For each type of indicator, the query of its hits. `i` are the indicators, `l` the entries in which they occur. An
 * entry counts once for an indicator, also when the indicator occurs in two of its columns.
 *
 * - Failed logins without an account (`login.strangers`) are recorded by the /64 network for IPv6, so an indicator that
 *   is narrower than its /64 occurs in the entry of that network.
 * - An account occurs in the entries that open its sessions and in those outside a session. What was done in its
 *   sessions
 *   does not count again.
 * - `sha256` is the hash of a file, or the fingerprint of an operator's key.
 *
 * Each indicator is looked up separately (`lateral`, with an offset of 0 where the planner would undo that), because a
 * plan for all of them together reads the whole record. Entries in archives are matched by the same rules in
 * `domain/incident/matching.ts`.
 */
const hitsOf: Readonly<Record<IndicatorType, string>> = {
  fingerprint: `select i.index, l.* from i cross join lateral (
      select * from ledger where credential = i.value and credential is not null
      union all select * from ledger where also_credential = i.value and also_credential is not null and also_credential is distinct from credential) l`,
  address: `select i.index, l.* from i cross join lateral (select i.value::inet as a, host(set_masklen(i.value::inet, 64)::cidr)::inet as net) n cross join lateral (
      select * from ledger where source = n.a and source is not null
      union all select * from ledger where source = n.net and source is not null and kind = 'login.strangers' and family(n.a) = 6 and n.net <> n.a) l`,
  network: `select i.index, l.* from i cross join lateral (
        select host(network(i.value::inet))::inet as low, set_masklen(broadcast(i.value::inet), case family(i.value::inet) when 4 then 32 else 128 end) as high,
          host(set_masklen(i.value::inet, case family(i.value::inet) when 4 then 32 else 64 end)::cidr)::inet as net, family(i.value::inet) = 6 and masklen(i.value::inet) > 64 as is_narrow) n
      cross join lateral (
        select * from ledger where source >= n.low and source <= n.high and source is not null
        union all select * from ledger where source = n.net and source is not null and kind = 'login.strangers' and n.is_narrow and n.net <> n.low) l`,
  client: `select m.index, l.* from (
      select i.index, c.client from i join (select distinct client from ledger where client is not null) c on strpos(lower(c.client collate "C"), lower(i.value collate "C")) > 0) m
      cross join lateral (select * from ledger where client = m.client and client is not null offset 0) l`,
  sha256: `select i.index, l.* from i cross join lateral (select * from ledger where sha256 = i.value and sha256 is not null offset 0) l
    union all select i.index, l.* from i join ledger l on coalesce(l.sensitive #>> '{certificate,fingerprint}', l.sensitive ->> 'fingerprint') = i.value and l.operator is not null and l.sha256 is distinct from i.value`,
  account: `select i.index, l.* from i join account a on a.name::text = i.value
      cross join lateral (select * from ledger where account_id = a.id and (session_id is null or kind = 'session.opened') offset 0) l`,
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
type IndexedValue = { readonly index: number; readonly value: string };

/**
 * Returns the indicators that occur, in the order of their indexes, each with at most `namesMax` + 1 names of accounts
 * and of customers.
 */
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
     select k.index, whole_number(sum(k.n)) as hits, min(k.first) as first, max(k.last) as last,
       (select count(distinct s) from each_kind o cross join unnest(o.sessions) s where o.index = k.index) as sessions,
       array(select distinct a.name::text from each_kind o cross join unnest(o.accounts) u(id) join account a on a.id = u.id where o.index = k.index order by 1 limit $3) as accounts,
       array(select distinct c.name::text from each_kind o cross join unnest(o.customers) u(id) join customer c on c.id = u.id where o.index = k.index order by 1 limit $3) as customers,
       json_agg(json_build_object('kind', k.kind, 'count', k.n) order by k.n desc, k.kind) as kinds
     from each_kind k group by k.index order by k.index`,
    [values.map((one) => one.index), values.map((one) => one.value), namesMax + 1],
  );
}
