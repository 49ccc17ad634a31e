-- Budgets of every scope: credential, account x customer, customer (these refuse), plane and gateway (these slow down first).
-- One row per scope and direction holds two counters: bytes and items (out, in: files; list: names). Caps per hour, day and week.
-- Totals only grow; use in a window = total - base, base = total at the newest snapshot not younger than the window. Losing or thinning
-- snapshots only over-counts. Every writer of budget rows locks them in one call, in the order of rank, then id.

drop function grant_extents(uuid[], uuid[], int[]);
drop function budget_free_at(bigint, int, bigint, bigint);
drop function turn_budget(bigint, int);
drop type grant_item;

alter table budget rename column total to total_bytes;
alter table budget rename column base_hour to base_hour_bytes;
alter table budget rename column base_day to base_day_bytes;
alter table budget rename column base_week to base_week_bytes;
alter table budget rename column cap_hour to cap_hour_bytes;
alter table budget rename column cap_day to cap_day_bytes;
alter table budget rename column cap_week to cap_week_bytes;
alter table budget drop constraint budget_rank_account_id_customer_id_key;

create domain cap as bigint check (value between 0 and 1125899906842624);
alter table budget
  alter column cap_hour_bytes type cap, alter column cap_day_bytes type cap, alter column cap_week_bytes type cap,
  add column direction text not null default 'out' check (direction in ('out', 'in', 'list')),
  add column credential_id uuid references credential,
  add column plane text check (plane in ('partner', 'internal')),
  add column total_items bigint not null default 0 check (total_items >= 0),
  add column base_hour_items bigint not null default 0,
  add column base_day_items bigint not null default 0,
  add column base_week_items bigint not null default 0,
  -- Rows of before counted no files: they get the default caps when the warden starts.
  add column cap_hour_items cap not null default 0,
  add column cap_day_items cap not null default 0,
  add column cap_week_items cap not null default 0,
  -- Refusal begins at this share of the cap. Above 100 (plane, gateway) the way from cap to ceiling is slowed down instead.
  add column ceiling_percent int not null default 100 check (ceiling_percent between 100 and 1000),
  add column slow_until timestamptz not null default '-infinity',
  -- At most half of the customer's caps while several credentials could use them.
  add column is_share boolean not null default false,
  -- Bytes a second over the wire; null = not paced.
  add column rate bigint check (rate between 1024 and 1125899906842624),
  -- Concurrent sessions (direction out only).
  add column sessions_max int check (sessions_max >= 0),
  -- Approved beforehand; one operator may release it once.
  add column headroom_percent int not null default 0 check (headroom_percent between 0 and 100),
  add column headroom_until timestamptz not null default '-infinity',
  -- What happens when a credential meets this cap, beside the refusal and the alert.
  add column consequence text not null default 'refuse' check (consequence in ('refuse', 'end-sessions', 'suspend')),
  add check ((rank = 1) = (credential_id is not null)),
  add check ((rank = 2) = (account_id is not null)),
  add check (rank not in (2, 3) or customer_id is not null),
  add check (rank < 4 or customer_id is null),
  add check ((rank = 4) = (plane is not null)),
  add check (rank >= 4 or ceiling_percent = 100),
  add check (sessions_max is null or direction = 'out');
alter table budget alter column direction drop default;
alter table budget alter column cap_hour_items drop default, alter column cap_day_items drop default, alter column cap_week_items drop default;
create unique index budget_credential on budget (credential_id, direction) where rank = 1;
create unique index budget_account on budget (account_id, customer_id, direction) where rank = 2;
create unique index budget_customer on budget (customer_id, direction) where rank = 3;
create unique index budget_plane on budget (plane, direction) where rank = 4;
create unique index budget_gateway on budget (direction) where rank = 5;

alter table budget_snapshot rename column total to bytes;
alter table budget_snapshot add column items bigint not null default 0;

