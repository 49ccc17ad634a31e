-- Charges: every byte and item that is granted is charged here to five budgets, before anything is released, told or
-- entered into the catalogue (decision 11). An extent that is granted is also recorded here. What else is granted is
-- recorded by the operation that asked for it. `charge_batch` looks and locks, decides, and writes. What it decides by
-- stands in three types (0006_charge_types.sql).

-- Promises: the batch is decided in memory, and charged and recorded in one transaction. The warden derives a key only
-- after the commit is known. An item is an extent of an open download (download and index given, and customer and
-- version as they were when it was opened; bytes and items come from the catalogue), or an amount (customer, direction, bytes and items given). There is one answer per
-- item, in order. Its outcome is one of these words (`chargeOutcomes`, server/domain/budgets/words.ts):
--   granted     charged to every scope; for an extent, also recorded
--   repeat      the same credential paid for this extent in the last 24 h: recorded, not charged
--   later       plane or gateway is past its cap: nothing was charged or recorded, ask again after `after_ms`
--   over-limit  a cap refuses: which scope (rank), unit, window and cap, and when there is more
--   session     the session, account, credential or customer is not good (any more)
--   missing     there is no such extent, scope or budget
-- `entry` has the texts of the entries that were written, for whoever called, which asks later what became of them: in no relation to the item beside it.
-- Called by the warden.
create or replace function charge_batch(p_session uuid[], p_download uuid[], p_index int[], p_customer uuid[], p_direction text[], p_bytes bigint[], p_items bigint[], p_version uuid[] default null)
returns table (item int, outcome text, budget bigint, rank int, unit text, window_name text, cap bigint, free_at timestamptz, after_ms int, is_slow boolean,
  customer uuid, content uuid, object text, bytes bigint, sealed_bytes int, inline bytea, customer_key uuid, wrapped_key bytea, entry text)
language plpgsql set cofferdam.customers = '*' set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  asked charge_item[]; locked bigint[]; scopes charge_scope[]; decided charge_decision[]; is_good boolean[]; entries text[];
  oldest int; moment timestamptz; now_minute int;
begin
  -- 1. Identities and prices; the state of version and download and the 24-hour marks, too.
  asked := charge_items(p_session, p_download, p_index, p_customer, p_direction, p_bytes, p_items, p_version);

  -- 2. Lock all budgets of the batch, in the one order that every writer keeps.
  select array_agg(q.id), min(q.minute) into locked, oldest
  from (select b.id, b.minute from budget b where b.id in (select unnest(x.budgets) from unnest(asked) x) order by b.rank, b.id for update) q;
  -- Never now(): it is the time at which the transaction began, before the locks.
  moment := clock_timestamp();
  now_minute := floor(extract(epoch from moment) / 60)::int;
  if oldest < now_minute then
    perform turn_budget(b.id, now_minute) from unnest(locked) l(id) join budget b on b.id = l.id where b.minute < now_minute;
  end if;
  scopes := charge_scopes(locked, moment);

  -- 3. Whether session, account, credential and customer are good is read after the locks: a revocation that committed
  -- before is seen.
  select array_agg(se.state = 'open' and se.expires_at > moment and a.state = 'active' and (a.expires_at is null or a.expires_at > moment)
      and cr.state in ('active', 'retiring') and cr.expires_at > moment and cu.state = 'active' order by x.ordinality)
    into is_good
  from unnest(asked) with ordinality x
    left join session se on se.id = x.session left join account a on a.id = se.account_id left join credential cr on cr.id = se.credential_id
    left join customer cu on cu.id = x.customer;

  -- 4. Decide in memory.
  select d.decided, d.scopes into decided, scopes from decide_charges(asked, is_good, scopes, moment) d;

  -- 5. Write: the totals; a mark for each extent and each file that was paid for; an entry for each extent and each
  -- refusal (`later` leaves none); and that a version was read for the first time.
  update budget q set total_bytes = q.total_bytes + s.added_bytes, total_items = q.total_items + s.added_items, slow_until = s.slow_until
    from unnest(scopes) s where q.id = s.id and (s.added_bytes > 0 or s.added_items > 0);
  insert into charged_item as t (credential_id, item, charged_at)
    select x.credential, x.object, moment from unnest(asked, decided) x where x.download is not null and x.outcome = 'granted'
    union all
    select x.credential, x.content, moment from unnest(asked, decided) x where x.pays_file
    on conflict (credential_id, item) do update set charged_at = excluded.charged_at;
  -- Each as text, for whoever called: it asks later what became of them. The same text as server/postgres/entry-queries.ts asks for.
  with born as (
    insert into ledger_fresh as f (kind, observer, customer_id, account_id, session_id, node, plane, handle_id, version_id, extent, bytes, public)
      select case when x.download is not null then case when x.outcome in ('granted', 'repeat') then 'extent.granted' else 'extent.refused' end
                  when x.direction = 'in' then 'upload.refused' when x.direction = 'out' then 'extent.refused' else 'list.refused' end,
        'warden', x.customer, x.account, x.session, x.node, x.plane, x.download, x.version, x.extent, x.bytes,
        case when x.outcome = 'granted' then '{}' else jsonb_build_object('outcome', x.outcome) end
      from unnest(asked, decided) with ordinality x
      where x.account is not null and x.outcome <> 'later' and (x.download is not null or x.outcome <> 'granted') order by x.ordinality
    returning row(f.id, f.at, f.kind, f.observer, f.customer_id, f.account_id, f.session_id, f.node, f.plane, f.handle_id, f.version_id, f.extent, f.bytes, f.public, f.credential,
        f.also_credential, f.source, f.source_port, f.client, f.operator, f.sensitive)::text as entry)
  select array_agg(born.entry) into entries from born;
  if exists (select 1 from unnest(asked, decided) x where x.is_unread and x.download is not null and x.outcome in ('granted', 'repeat')) then
    update version v set first_read_at = moment
      where v.first_read_at is null and v.id in (select x.version from unnest(asked, decided) x where x.outcome in ('granted', 'repeat') and x.version is not null);
  end if;

  return query
    select x.ordinality::int, x.outcome, w.id, x.refusing_rank, w.unit, w.window_name, w.cap, w.free_at, x.after_ms, x.is_slow,
      x.customer, case when x.outcome in ('granted', 'repeat') then x.content end, e.object_id, x.bytes, e.sealed_bytes, e.inline, co.customer_key_id, co.wrapped_key,
      entries[x.ordinality]
    from unnest(asked, decided) with ordinality x
      left join extent e on x.outcome in ('granted', 'repeat') and x.download is not null and e.content_id = x.content and e.index = x.extent
      left join content co on x.outcome in ('granted', 'repeat') and x.download is not null and co.id = x.content
      left join lateral refusal_of(case when x.outcome = 'over-limit' then x.budgets[x.refusing_rank] end, x.is_half, x.bytes, x.items, moment) w on true
    order by x.ordinality;
