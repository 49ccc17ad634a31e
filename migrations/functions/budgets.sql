-- Budgets: what their windows hold, what refuses, and when there is more. Decision 11 has the proof that nothing released ever exceeds a cap.

-- Promises: an UPDATE never lowers a total, sets the minute back, or changes the scope of a row; caps and the rest may
-- change. The condition is written so that a server that reads it from a dump prints it in the same words.
create or replace function budget_guard() returns trigger language plpgsql as $$
begin
  raise exception 'a budget is never refunded and keeps its scope' using errcode = 'check_violation';
end $$;
create or replace trigger budget_guard before update on budget for each row
  when (new.total_bytes < old.total_bytes or new.total_items < old.total_items or new.minute < old.minute
    or new.rank is distinct from old.rank or new.direction is distinct from old.direction or new.credential_id is distinct from old.credential_id
    or new.account_id is distinct from old.account_id or new.customer_id is distinct from old.customer_id or new.plane is distinct from old.plane)
  execute function budget_guard();

-- Promises: advances the windows of one budget: they end at `now_minute`, and the total before that minute is kept as a
-- snapshot. The caller holds the lock of the row. Called by `charge_batch` and `charge_ending`.
create or replace function turn_budget(budget_id_in bigint, now_minute int) returns void language plpgsql as $$
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

-- Promises: what the windows of a budget hold now, in bytes and items, without advancing them. Called by `upload_room`,
-- the admin process and the auditor.
create or replace function budget_use(budget_id_in bigint) returns table (window_name text, used_bytes bigint, used_items bigint) language sql stable as $$
  select w.name,
    b.total_bytes - greatest(w.base_bytes, coalesce(s.bytes, 0), case when b.minute + 1 <= n.minute - w.minutes then b.total_bytes else 0 end),
    b.total_items - greatest(w.base_items, coalesce(s.items, 0), case when b.minute + 1 <= n.minute - w.minutes then b.total_items else 0 end)
  from budget b cross join lateral (select floor(extract(epoch from clock_timestamp()) / 60)::int as minute) n
    cross join lateral (values ('hour', 60, b.base_hour_bytes, b.base_hour_items), ('day', 1440, b.base_day_bytes, b.base_day_items), ('week', 10080, b.base_week_bytes, b.base_week_items))
      w(name, minutes, base_bytes, base_items)
    left join lateral (select s.bytes, s.items from budget_snapshot s where s.budget_id = b.id and s.minute <= n.minute - w.minutes order by s.minute desc limit 1) s on true
  where b.id = budget_id_in
$$;

-- Promises: what an account may still store for a customer: cap and room of the tightest window of its credential, its
-- own and its customer's budgets. Plane, gateway and their windows are used by others too, so they count only as no
-- room at all; so does a budget that is missing. Without a customer, the room of the credential alone. No window is
-- advanced and nothing is charged. Called by the warden.
create or replace function upload_room(credential_in uuid, account_in uuid, customer_in uuid, plane_in text)
returns table (cap_bytes bigint, free_bytes bigint, cap_items bigint, free_items bigint) language sql stable as $$
  with scope as materialized (
    select b as of, b.id, b.rank, b.is_share, b.ceiling_percent from budget b where b.direction = 'in' and (b.rank = 1 and b.credential_id = credential_in
      or b.rank = 2 and b.account_id = account_in and b.customer_id = customer_in or b.rank = 3 and b.customer_id = customer_in or b.rank = 4 and b.plane = plane_in or b.rank = 5)),
  share as (
    -- What holds for a scope: its own caps up to the ceiling, and for a share of the customer's budget half of that one's caps.
    select s.id, s.rank, s.of, s.ceiling_percent as percent from scope s
    union all
    select s.id, s.rank, c.of, 50 from scope s join scope c on c.rank = 3 where s.is_share and has_several_credentials(customer_in)),
  room as (
    select h.rank, c.caps[w] * h.percent / 100 as cap_bytes, c.caps[w] * h.percent / 100 - u.used_bytes as bytes,
      c.caps[w + 3] * h.percent / 100 as cap_items, c.caps[w + 3] * h.percent / 100 - u.used_items as items
    from share h cross join lateral (select caps_at(h.of, clock_timestamp()) as caps) c cross join lateral budget_use(h.id) u
      cross join lateral array_position(array['hour', 'day', 'week'], u.window_name) w),
  is_open as (
    select count(distinct s.rank) = case when customer_in is null then 3 else 5 end and not exists (select from room r where r.rank >= 4 and (r.bytes <= 0 or r.items <= 0)) as open
    from scope s)
  select b.cap_bytes, case when o.open then greatest(b.bytes, 0) else 0 end, i.cap_items, case when o.open then greatest(i.items, 0) else 0 end
  from is_open o cross join lateral (select r.cap_bytes, r.bytes from room r where r.rank <= 3 order by r.bytes limit 1) b
    cross join lateral (select r.cap_items, r.items from room r where r.rank <= 3 order by r.items limit 1) i
$$;