-- A budget only becomes wider or narrower in caps; what was counted never goes down and a row never changes its scope.
create function budget_guard() returns trigger language plpgsql as $$
begin
  raise exception 'a budget is never refunded and keeps its scope' using errcode = 'check_violation';
end $$;
create trigger budget_guard before update on budget for each row
  when (new.total_bytes < old.total_bytes or new.total_items < old.total_items or new.minute < old.minute
    or (new.rank, new.direction, new.credential_id, new.account_id, new.customer_id, new.plane)
      is distinct from (old.rank, old.direction, old.credential_id, old.account_id, old.customer_id, old.plane))
  execute function budget_guard();

-- What a credential was charged for: objects (their ids are unique for ever) and files (by content). Again within 24 h it is recorded, not charged.
drop table charged_extent;
create table charged_item (
  credential_id uuid not null,
  item uuid not null,
  charged_at timestamptz not null,
  primary key (credential_id, item)
) with (fillfactor = 80);
create index on charged_item (charged_at);

-- The record names what it is about; a reference would be checked with every entry and could only ever stop one.
alter table ledger drop constraint ledger_customer_id_fkey;

-- When the flow of a scope is paid for; see pace(). It steers, it guards nothing: losing it costs a fraction of a second of rate.
create unlogged table flow (
  budget_id bigint primary key references budget,
  until timestamptz not null
) with (fillfactor = 20);

-- Facts that somebody must hear of, with the command to type next. One row per kind, subject and hour; repeats are counted.
create table alert (
  id uuid primary key default gen_random_uuid(),
  kind text not null,
  severity text not null check (severity in ('notice', 'warning', 'critical')),
  subject text not null,
  hour timestamptz not null,
  customer_id uuid references customer,
  account_id uuid references account,
  text text not null,
  facts jsonb not null,
  next_command text not null,
  -- Whom to tell beside the operators, and in which words.
  contact text,
  contact_text text,
  first_at timestamptz not null default clock_timestamp(),
  last_at timestamptz not null default clock_timestamp(),
  count bigint not null default 1,
  logged_at timestamptz,
  unique (kind, subject, hour)
);
create index on alert (last_at);
create index on alert (first_at) where logged_at is null;
alter table alert enable row level security;
alter table alert force row level security;
create policy scope on alert using (customer_id is null or in_scope(customer_id)) with check (customer_id is null or in_scope(customer_id));

alter table credential drop constraint credential_state_check;
alter table credential add constraint credential_state_check check (state in ('active', 'retiring', 'suspended', 'revoked'));

-- Slides the windows of one budget to `now_minute`; the caller holds the row's lock.
create function turn_budget(budget_id_in bigint, now_minute int) returns void language plpgsql as $$
begin
  insert into budget_snapshot (budget_id, minute, bytes, items)
    select id, b.minute + 1, total_bytes, total_items from budget b where id = budget_id_in and b.minute < now_minute
    on conflict do nothing;
  update budget b set
    minute = now_minute,
    base_hour_bytes = greatest(b.base_hour_bytes, h.bytes), base_hour_items = greatest(b.base_hour_items, h.items),
    base_day_bytes = greatest(b.base_day_bytes, d.bytes), base_day_items = greatest(b.base_day_items, d.items),
    base_week_bytes = greatest(b.base_week_bytes, w.bytes), base_week_items = greatest(b.base_week_items, w.items)
  from (select 1) one
    left join lateral (select s.bytes, s.items from budget_snapshot s where s.budget_id = budget_id_in and s.minute <= now_minute - 60 order by s.minute desc limit 1) h on true
    left join lateral (select s.bytes, s.items from budget_snapshot s where s.budget_id = budget_id_in and s.minute <= now_minute - 1440 order by s.minute desc limit 1) d on true
    left join lateral (select s.bytes, s.items from budget_snapshot s where s.budget_id = budget_id_in and s.minute <= now_minute - 10080 order by s.minute desc limit 1) w on true
  where b.id = budget_id_in and b.minute < now_minute;
end $$;