end $$;

-- Promises: who asks, for what, what it costs, and which budgets it touches: one element per item, in order. It
-- resolves identities and prices. The state of version and download and the 24-hour marks are read here too, although
-- they may change before the locks. Called by `charge_batch`, before the locks.
create or replace function charge_items(p_session uuid[], p_download uuid[], p_index int[], p_customer uuid[], p_direction text[], p_bytes bigint[], p_items bigint[], p_version uuid[])
returns charge_item[] language plpgsql stable as $$
begin
  return (select array_agg(row(r.s, r.account, r.credential, r.node, r.plane, r.d, r.ix, r.direction, r.customer, r.version, r.content, r.object, r.is_unread, r.bytes,
      r.items, array[r.b1, r.b2, r.b3, r.b4, r.b5], r.same_object, r.same_file, r.object_charged, r.file_charged)::charge_item order by r.o)
  from (
    select x.o, x.s, x.d, x.ix, y.customer, y.direction, se.credential_id as credential, se.account_id as account, se.node, a.plane,
      e.object_id::uuid as object, v.id as version, v.content_id as content, v.first_read_at is null as is_unread,
      case when x.d is null then x.am else e.bytes end as bytes,
      case when x.d is null then x.it else 1 end as items,
      -- Each by its whole key: a join could be planned by half of it while the tables are young.
      (select t.charged_at from charged_item t where t.credential_id = se.credential_id and t.item = e.object_id::uuid) as object_charged,
      (select t.charged_at from charged_item t where t.credential_id = se.credential_id and t.item = v.content_id) as file_charged,
      min(x.o) over (partition by se.credential_id, e.object_id, case when e.object_id is null then x.o end)::int as same_object,
      min(x.o) over (partition by se.credential_id, v.content_id, case when v.content_id is null then x.o end)::int as same_file,
      (select b.id from budget b where b.rank = 1 and b.credential_id = se.credential_id and b.direction = y.direction) as b1,
      (select b.id from budget b where b.rank = 2 and b.account_id = se.account_id and b.customer_id = y.customer and b.direction = y.direction) as b2,
      (select b.id from budget b where b.rank = 3 and b.customer_id = y.customer and b.direction = y.direction) as b3,
      (select b.id from budget b where b.rank = 4 and b.plane = a.plane and b.direction = y.direction) as b4,
      (select b.id from budget b where b.rank = 5 and b.direction = y.direction) as b5
    from unnest(p_session, p_download, p_index, p_customer, p_direction, p_bytes, p_items, p_version) with ordinality as x(s, d, ix, cu, dir, am, it, ve, o)
      left join session se on se.id = x.s
      left join account a on a.id = se.account_id
      left join download d on d.id = x.d
      -- A row that names another file, or another customer, than was opened is no handle of it.
      left join version v on v.id = d.version_id and v.id = coalesce(x.ve, v.id) and d.customer_id = coalesce(x.cu, d.customer_id)
        and v.state = 'published' and d.session_id = x.s and d.closed_at is null
      left join extent e on e.content_id = v.content_id and e.index = x.ix and x.ix < v.extent_count
      cross join lateral (select case when x.d is null then x.cu when d.session_id = x.s then coalesce(x.cu, d.customer_id) end as customer, case when x.d is null then x.dir else 'out' end as direction) y
    offset 0) r);
