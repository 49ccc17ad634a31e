-- The grant: charge, record, commit; the key follows only after the commit. One batch, one call, decided in memory.
-- A budget's total only grows. Use in a window = total - base, base = total at the newest snapshot not younger than the window.
-- Losing or thinning snapshots only over-counts. A turn to a new minute happens under the row lock.

create function current_minute() returns int language sql volatile as $$
  select floor(extract(epoch from clock_timestamp()) / 60)::int
$$;

-- Slides the windows of one budget to `now_minute`; the caller holds the row's lock.
create function turn_budget(budget_id_in bigint, now_minute int) returns void language plpgsql as $$
begin
  insert into budget_snapshot (budget_id, minute, total)
    select id, b.minute + 1, total from budget b where id = budget_id_in and b.minute < now_minute
    on conflict do nothing;
  update budget b set
    minute = now_minute,
    base_hour = greatest(b.base_hour, coalesce((select s.total from budget_snapshot s where s.budget_id = b.id and s.minute <= now_minute - 60 order by s.minute desc limit 1), 0)),
    base_day = greatest(b.base_day, coalesce((select s.total from budget_snapshot s where s.budget_id = b.id and s.minute <= now_minute - 1440 order by s.minute desc limit 1), 0)),
    base_week = greatest(b.base_week, coalesce((select s.total from budget_snapshot s where s.budget_id = b.id and s.minute <= now_minute - 10080 order by s.minute desc limit 1), 0))
  where b.id = budget_id_in and b.minute < now_minute;
end $$;

-- When `bytes` more fit into one window: the first snapshot that, once it is the window's base, leaves room. Never = null.
create function budget_free_at(budget_id_in bigint, window_minutes int, cap bigint, bytes bigint) returns timestamptz language sql stable as $$
  select to_timestamp((min(m) + window_minutes) * 60.0) from (
    select s.minute as m from budget b join budget_snapshot s on s.budget_id = b.id where b.id = budget_id_in and b.total + bytes - s.total <= cap
    union all
    select b.minute + 1 from budget b where b.id = budget_id_in
  ) x where bytes <= cap
$$;

create type grant_item as (
  session_id uuid, account_id uuid, credential_id uuid, customer_id uuid, node text, version_id uuid, content_id uuid, index int, bytes bigint,
  budgets bigint[], charged_at timestamptz, outcome text, window_name text, cap bigint, free_at timestamptz
);

-- One answer per item, in order. outcome: granted | repeat (recorded, not charged) | session | missing | over-limit.
create function grant_extents(p_session uuid[], p_download uuid[], p_index int[])
returns table (item int, outcome text, window_name text, cap bigint, free_at timestamptz)
language plpgsql set cofferdam.customers = '*' as $$
declare
  items grant_item[];
  ids bigint[]; total_of bigint[]; minute_of int[]; added bigint[];
  hour_limit bigint[]; day_limit bigint[]; week_limit bigint[]; hour_cap bigint[]; day_cap bigint[]; week_cap bigint[];
  alive boolean[]; seen text[] := '{}'; extent_name text;
  now_minute int; moment timestamptz; i int; j int; k int; after_charge bigint;