-- What a budget's windows hold now, without turning it.
create function budget_use(budget_id_in bigint) returns table (window_name text, used_bytes bigint, used_items bigint) language sql stable as $$
  select w.name,
    b.total_bytes - greatest(w.base_bytes, coalesce(s.bytes, 0), case when b.minute + 1 <= n.minute - w.minutes then b.total_bytes else 0 end),
    b.total_items - greatest(w.base_items, coalesce(s.items, 0), case when b.minute + 1 <= n.minute - w.minutes then b.total_items else 0 end)
  from budget b cross join lateral (select floor(extract(epoch from clock_timestamp()) / 60)::int as minute) n
    cross join lateral (values ('hour', 60, b.base_hour_bytes, b.base_hour_items), ('day', 1440, b.base_day_bytes, b.base_day_items), ('week', 10080, b.base_week_bytes, b.base_week_items))
      w(name, minutes, base_bytes, base_items)
    left join lateral (select s.bytes, s.items from budget_snapshot s where s.budget_id = b.id and s.minute <= n.minute - w.minutes order by s.minute desc limit 1) s on true
  where b.id = budget_id_in
$$;

-- The budget rows of a scope as operators name it: a fingerprint, an account (and a customer), a customer, a plane, or the gateway.
create function find_budgets(kind_in text, name_in text, customer_in text) returns setof bigint language sql stable as $$
  select b.id from budget b
    left join credential k on k.id = b.credential_id left join account a on a.id = b.account_id left join customer c on c.id = b.customer_id
  where (kind_in = 'credential' and b.rank = 1 and k.fingerprint = name_in)
     or (kind_in = 'account' and b.rank = 2 and a.name = name_in and (customer_in is null or c.name = customer_in))
     or (kind_in = 'customer' and b.rank = 3 and c.name = name_in)
     or (kind_in = 'plane' and b.rank = 4 and b.plane = name_in)
     or (kind_in = 'gateway' and b.rank = 5)
  order by b.rank, b.id
$$;

-- What keeps old row versions alive: one forgotten snapshot stops the pruning of the hot budget rows and cuts grants to a tenth.
-- Runs with its owner's rights: other users' sessions are hidden from the admin role.
create function old_snapshots(older_than_seconds int) returns table (who text, what text, seconds int)
language sql stable security definer set search_path = pg_catalog as $$
  select coalesce(usename, '?') || ' ' || coalesce(application_name, ''), 'open transaction of process ' || pid, extract(epoch from clock_timestamp() - xact_start)::int
    from pg_stat_activity where backend_xmin is not null and pid <> pg_backend_pid() and backend_type = 'client backend' and xact_start < clock_timestamp() - older_than_seconds * interval '1 second'
  union all
  select owner, 'prepared transaction ' || gid, extract(epoch from clock_timestamp() - prepared)::int from pg_prepared_xacts where prepared < clock_timestamp() - older_than_seconds * interval '1 second'
  union all
  select 'replication slot', slot_name, null from pg_replication_slots where xmin is not null
$$;

-- When `bytes` and `items` more fit into one window: the first snapshot that, once it is the window's base, leaves room. Never = null.
create function budget_free_at(budget_id_in bigint, window_minutes int, cap_bytes bigint, cap_items bigint, bytes_in bigint, items_in bigint)
returns timestamptz language sql stable as $$
  select to_timestamp((min(m) + window_minutes) * 60.0) from (
    select s.minute as m from budget b join budget_snapshot s on s.budget_id = b.id
      where b.id = budget_id_in and b.total_bytes + bytes_in - s.bytes <= cap_bytes and b.total_items + items_in - s.items <= cap_items
    union all
    select b.minute + 1 from budget b where b.id = budget_id_in
  ) x where bytes_in <= cap_bytes and items_in <= cap_items
$$;

-- The caps that hold now: released headroom included.
create function effective_cap(given bigint, headroom_percent int, headroom_until timestamptz, moment timestamptz) returns bigint
language sql immutable parallel safe as $$
  select case when headroom_until > moment then given * (100 + headroom_percent) / 100 else given end