end $$;

-- Promises: what each locked budget has room for, in the order of `locked`. The rule is `roomOf`
-- (server/domain/budgets/room.ts), and a test compares the two. Called by `charge_batch` and `charge_ending`, under the
-- locks, after the windows were advanced.
create or replace function charge_scopes(locked bigint[], moment timestamptz) returns charge_scope[] language plpgsql stable as $$
begin
  return (select array_agg(row(g.id, 0, 0,
      room_for_bytes(g.caps, g.ceiling_percent, g.used), room_for_items(g.caps, g.ceiling_percent, g.used),
      -- Half of the customer's caps, for those who share it.
      room_for_bytes(g.shared_caps, 50, g.used), room_for_items(g.shared_caps, 50, g.used),
      room_for_bytes(g.caps, 100, g.used), room_for_items(g.caps, 100, g.used),
      g.slow_until, g.ceiling_percent,
      g.caps_of_pace, case when g.caps_of_pace is not null then g.used end)::charge_scope order by g.o)
  from (
    select l.o, b.id, b.slow_until, b.ceiling_percent, caps_at(b, moment) as caps, budget_used(b) as used,
      -- As they were set: headroom does not change the pace.
      case when b.rank >= 4 then caps_at(b, 'infinity') end as caps_of_pace,
      (select caps_at(c, moment) from budget c where b.is_share and c.rank = 3 and c.customer_id = b.customer_id and c.direction = b.direction) as shared_caps
    from unnest(locked) with ordinality l(id, o) join budget b on b.id = l.id
    offset 0) g);
end $$;

-- Promises: what becomes of each item, in their order, and what the batch takes of each budget. It reads and writes no table, but for the number of a
-- customer's credentials when half of the caps is what would refuse. The rule is `decide` (server/domain/budgets/decide.ts), and a test compares the two. Called
-- by `charge_batch`.
create or replace function decide_charges(asked charge_item[], is_good boolean[], inout scopes charge_scope[], moment timestamptz, out decided charge_decision[])
language plpgsql stable as $$
declare
  ids constant bigint[] := array(select s.id from unnest(scopes) s);
  paid_objects int[] := '{}';
  paid_files int[] := '{}';
  item charge_item; scope charge_scope; decision charge_decision;
  places int[]; place int; bytes bigint; items bigint;
