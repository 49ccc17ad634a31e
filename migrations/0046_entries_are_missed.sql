-- Whoever writes an entry is told its text, and asks later whether that very entry was sealed (decision 0036). Forward only.

-- Charge, record, commit: the batch is decided in memory and written in one go. The key follows only after the commit is known.
-- An item is an extent of an open download (download and index given; customer, bytes and items come from the catalogue), or an amount
-- (customer, direction, bytes, items given). One answer per item, in order. outcome:
--   granted   charged to every scope and recorded
--   repeat    the same credential paid for this extent in the last 24 h (recorded, not charged)
--   later     plane or gateway is past its cap: nothing was charged, ask again after after_ms
--   over-limit  a cap refuses: which scope (rank), unit, window, cap, and when there is more
--   session | missing   the session, account, credential or customer is not good (any more); there is no such extent, scope or budget
drop function charge_batch(uuid[], uuid[], int[], uuid[], text[], bigint[], bigint[]);
create function charge_batch(p_session uuid[], p_download uuid[], p_index int[], p_customer uuid[], p_direction text[], p_bytes bigint[], p_items bigint[])
returns table (item int, outcome text, budget bigint, rank int, unit text, window_name text, cap bigint, free_at timestamptz, after_ms int, is_slow boolean,
  customer uuid, content uuid, object text, bytes bigint, sealed_bytes int, inline bytea, customer_key uuid, wrapped_key bytea, entry text)
language plpgsql set cofferdam.customers = '*' set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  n constant int := cardinality(p_session);
  customers uuid[]; versions uuid[]; contents uuid[]; sizes bigint[]; amounts bigint[]; charged timestamptz[]; file_charged timestamptz[];
  objects uuid[]; credentials uuid[]; accounts uuid[]; nodes text[]; planes text[]; same_object int[]; same_file int[]; unread boolean[]; scopes bigint[];
  ids bigint[]; ranks int[]; minutes int[]; room_bytes bigint[]; room_items bigint[]; soft_bytes bigint[]; soft_items bigint[];
  half_bytes bigint[]; half_items bigint[]; slow timestamptz[]; added_bytes bigint[]; added_items bigint[];
  alive boolean[]; res int[]; why int[]; wait int[]; slowed boolean[]; paid_files int[]; several boolean;
  pos int[]; now_minute int; moment timestamptz; i int; j int; k int; b bigint; c bigint; step interval; is_extent boolean; entries text[];