$$;

-- Whether several credentials could use this customer's budget now.
create function has_several_credentials(customer uuid) returns boolean language sql stable as $$
  select count(*) > 1 from (
    select 1 from credential c join account a on a.id = c.account_id
    where (a.customer_id = customer or exists (select 1 from folder_right r where r.account_id = a.id and r.customer_id = customer))
      and c.state in ('active', 'retiring') and c.expires_at > clock_timestamp()
      and a.state = 'active' and (a.expires_at is null or a.expires_at > clock_timestamp())
    limit 2) x
$$;
create index on folder_right (customer_id, account_id);

-- Why a budget refuses: the widest window that does, so that the time named is the time at which there really is more.
create function refusal_of(budget_id_in bigint, is_half boolean, bytes_in bigint, items_in bigint, moment timestamptz)
returns table (id bigint, unit text, window_name text, cap bigint, free_at timestamptz) language plpgsql stable strict as $$
#variable_conflict use_column
declare q record; w record;
begin
  select b.*, coalesce(h.headroom_percent, b.headroom_percent) as room_percent, coalesce(h.headroom_until, b.headroom_until) as room_until,
      case when is_half then 50 else b.ceiling_percent end as share,
      coalesce(h.cap_hour_bytes, b.cap_hour_bytes) as hb, coalesce(h.cap_day_bytes, b.cap_day_bytes) as db, coalesce(h.cap_week_bytes, b.cap_week_bytes) as wb,
      coalesce(h.cap_hour_items, b.cap_hour_items) as hi, coalesce(h.cap_day_items, b.cap_day_items) as di, coalesce(h.cap_week_items, b.cap_week_items) as wi
    into q
  from budget b left join budget h on is_half and h.rank = 3 and h.customer_id = b.customer_id and h.direction = b.direction
  where b.id = budget_id_in;
  for w in
    select x.name, x.minutes, x.used_bytes, x.used_items,
      effective_cap(x.bytes, q.room_percent, q.room_until, moment) * q.share / 100 as cap_bytes,
      effective_cap(x.items, q.room_percent, q.room_until, moment) * q.share / 100 as cap_items
    from (values
      ('week', 10080, q.wb::bigint, q.wi::bigint, q.total_bytes - q.base_week_bytes, q.total_items - q.base_week_items),
      ('day', 1440, q.db::bigint, q.di::bigint, q.total_bytes - q.base_day_bytes, q.total_items - q.base_day_items),
      ('hour', 60, q.hb::bigint, q.hi::bigint, q.total_bytes - q.base_hour_bytes, q.total_items - q.base_hour_items)
    ) x(name, minutes, bytes, items, used_bytes, used_items)
  loop
    if w.used_bytes + bytes_in > w.cap_bytes or w.used_items + items_in > w.cap_items or w.name = 'hour' then
      id := budget_id_in;
      window_name := w.name;
      unit := case when w.used_bytes + bytes_in > w.cap_bytes then 'bytes' else 'items' end;
      cap := case when unit = 'bytes' then w.cap_bytes else w.cap_items end;
      free_at := budget_free_at(budget_id_in, w.minutes, w.cap_bytes, w.cap_items, bytes_in, items_in);
      return next;
      return;
    end if;
  end loop;
end $$;

-- One steady flow per scope, wherever its transfers run: each permit is the next piece of the scope's own time line. Returns how many
-- bytes may go and how long to wait for them. Steering only: an edge that does not ask still cannot pass a cap.
create function pace(p_session uuid[], p_customer uuid[], p_direction text[], p_bytes bigint[])
returns table (item int, bytes bigint, wait_ms int)
language plpgsql set cofferdam.customers = '*' set plan_cache_mode = force_generic_plan set synchronous_commit = off as $$
#variable_conflict use_column
declare
  scopes bigint[]; ids bigint[]; rates bigint[]; ends timestamptz[]; ended timestamptz[]; moment timestamptz; begins timestamptz; i int; k int; size bigint;