-- Promises: the budget rows of a scope as operators name it: a credential's name, an account (and a customer), a customer, a plane, or the gateway. Called by
-- the warden and the admin process.
create or replace function find_budgets(kind_in text, name_in text, customer_in text) returns setof bigint language sql stable as $$
  select b.id from budget b
    left join account a on a.id = b.account_id left join customer c on c.id = b.customer_id
  where (kind_in = 'credential' and b.rank = 1 and b.credential_id = (select credential_named(name_in)))
     or (kind_in = 'account' and b.rank = 2 and a.name = name_in and (customer_in is null or c.name = customer_in))
     or (kind_in = 'customer' and b.rank = 3 and c.name = name_in)
     or (kind_in = 'plane' and b.rank = 4 and b.plane = name_in)
     or (kind_in = 'gateway' and b.rank = 5)
  order by b.rank, b.id
$$;

-- Promises: when so many bytes and items more fit into one window. That is the time of the first snapshot that leaves
-- room once it is the window's base. Null means never. Called by `refusal_of`.
create or replace function budget_free_at(budget_id_in bigint, window_minutes int, cap_bytes bigint, cap_items bigint, bytes_in bigint, items_in bigint)
returns timestamptz language sql stable as $$
  select to_timestamp((min(m) + window_minutes) * 60.0) from (
    select s.minute as m from budget b join budget_snapshot s on s.budget_id = b.id
      where b.id = budget_id_in and b.total_bytes + bytes_in - s.bytes <= cap_bytes and b.total_items + items_in - s.items <= cap_items
    union all
    select b.minute + 1 from budget b where b.id = budget_id_in
  ) x where bytes_in <= cap_bytes and items_in <= cap_items
$$;

-- Promises: the cap that holds at a moment, released headroom included. Called by `caps_at` and the admin process.
create or replace function effective_cap(given bigint, headroom_percent int, headroom_until timestamptz, moment timestamptz) returns bigint
language sql immutable parallel safe as $$
  select case when headroom_until > moment then given * (100 + headroom_percent) / 100 else given end
$$;

-- The six windows of a budget are an array in one order: bytes an hour, a day, a week; items an hour, a day, a week.
-- The planner inlines these SQL functions.

-- Promises: the caps of a budget that hold at a moment, released headroom included. Called by `charge_scopes`,
-- `refusal_of` and `upload_room`.
create or replace function caps_at(b budget, moment timestamptz) returns bigint[] language sql immutable parallel safe as $$
  select array[
    effective_cap(b.cap_hour_bytes, b.headroom_percent, b.headroom_until, moment),
    effective_cap(b.cap_day_bytes, b.headroom_percent, b.headroom_until, moment),
    effective_cap(b.cap_week_bytes, b.headroom_percent, b.headroom_until, moment),
    effective_cap(b.cap_hour_items, b.headroom_percent, b.headroom_until, moment),
    effective_cap(b.cap_day_items, b.headroom_percent, b.headroom_until, moment),
    effective_cap(b.cap_week_items, b.headroom_percent, b.headroom_until, moment)]
$$;

-- Promises: what the windows of a budget hold, once they were advanced. Called by `charge_scopes` and `refusal_of`.
create or replace function budget_used(b budget) returns bigint[] language sql immutable parallel safe as $$
  select array[
    b.total_bytes - b.base_hour_bytes, b.total_bytes - b.base_day_bytes, b.total_bytes - b.base_week_bytes,
    b.total_items - b.base_hour_items, b.total_items - b.base_day_items, b.total_items - b.base_week_items]
$$;

-- Promises: how many bytes still fit into every window under this share of the caps. Called by `charge_scopes`.
create or replace function room_for_bytes(caps bigint[], percent int, used bigint[]) returns bigint language sql immutable parallel safe as $$
  select least(caps[1] * percent / 100 - used[1], caps[2] * percent / 100 - used[2], caps[3] * percent / 100 - used[3])
$$;

-- Promises: how many items still fit into every window under this share of the caps. Called by `charge_scopes`.
create or replace function room_for_items(caps bigint[], percent int, used bigint[]) returns bigint language sql immutable parallel safe as $$
  select least(caps[4] * percent / 100 - used[4], caps[5] * percent / 100 - used[5], caps[6] * percent / 100 - used[6])
$$;

-- Promises: whether several credentials could use this customer's budget now. A key and the one that replaces it are
-- one credential here: nobody is throttled because of a rotation. Nor does the password of a machine make two of it.
-- Called by `decide_charges`, `upload_room` and the admin process.
create or replace function has_several_credentials(customer uuid) returns boolean language sql stable as $$
  select count(*) > 1 from (
    select 1 from credential c join account a on a.id = c.account_id
    where (a.customer_id = customer or exists (select 1 from folder_right r where r.account_id = a.id and r.customer_id = customer and r.verbs <> '{}'))
      and c.state in ('active', 'retiring') and c.expires_at > clock_timestamp() and c.valid_from <= clock_timestamp()
      and (c.type = 'public-key' or a.kind = 'person')
      and not exists (select 1 from credential s where s.id = c.successor_id and s.state = 'active' and s.expires_at > clock_timestamp() and s.valid_from <= clock_timestamp())
      and a.state = 'active' and (a.expires_at is null or a.expires_at > clock_timestamp())
    limit 2) x