begin
  -- 1. What never changes: who asks, for what, and which budgets it touches (five an item, in the order of their rank).
  select array_agg(r.customer order by r.o), array_agg(r.version order by r.o), array_agg(r.content order by r.o), array_agg(r.bytes order by r.o),
         array_agg(r.items order by r.o), array_agg(r.object_charged order by r.o), array_agg(r.file_charged order by r.o),
         array_agg(r.same_object order by r.o), array_agg(r.same_file order by r.o), array_agg(r.unread order by r.o),
         array_agg(array[r.b1, r.b2, r.b3, r.b4, r.b5] order by r.o), array_agg(r.object order by r.o), array_agg(r.credential order by r.o),
         array_agg(r.account order by r.o), array_agg(r.node order by r.o), array_agg(r.plane order by r.o)
    into customers, versions, contents, sizes, amounts, charged, file_charged, same_object, same_file, unread, scopes, objects, credentials, accounts, nodes, planes
  from (
    select x.o, y.customer, se.credential_id as credential, se.account_id as account, se.node, a.plane, e.object_id::uuid as object, v.id as version, v.content_id as content, case when x.d is null then x.am else e.bytes end as bytes,
      case when x.d is null then x.it else 1 end as items,
      -- Each by its whole key: a join could be planned by half of it while the tables are young.
      (select t.charged_at from charged_item t where t.credential_id = se.credential_id and t.item = e.object_id::uuid) as object_charged,
      (select t.charged_at from charged_item t where t.credential_id = se.credential_id and t.item = v.content_id) as file_charged,
      min(x.o) over (partition by se.credential_id, e.object_id, case when e.object_id is null then x.o end)::int as same_object,
      min(x.o) over (partition by se.credential_id, v.content_id, case when v.content_id is null then x.o end)::int as same_file,
      v.first_read_at is null as unread,
      (select b.id from budget b where b.rank = 1 and b.credential_id = se.credential_id and b.direction = y.direction) as b1,
      (select b.id from budget b where b.rank = 2 and b.account_id = se.account_id and b.customer_id = y.customer and b.direction = y.direction) as b2,
      (select b.id from budget b where b.rank = 3 and b.customer_id = y.customer and b.direction = y.direction) as b3,
      (select b.id from budget b where b.rank = 4 and b.plane = a.plane and b.direction = y.direction) as b4,
      (select b.id from budget b where b.rank = 5 and b.direction = y.direction) as b5
    from unnest(p_session, p_download, p_index, p_customer, p_direction, p_bytes, p_items) with ordinality as x(s, d, ix, cu, dir, am, it, o)
      left join session se on se.id = x.s
      left join account a on a.id = se.account_id
      left join download d on d.id = x.d
      left join version v on v.id = d.version_id and v.state = 'published' and d.session_id = x.s and d.closed_at is null
      left join extent e on e.content_id = v.content_id and e.index = x.ix and x.ix < v.extent_count
      cross join lateral (select case when x.d is null then x.cu when d.session_id = x.s then d.customer_id end as customer, case when x.d is null then x.dir else 'out' end as direction) y
    offset 0) r;

  -- 2. Lock all budgets of the batch, in the one order that every writer keeps.
  select array_agg(q.id), array_agg(q.minute) into ids, minutes
  from (select b.id, b.minute from budget b where b.id in (select unnest(scopes)) order by b.rank, b.id for update) q;
  -- Never now(): it is the time at which the transaction began, before the locks.
  moment := clock_timestamp();
  now_minute := floor(extract(epoch from moment) / 60)::int;
  for k in 1 .. coalesce(cardinality(ids), 0) loop
    if minutes[k] < now_minute then perform turn_budget(ids[k], now_minute); end if;
  end loop;
  select array_agg(g.rank order by g.o),
      array_agg(least(g.hb * g.ceiling_percent / 100 + g.base_hour_bytes, g.db * g.ceiling_percent / 100 + g.base_day_bytes, g.wb * g.ceiling_percent / 100 + g.base_week_bytes) - g.total_bytes order by g.o),
      array_agg(least(g.hi * g.ceiling_percent / 100 + g.base_hour_items, g.di * g.ceiling_percent / 100 + g.base_day_items, g.wi * g.ceiling_percent / 100 + g.base_week_items) - g.total_items order by g.o),
      array_agg(least(g.hb + g.base_hour_bytes, g.db + g.base_day_bytes, g.wb + g.base_week_bytes) - g.total_bytes order by g.o),
      array_agg(least(g.hi + g.base_hour_items, g.di + g.base_day_items, g.wi + g.base_week_items) - g.total_items order by g.o),
      array_agg(least(h.hb + g.base_hour_bytes, h.db + g.base_day_bytes, h.wb + g.base_week_bytes) - g.total_bytes order by g.o),
      array_agg(least(h.hi + g.base_hour_items, h.di + g.base_day_items, h.wi + g.base_week_items) - g.total_items order by g.o),
      array_agg(g.slow_until order by g.o)
    into ranks, room_bytes, room_items, soft_bytes, soft_items, half_bytes, half_items, slow
  from (
    select y.o, b.*, b.cap_hour_bytes * f.x / 100 as hb, b.cap_day_bytes * f.x / 100 as db, b.cap_week_bytes * f.x / 100 as wb,
      b.cap_hour_items * f.x / 100 as hi, b.cap_day_items * f.x / 100 as di, b.cap_week_items * f.x / 100 as wi
    from unnest(ids) with ordinality y(id, o) join budget b on b.id = y.id
      cross join lateral (select case when b.headroom_until > moment then 100 + b.headroom_percent else 100 end as x) f) g
    -- Half of the customer's caps, for those who share it.
    left join lateral (
      select b.cap_hour_bytes * f.x / 200 as hb, b.cap_day_bytes * f.x / 200 as db, b.cap_week_bytes * f.x / 200 as wb,
        b.cap_hour_items * f.x / 200 as hi, b.cap_day_items * f.x / 200 as di, b.cap_week_items * f.x / 200 as wi
      from budget b cross join lateral (select case when b.headroom_until > moment then 100 + b.headroom_percent else 100 end as x) f
      where g.is_share and b.rank = 3 and b.customer_id = g.customer_id and b.direction = g.direction) h on true;
  added_bytes := array_fill(0::bigint, array[coalesce(cardinality(ids), 0)]);
  added_items := added_bytes;

  -- 3. What may change is read after the locks: a revocation that committed before is seen.
  select array_agg(se.state = 'open' and se.expires_at > moment and a.state = 'active' and (a.expires_at is null or a.expires_at > moment)
      and cr.state in ('active', 'retiring') and cr.expires_at > moment and cu.state = 'active' order by x.o)
    into alive
  from unnest(p_session, customers) with ordinality x(s, cu, o)
    left join session se on se.id = x.s left join account a on a.id = se.account_id left join credential cr on cr.id = se.credential_id
    left join customer cu on cu.id = x.cu;

  -- 4. Decide in memory. res: 0 granted, 1 repeat, 2 session, 3 missing, 4 over-limit, 5 later. why: the rank that refuses (6, 7: half of the customer's).
  res := array_fill(3, array[n]); why := array_fill(0, array[n]); wait := array_fill(0, array[n]); slowed := array_fill(false, array[n]);
  paid_files := array_fill(0, array[n]);
  for i in 1 .. n loop
    is_extent := p_download[i] is not null;
    if alive[i] is not true then res[i] := case when sizes[i] is null then 3 else 2 end; continue; end if;
    if sizes[i] is null or sizes[i] < 0 or amounts[i] is null or amounts[i] < 0 then continue; end if;
    if is_extent and (charged[i] > moment - interval '24 hours' or (same_object[i] < i and res[same_object[i]] in (0, 1))) then res[i] := 1; continue; end if;
    b := sizes[i];
    c := amounts[i];
    if is_extent and (file_charged[i] > moment - interval '24 hours' or paid_files[same_file[i]] = 1) then c := 0; end if;
    pos := array[array_position(ids, scopes[i][1]), array_position(ids, scopes[i][2]), array_position(ids, scopes[i][3]), array_position(ids, scopes[i][4]), array_position(ids, scopes[i][5])];
    if array_position(pos, null) is not null then continue; end if;
    res[i] := 0;
    for j in 1 .. 5 loop
      k := pos[j];
      if b > room_bytes[k] - added_bytes[k] or c > room_items[k] - added_items[k] then res[i] := 4; why[i] := j; exit; end if;
      if half_bytes[k] is not null and (b > half_bytes[k] - added_bytes[k] or c > half_items[k] - added_items[k]) then
        several := has_several_credentials(customers[i]);
        if several then res[i] := 4; why[i] := 5 + j; exit; end if;
      end if;
    end loop;
    if res[i] = 4 then continue; end if;
    for j in 4 .. 5 loop
      k := pos[j];
      if b > soft_bytes[k] - added_bytes[k] or c > soft_items[k] - added_items[k] then
        slowed[i] := true;
        if slow[k] > moment then res[i] := 5; wait[i] := greatest(wait[i], ceil(extract(epoch from slow[k] - moment) * 1000)::int); end if;
      end if;
    end loop;
    if res[i] = 5 then continue; end if;
    for j in 1 .. 5 loop
      k := pos[j];
      if slowed[i] and j >= 4 and (b > soft_bytes[k] - added_bytes[k] or c > soft_items[k] - added_items[k]) then
        -- What is left of the way from cap to ceiling is stretched over the window.
        select greatest(
            case when q.total_bytes - q.base_week_bytes + b > q.cap_week_bytes then interval '7 days' * b / greatest(q.cap_week_bytes * (q.ceiling_percent - 100) / 100, 1) end,
            case when q.total_bytes - q.base_day_bytes + b > q.cap_day_bytes then interval '24 hours' * b / greatest(q.cap_day_bytes * (q.ceiling_percent - 100) / 100, 1) end,
            case when q.total_bytes - q.base_hour_bytes + b > q.cap_hour_bytes then interval '1 hour' * b / greatest(q.cap_hour_bytes * (q.ceiling_percent - 100) / 100, 1) end,
            case when q.total_items - q.base_week_items + c > q.cap_week_items then interval '7 days' * c / greatest(q.cap_week_items * (q.ceiling_percent - 100) / 100, 1) end,
            case when q.total_items - q.base_day_items + c > q.cap_day_items then interval '24 hours' * c / greatest(q.cap_day_items * (q.ceiling_percent - 100) / 100, 1) end,
            case when q.total_items - q.base_hour_items + c > q.cap_hour_items then interval '1 hour' * c / greatest(q.cap_hour_items * (q.ceiling_percent - 100) / 100, 1) end,
            interval '0')
          into step from budget q where q.id = ids[k];
        slow[k] := greatest(slow[k], moment) + step;
      end if;
      added_bytes[k] := added_bytes[k] + b;
      added_items[k] := added_items[k] + c;
    end loop;
    if is_extent and c > 0 then paid_files[same_file[i]] := 1; end if;
  end loop;

  -- 5. Write: one update, one mark per item paid for, one ledger entry per item.
  update budget q set total_bytes = q.total_bytes + y.b, total_items = q.total_items + y.c, slow_until = y.s
    from unnest(ids, added_bytes, added_items, slow) y(id, b, c, s) where q.id = y.id and (y.b > 0 or y.c > 0);
  insert into charged_item as t (credential_id, item, charged_at)
    select x.credential, x.object, moment from unnest(credentials, objects, p_download, res) x(credential, object, d, res) where x.d is not null and x.res = 0
    union all
    select x.credential, x.content, moment from unnest(credentials, contents, paid_files) x(credential, content, paid) where x.paid = 1
    on conflict (credential_id, item) do update set charged_at = excluded.charged_at;
  -- Each as text, for whoever called: it asks later what became of them. The same text as server/postgres/entry-queries.ts asks for.
  with born as (
    insert into ledger_fresh as f (kind, observer, customer_id, account_id, session_id, node, plane, handle_id, version_id, extent, bytes, public)
      select case when x.d is not null then case when x.res <= 1 then 'extent.granted' else 'extent.refused' end
                  when x.dir = 'in' then 'upload.refused' when x.dir = 'out' then 'extent.refused' else 'list.refused' end,
        'warden', x.cu, x.account, x.s, x.node, x.plane, x.d, x.version, x.ix, x.bytes,
        case when x.res = 0 then '{}' else jsonb_build_object('outcome', (array['repeat', 'session', 'missing', 'over-limit', 'later'])[x.res]) end
      from unnest(p_session, p_download, p_index, p_direction, customers, versions, sizes, res, accounts, nodes, planes) with ordinality x(s, d, ix, dir, cu, version, bytes, res, account, node, plane, o)
      where x.account is not null and x.res <> 5 and (x.d is not null or x.res <> 0) order by x.o
    returning row(f.id, f.at, f.kind, f.observer, f.customer_id, f.account_id, f.session_id, f.node, f.plane, f.handle_id, f.version_id, f.extent, f.bytes, f.public, f.credential,
        f.also_credential, f.source, f.source_port, f.client, f.operator, f.sensitive)::text as entry)
  select array_agg(born.entry) into entries from born;
  if exists (select 1 from unnest(unread, p_download, res) u(is_unread, d, res) where u.is_unread and u.d is not null and u.res <= 1) then
    update version v set first_read_at = moment
      where v.first_read_at is null and v.id in (select u.v from unnest(versions, res) u(v, res) where u.res <= 1 and u.v is not null);
  end if;

  return query
    select x.o::int, (array['granted', 'repeat', 'session', 'missing', 'over-limit', 'later'])[x.res + 1], w.id, case when x.why > 5 then x.why - 5 else x.why end, w.unit, w.window_name, w.cap,
      w.free_at, x.wait, x.slowed, x.cu, case when x.res <= 1 then x.content end, e.object_id, x.bytes, e.sealed_bytes, e.inline, co.customer_key_id, co.wrapped_key, entries[x.o]
    from unnest(p_download, p_index, customers, contents, sizes, amounts, res, why, wait, slowed) with ordinality x(d, ix, cu, content, bytes, amount, res, why, wait, slowed, o)
      left join extent e on x.res <= 1 and x.d is not null and e.content_id = x.content and e.index = x.ix
      left join content co on x.res <= 1 and x.d is not null and co.id = x.content
      left join lateral refusal_of(case when x.res = 4 then scopes[x.o][case when x.why > 5 then x.why - 5 else x.why end] end, x.why > 5, x.bytes, x.amount, moment) w on true
    order by x.o;
end $$;

-- The admin process misses an entry of its own: one alert an hour, however often it is said. Its role writes no other alert.
create function miss_entry_of_admin(missing_id bigint, missing_kind text, missing_is text) returns void
language plpgsql security definer set search_path = pg_catalog, public, pg_temp set cofferdam.customers = '*' as $$
begin
  insert into alert (kind, severity, subject, hour, text, facts, next_command, count)
    values ('ledger.entry-missed', 'critical', 'admin', date_trunc('hour', clock_timestamp()),
      format('the entry %s (%s) that the admin process wrote is %s: the record was touched', missing_id, left(missing_kind, 64),
        case when missing_is = 'changed' then 'not what was written' else 'neither waiting nor sealed' end),
      jsonb_build_object('entry', missing_id, 'kind', left(missing_kind, 64), 'is', case when missing_is = 'changed' then 'changed' else 'gone' end), 'cofferctl ledger status', 1)
    on conflict (kind, subject, hour) do update set count = alert.count + 1, last_at = clock_timestamp(), text = excluded.text, facts = excluded.facts;
end $$;