begin
  select array_agg(array[coalesce(b1.id, 0), coalesce(b2.id, 0), coalesce(b3.id, 0), coalesce(b4.id, 0), coalesce(b5.id, 0)] order by x.o) into scopes
    from unnest(p_session, p_customer, p_direction) with ordinality x(s, cu, dir, o)
      left join session se on se.id = x.s left join account a on a.id = se.account_id
      left join budget b1 on b1.rank = 1 and b1.credential_id = se.credential_id and b1.direction = x.dir and b1.rate is not null
      left join budget b2 on b2.rank = 2 and b2.account_id = se.account_id and b2.customer_id = x.cu and b2.direction = x.dir and b2.rate is not null
      left join budget b3 on b3.rank = 3 and b3.customer_id = x.cu and b3.direction = x.dir and b3.rate is not null
      left join budget b4 on b4.rank = 4 and b4.plane = a.plane and b4.direction = x.dir and b4.rate is not null
      left join budget b5 on b5.rank = 5 and b5.direction = x.dir and b5.rate is not null;
    insert into flow select distinct u.id, '-infinity'::timestamptz from unnest(scopes) u(id) where u.id > 0 on conflict do nothing;
  select array_agg(q.id), array_agg(q.rate), array_agg(q.until) into ids, rates, ends
  from (select b.id, b.rate, f.until from flow f join budget b on b.id = f.budget_id where f.budget_id in (select unnest(scopes)) order by b.rank, b.id for update of f) q;
  moment := clock_timestamp();
  ended := ends;
  for i in 1 .. cardinality(p_session) loop
    size := p_bytes[i];
    begins := moment;
    for j in 1 .. 5 loop
      k := array_position(ids, scopes[i][j]);
      if k is null then continue; end if;
      size := least(size, greatest(rates[k] / 8, 32768));
      begins := greatest(begins, ends[k]);
    end loop;
    for j in 1 .. 5 loop
      k := array_position(ids, scopes[i][j]);
      if k is null then continue; end if;
      ends[k] := greatest(ends[k], moment) + interval '1 second' * size / rates[k];
    end loop;
    item := i; bytes := size; wait_ms := ceil(extract(epoch from begins - moment) * 1000)::int;
    return next;
  end loop;
  update flow f set until = y.u from unnest(ids, ends, ended) y(id, u, was) where f.budget_id = y.id and y.u is distinct from y.was;
end $$;

-- Charge, record, commit: the batch is decided in memory and written in one go. The key follows only after the commit is known.
-- An item is an extent of an open download (download and index given; customer, bytes and items come from the catalogue), or an amount
-- (customer, direction, bytes, items given). One answer per item, in order. outcome:
--   granted   charged to every scope and recorded
--   repeat    the same credential paid for this extent in the last 24 h (recorded, not charged)
--   later     plane or gateway is past its cap: nothing was charged, ask again after after_ms
--   over-limit  a cap refuses: which scope (rank), unit, window, cap, and when there is more
--   session | missing   the session, account, credential or customer is not good (any more); there is no such extent, scope or budget
create function charge_batch(p_session uuid[], p_download uuid[], p_index int[], p_customer uuid[], p_direction text[], p_bytes bigint[], p_items bigint[])
returns table (item int, outcome text, budget bigint, rank int, unit text, window_name text, cap bigint, free_at timestamptz, after_ms int, is_slow boolean,
  customer uuid, content uuid, object text, bytes bigint, sealed_bytes int, inline bytea, customer_key uuid, wrapped_key bytea)