$$;

-- Promises: why a budget refuses. It names the widest window that does, so that the time is the one at which there really is more. `is_half` asks for half of
-- the customer's caps. Called by `charge_batch`, under the lock of the row.
create or replace function refusal_of(budget_id_in bigint, is_half boolean, bytes_in bigint, items_in bigint, moment timestamptz)
returns table (id bigint, unit text, window_name text, cap bigint, free_at timestamptz) language plpgsql stable strict as $$
#variable_conflict use_column
declare
  names constant text[] := array['hour', 'day', 'week'];
  minutes constant int[] := array[60, 1440, 10080];
  caps bigint[]; used bigint[]; percent int; cap_bytes bigint; cap_items bigint;
begin
  select case when is_half then c.caps else caps_at(b, moment) end, case when is_half then 50 else b.ceiling_percent end, budget_used(b) into caps, percent, used
    from budget b left join lateral (
      select caps_at(c, moment) as caps from budget c where is_half and c.rank = 3 and c.customer_id = b.customer_id and c.direction = b.direction) c on true
    where b.id = budget_id_in;
  for w in reverse 3 .. 1 loop
    cap_bytes := caps[w] * percent / 100;
    cap_items := caps[w + 3] * percent / 100;
    if used[w] + bytes_in > cap_bytes or used[w + 3] + items_in > cap_items or w = 1 then
      id := budget_id_in;
      window_name := names[w];
      unit := case when used[w] + bytes_in > cap_bytes then 'bytes' else 'items' end;
      cap := case when unit = 'bytes' then cap_bytes else cap_items end;
      free_at := budget_free_at(budget_id_in, minutes[w], cap_bytes, cap_items, bytes_in, items_in);
      return next;
      return;
    end if;
  end loop;
end $$;

-- Promises: of each scope that exists, the directions of which it has no row. Nothing is granted through such a scope. The warden makes the rows when it
-- starts, except those that the record says were changed; what is left is told by `doctor` and by a regular pass (T-36). Called by the warden, the admin
-- process and the auditor.
create or replace function missing_budgets()
returns table (scope text, id uuid, customer_id uuid, plane text, is_internal boolean, direction text, name text, customer_name text, is_self_test boolean)
language sql stable as $$
  with directions (d) as (values ('out'), ('in'), ('list'))
  select 'credential', k.id, a.customer_id, null::text, false, d, k.fingerprint, null::text, a.is_self_test and a.name like 'self-test.%'
    from credential k join account a on a.id = k.account_id cross join directions
    where not exists (select 1 from budget b where b.rank = 1 and b.credential_id = k.id and b.direction = d)
  union all
  select 'account', a.id, r.customer_id, null, a.customer_id is null, d, a.name, c.name, a.is_self_test and a.name like 'self-test.%'
    from (select distinct f.account_id, f.customer_id from folder_right f) r join account a on a.id = r.account_id join customer c on c.id = r.customer_id
      cross join directions
    where not exists (select 1 from budget b where b.rank = 2 and b.account_id = r.account_id and b.customer_id = r.customer_id and b.direction = d)
  union all
  select 'customer', null, c.id, null, false, d, c.name, null, c.is_self_test and c.name like 'self-test.%' from customer c cross join directions
    where not exists (select 1 from budget b where b.rank = 3 and b.customer_id = c.id and b.direction = d)
  union all
  select 'plane', null, null, p, false, d, p, null, false from (values ('partner'), ('internal')) planes (p) cross join directions
    where not exists (select 1 from budget b where b.rank = 4 and b.plane = p and b.direction = d)
  union all
  select 'gateway', null, null, null, false, d, null, null, false from directions
    where not exists (select 1 from budget b where b.rank = 5 and b.direction = d)
  order by 1, 2, 3, 4, 6
$$;

-- Promises: what keeps old versions of rows alive. One forgotten snapshot stops the pruning of the hot budget rows, and cuts grants to a tenth. It runs with
-- its owner's rights, because other users' sessions are hidden from the database role of the admin process. Called by the admin process and the auditor.
create or replace function old_snapshots(older_than_seconds int) returns table (who text, what text, seconds int)
language sql stable security definer set search_path = pg_catalog as $$
  select coalesce(usename, '?') || ' ' || coalesce(application_name, ''), 'open transaction of process ' || pid, extract(epoch from clock_timestamp() - xact_start)::int
    from pg_stat_activity where backend_xmin is not null and pid <> pg_backend_pid() and backend_type = 'client backend' and xact_start < clock_timestamp() - older_than_seconds * interval '1 second'
  union all
  select owner, 'prepared transaction ' || gid, extract(epoch from clock_timestamp() - prepared)::int from pg_prepared_xacts where prepared < clock_timestamp() - older_than_seconds * interval '1 second'
  union all
  select 'replication slot', slot_name, null from pg_replication_slots where xmin is not null
$$;