begin
  select array_agg(row(x.s, se.account_id, se.credential_id, d.customer_id, se.node, v.id, v.content_id, x.ix, e.bytes,
      (select array_agg(b.id order by b.rank, b.id) from budget b where b.rank = 2 and b.account_id = se.account_id and b.customer_id = d.customer_id),
      ch.charged_at, null, null, null, null)::grant_item order by x.o)
    into items
  from unnest(p_session, p_download, p_index) with ordinality as x(s, d, ix, o)
    left join session se on se.id = x.s
    left join download d on d.id = x.d and d.session_id = x.s and d.closed_at is null
    left join version v on v.id = d.version_id and v.state = 'published'
    left join extent e on e.content_id = v.content_id and e.index = x.ix and x.ix < v.extent_count
    left join charged_extent ch on ch.credential_id = se.credential_id and ch.content_id = v.content_id and ch.index = x.ix;

  -- Every writer of budget rows locks in this order: rank, then id.
  select array_agg(q.id), array_agg(q.minute) into ids, minute_of
  from (select b.id, b.minute from budget b where b.id in (select unnest(g.budgets) from unnest(items) g) order by b.rank, b.id for update) q;
  now_minute := current_minute();
  for k in 1 .. coalesce(cardinality(ids), 0) loop
    if minute_of[k] < now_minute then perform turn_budget(ids[k], now_minute); end if;
  end loop;
  select array_agg(b.total order by o), array_agg(b.cap_hour order by o), array_agg(b.cap_day order by o), array_agg(b.cap_week order by o),
         array_agg(b.cap_hour + b.base_hour order by o), array_agg(b.cap_day + b.base_day order by o), array_agg(b.cap_week + b.base_week order by o)
    into total_of, hour_cap, day_cap, week_cap, hour_limit, day_limit, week_limit
  from unnest(ids) with ordinality y(id, o) join budget b on b.id = y.id;
  added := array_fill(0::bigint, array[coalesce(cardinality(ids), 0)]);

  -- State is read after the locks; a revocation that committed before is seen.
  moment := clock_timestamp();
  select array_agg(se.state = 'open' and se.expires_at > moment and a.state = 'active' and (a.expires_at is null or a.expires_at > moment)
      and c.state in ('active', 'retiring') and c.expires_at > moment and cu.state = 'active' order by g.o)
    into alive
  from unnest(items) with ordinality g(session_id, account_id, credential_id, customer_id, node, version_id, content_id, index, bytes, budgets, charged_at, outcome, window_name, cap, free_at, o)
    left join session se on se.id = g.session_id
    left join account a on a.id = se.account_id
    left join credential c on c.id = se.credential_id
    left join customer cu on cu.id = g.customer_id;

  for i in 1 .. cardinality(items) loop
    if alive[i] is not true then
      items[i].outcome := 'session';
    elsif items[i].bytes is null or coalesce(cardinality(items[i].budgets), 0) = 0 then
      items[i].outcome := 'missing';
    else
      extent_name := items[i].credential_id || '/' || items[i].content_id || '/' || items[i].index;
      if items[i].charged_at > moment - interval '24 hours' or extent_name = any (seen) then
        items[i].outcome := 'repeat';
      else
        items[i].outcome := 'granted';
        for j in 1 .. cardinality(items[i].budgets) loop
          k := array_position(ids, items[i].budgets[j]);
          after_charge := total_of[k] + added[k] + items[i].bytes;
          if after_charge > least(hour_limit[k], day_limit[k], week_limit[k]) then
            items[i].outcome := 'over-limit';
            -- The widest window that refuses decides when there is more.
            if after_charge > week_limit[k] then
              items[i].window_name := 'week'; items[i].cap := week_cap[k]; items[i].free_at := budget_free_at(ids[k], 10080, week_cap[k], added[k] + items[i].bytes);
            elsif after_charge > day_limit[k] then
              items[i].window_name := 'day'; items[i].cap := day_cap[k]; items[i].free_at := budget_free_at(ids[k], 1440, day_cap[k], added[k] + items[i].bytes);
            else
              items[i].window_name := 'hour'; items[i].cap := hour_cap[k]; items[i].free_at := budget_free_at(ids[k], 60, hour_cap[k], added[k] + items[i].bytes);
            end if;
            exit;
          end if;
        end loop;
        if items[i].outcome = 'granted' then
          for j in 1 .. cardinality(items[i].budgets) loop
            k := array_position(ids, items[i].budgets[j]);
            added[k] := added[k] + items[i].bytes;
          end loop;
          seen := seen || extent_name;
        end if;
      end if;
    end if;
  end loop;

  update budget b set total = b.total + y.bytes from unnest(ids, added) y(id, bytes) where b.id = y.id and y.bytes > 0;
  insert into charged_extent as t (credential_id, content_id, index, charged_at)
    select g.credential_id, g.content_id, g.index, moment from unnest(items) g where g.outcome = 'granted'
    on conflict (credential_id, content_id, index) do update set charged_at = excluded.charged_at;
  insert into ledger (kind, customer_id, account_id, session_id, node, observer, public, sensitive)
    select case when g.outcome in ('granted', 'repeat') then 'extent.granted' else 'extent.refused' end, g.customer_id, g.account_id, g.session_id, g.node, 'warden',
      jsonb_build_object('version', g.version_id, 'index', g.index, 'bytes', g.bytes, 'outcome', g.outcome), jsonb_build_object('credential', g.credential_id)
    from unnest(items) with ordinality g where g.account_id is not null order by g.ordinality;
  update version v set first_read_at = moment
    where v.first_read_at is null and v.id in (select g.version_id from unnest(items) g where g.outcome in ('granted', 'repeat'));
  return query select g.ordinality::int, g.outcome, g.window_name, g.cap, g.free_at
    from unnest(items) with ordinality g order by g.ordinality;
end $$;