language plpgsql set cofferdam.customers = '*' set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  n constant int := cardinality(p_session);
  customers uuid[]; versions uuid[]; contents uuid[]; sizes bigint[]; amounts bigint[]; charged timestamptz[]; file_charged timestamptz[];
  objects uuid[]; credentials uuid[]; accounts uuid[]; nodes text[]; same_object int[]; same_file int[]; unread boolean[]; scopes bigint[];
  ids bigint[]; ranks int[]; minutes int[]; room_bytes bigint[]; room_items bigint[]; soft_bytes bigint[]; soft_items bigint[];
  half_bytes bigint[]; half_items bigint[]; slow timestamptz[]; added_bytes bigint[]; added_items bigint[];
  alive boolean[]; res int[]; why int[]; wait int[]; slowed boolean[]; paid_files int[]; several boolean;
  pos int[]; now_minute int; moment timestamptz; i int; j int; k int; b bigint; c bigint; step interval; is_extent boolean;
begin
  -- 1. What never changes: who asks, for what, and which budgets it touches (five an item, in the order of their rank).
  select array_agg(r.customer order by r.o), array_agg(r.version order by r.o), array_agg(r.content order by r.o), array_agg(r.bytes order by r.o),
         array_agg(r.items order by r.o), array_agg(r.object_charged order by r.o), array_agg(r.file_charged order by r.o),
         array_agg(r.same_object order by r.o), array_agg(r.same_file order by r.o), array_agg(r.unread order by r.o),
         array_agg(array[r.b1, r.b2, r.b3, r.b4, r.b5] order by r.o), array_agg(r.object order by r.o), array_agg(r.credential order by r.o),
         array_agg(r.account order by r.o), array_agg(r.node order by r.o)
    into customers, versions, contents, sizes, amounts, charged, file_charged, same_object, same_file, unread, scopes, objects, credentials, accounts, nodes
  from (
    select x.o, y.customer, se.credential_id as credential, se.account_id as account, se.node, e.object_id::uuid as object, v.id as version, v.content_id as content, case when x.d is null then x.am else e.bytes end as bytes,
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
  insert into ledger (kind, customer_id, account_id, session_id, node, observer, public, sensitive)
    select case when x.d is not null then case when x.res <= 1 then 'extent.granted' else 'extent.refused' end
                when x.dir = 'in' then 'upload.refused' when x.dir = 'out' then 'extent.refused' else 'list.refused' end,
      x.cu, x.account, x.s, x.node, 'warden',
      jsonb_build_object('version', x.version, 'index', x.ix, 'bytes', x.bytes, 'outcome', (array['granted', 'repeat', 'session', 'missing', 'over-limit', 'later'])[x.res + 1]),
      jsonb_build_object('credential', x.credential)
    from unnest(p_session, p_download, p_index, p_direction, customers, versions, sizes, res, accounts, credentials, nodes) with ordinality x(s, d, ix, dir, cu, version, bytes, res, account, credential, node, o)
    where x.account is not null and x.res <> 5 and (x.d is not null or x.res <> 0) order by x.o;
  if exists (select 1 from unnest(unread, p_download, res) u(is_unread, d, res) where u.is_unread and u.d is not null and u.res <= 1) then
    update version v set first_read_at = moment
      where v.first_read_at is null and v.id in (select u.v from unnest(versions, res) u(v, res) where u.res <= 1 and u.v is not null);
  end if;

  return query
    select x.o::int, (array['granted', 'repeat', 'session', 'missing', 'over-limit', 'later'])[x.res + 1], w.id, case when x.why > 5 then x.why - 5 else x.why end, w.unit, w.window_name, w.cap,
      w.free_at, x.wait, x.slowed, x.cu, case when x.res <= 1 then x.content end, e.object_id, x.bytes, e.sealed_bytes, e.inline, co.customer_key_id, co.wrapped_key
    from unnest(p_download, p_index, customers, contents, sizes, amounts, res, why, wait, slowed) with ordinality x(d, ix, cu, content, bytes, amount, res, why, wait, slowed, o)
      left join extent e on x.res <= 1 and x.d is not null and e.content_id = x.content and e.index = x.ix
      left join content co on x.res <= 1 and x.d is not null and co.id = x.content
      left join lateral refusal_of(case when x.res = 4 then scopes[x.o][case when x.why > 5 then x.why - 5 else x.why end] end, x.why > 5, x.bytes, x.amount, moment) w on true
    order by x.o;
end $$;