begin
  for i in 1 .. cardinality(asked) loop
    item := asked[i];
    decision := row('missing', 0, false, 0, false, false);
    <<decide>>
    begin
      if is_good[i] is not true and item.bytes is not null then decision.outcome := 'session'; end if;
      exit decide when is_good[i] is not true or item.bytes is null or item.bytes < 0 or item.items is null or item.items < 0;

      -- An extent is paid for once a day, and the file with the first of its extents.
      if item.download is not null and (item.object_charged_at > moment - interval '24 hours' or item.same_object = any (paid_objects)) then
        decision.outcome := 'repeat';
        exit decide;
      end if;
      bytes := item.bytes;
      items := item.items;
      if item.download is not null and (item.file_charged_at > moment - interval '24 hours' or item.same_file = any (paid_files)) then items := 0; end if;

      places := array[array_position(ids, item.budgets[1]), array_position(ids, item.budgets[2]), array_position(ids, item.budgets[3]),
        array_position(ids, item.budgets[4]), array_position(ids, item.budgets[5])];
      exit decide when array_position(places, null) is not null;

      -- All five have room, or none of them is charged.
      for j in 1 .. 5 loop
        scope := scopes[places[j]];
        if bytes > scope.room_bytes - scope.added_bytes or items > scope.room_items - scope.added_items then
          decision.outcome := 'over-limit'; decision.refusing_rank := j;
          exit decide;
        end if;
        if scope.half_bytes is not null and (bytes > scope.half_bytes - scope.added_bytes or items > scope.half_items - scope.added_items) then
          decision.is_half := has_several_credentials(item.customer);
          if decision.is_half then
            decision.outcome := 'over-limit'; decision.refusing_rank := j;
            exit decide;
          end if;
        end if;
      end loop;

      -- Past their cap, plane and gateway let one item at a time through.
      for j in 4 .. 5 loop
        scope := scopes[places[j]];
        if bytes > scope.soft_bytes - scope.added_bytes or items > scope.soft_items - scope.added_items then
          decision.is_slow := true;
          if scope.slow_until > moment then
            decision.outcome := 'later';
            -- A wait of weeks is as good as never: whoever asks has less patience.
            decision.after_ms := greatest(decision.after_ms, least(ceil(extract(epoch from scope.slow_until - moment) * 1000), 2147483647)::int);
          end if;
        end if;
      end loop;
      exit decide when decision.outcome = 'later';

      decision.outcome := 'granted';
      foreach place in array places loop
        scope := scopes[place];
        if scope.caps is not null and (bytes > scope.soft_bytes - scope.added_bytes or items > scope.soft_items - scope.added_items) then
          scope.slow_until := greatest(scope.slow_until, moment) + slow_step(scope, bytes, items);
        end if;
        scope.added_bytes := scope.added_bytes + bytes;
        scope.added_items := scope.added_items + items;
        scopes[place] := scope;
      end loop;
      if item.download is not null then
        paid_objects := paid_objects || item.same_object;
        decision.pays_file := items > 0;
        if items > 0 then paid_files := paid_files || item.same_file; end if;
      end if;
    end;
    decided[i] := decision;
  end loop;
end $$;

-- Promises: for how long a budget that is past its cap lets nothing through after this item: what is left of the way from cap to ceiling is stretched over
-- the window. Called by `decide_charges`.
create or replace function slow_step(scope charge_scope, bytes bigint, items bigint) returns interval language sql immutable as $$
  select greatest(max(case when w.used + w.amount > w.cap then w.length * w.amount / greatest(w.cap * (scope.ceiling_percent - 100) / 100, 1) end), interval '0')
  from unnest(scope.caps, scope.used, array[bytes, bytes, bytes, items, items, items],
    array[interval '1 hour', interval '24 hours', interval '7 days', interval '1 hour', interval '24 hours', interval '7 days']) w(cap, used, amount, length)
$$;

-- Promises: the last bytes of an upload whose session is over, within its grace period, are charged to all five scopes,
-- or refused by any of them. They cost no item, and neither half of the customer's caps nor the slow-down of plane and
-- gateway holds for them. They were acknowledged before the session ended, so whether the account is still good does
-- not matter any more. True means charged. Called by the warden.
create or replace function charge_ending(p_session uuid, p_customer uuid, p_bytes bigint, p_grace_ms bigint) returns boolean
language plpgsql set cofferdam.customers = '*' set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
  locked bigint[]; moment timestamptz; now_minute int; fits boolean;
begin
  select array_agg(q.id) into locked from (
    select b.id from session se join account a on a.id = se.account_id
      join budget b on b.direction = 'in' and (b.rank = 1 and b.credential_id = se.credential_id or b.rank = 2 and b.account_id = se.account_id and b.customer_id = p_customer
        or b.rank = 3 and b.customer_id = p_customer or b.rank = 4 and b.plane = a.plane or b.rank = 5)
    where se.id = p_session and is_ending(se.ended_at, se.expires_at, p_grace_ms)
    order by b.rank, b.id for update of b) q;
  if cardinality(locked) is distinct from 5 or p_bytes < 0 then return false; end if;
  moment := clock_timestamp();
  now_minute := floor(extract(epoch from moment) / 60)::int;
  perform turn_budget(b.id, now_minute) from budget b where b.id = any (locked) and b.minute < now_minute;
  select bool_and(s.room_bytes >= p_bytes) into fits from unnest(charge_scopes(locked, moment)) s;
  if fits then update budget b set total_bytes = b.total_bytes + p_bytes where b.id = any (locked); end if;
  return fits;
end $$;
