-- Why a session is over, as its client reads it (server/domain/session-ends.ts); end_reason says it in the words of the record.
alter table session
  add column end_kind text,
  add constraint session_end_is_an_end check (end_kind is null or state = 'ended');
-- Uploads that somebody holds: a session that ends lets go of them, and a second later a regular pass does.
create index version_in_hand on version (session_id) where upload_id is not null;

-- When nobody held an interrupted upload any more: its own life begins then, not with its first opening, however it was let go.
alter table version add column let_go_at timestamptz;
drop index version_opened_at_idx;
create index version_let_go on version ((coalesce(let_go_at, opened_at))) where state = 'partial' and upload_id is null;
create function version_is_let_go() returns trigger language plpgsql as $$
begin
  new.let_go_at := clock_timestamp();
  return new;
end $$;
create trigger version_is_let_go before update of upload_id on version
  for each row when (old.upload_id is not null and new.upload_id is null) execute function version_is_let_go();

-- What ended reaches every warden at once, with the reason; the lease tells it again.
create or replace function tell_ended() returns trigger language plpgsql as $$
begin
  perform pg_notify('cofferdam_ended', node || '/' || id || '/' || coalesce(end_kind, 'doubt')) from fresh where state = 'ended';
  return null;
end $$;

-- Whether a session ended within the grace: when it was ended, or its life was over.
create function is_ending(ended_at timestamptz, expires_at timestamptz, grace_ms bigint) returns boolean language sql volatile
  return coalesce(ended_at, expires_at) <= clock_timestamp() and coalesce(ended_at, expires_at) > clock_timestamp() - grace_ms * interval '1 millisecond';

-- The last bytes of an upload whose session is over, within the grace: they were acknowledged before it ended. Charged like any other bytes that are
-- stored, to all five scopes, or refused by any of them; whether the account is still good does not matter any more. True: charged.
create function charge_ending(p_session uuid, p_customer uuid, p_bytes bigint, p_grace_ms bigint) returns boolean
language plpgsql set cofferdam.customers = '*' as $$
declare
  ids bigint[]; moment timestamptz; now_minute int; fits boolean;
begin
  select array_agg(q.id) into ids from (
    select b.id from session se join account a on a.id = se.account_id
      join budget b on b.direction = 'in' and (b.rank = 1 and b.credential_id = se.credential_id or b.rank = 2 and b.account_id = se.account_id and b.customer_id = p_customer
        or b.rank = 3 and b.customer_id = p_customer or b.rank = 4 and b.plane = a.plane or b.rank = 5)
    where se.id = p_session and is_ending(se.ended_at, se.expires_at, p_grace_ms)
    order by b.rank, b.id for update of b) q;
  if cardinality(ids) is distinct from 5 or p_bytes < 0 then return false; end if;
  moment := clock_timestamp();
  now_minute := floor(extract(epoch from moment) / 60)::int;
  perform turn_budget(b.id, now_minute) from budget b where b.id = any (ids) and b.minute < now_minute;
  select bool_and(b.total_bytes + p_bytes <= least(b.cap_hour_bytes * f.x + b.base_hour_bytes, b.cap_day_bytes * f.x + b.base_day_bytes, b.cap_week_bytes * f.x + b.base_week_bytes))
    into fits
    from budget b cross join lateral (select (case when b.headroom_until > moment then 100 + b.headroom_percent else 100 end) * b.ceiling_percent / 10000.0 as x) f
    where b.id = any (ids);
  if fits then update budget b set total_bytes = b.total_bytes + p_bytes where b.id = any (ids); end if;
  return fits;
end $$;

-- When the flow of a scope is paid for; see pace(). It steers, it guards nothing: losing it costs a fraction of a second of rate.
-- A lane is twice the number of a budget; the gateway, which both planes share, has a lane for each: even for partners, odd for our own.
drop function pace(uuid[], uuid[], text[], bigint[]);
drop table flow;
create unlogged table flow (
  lane bigint primary key,
  until timestamptz not null
) with (fillfactor = 20);

-- One steady flow per scope, wherever its transfers run: each permit is the next piece of the scope's own time line. Returns how many
-- bytes may go and how long to wait for them. Nothing is reserved that begins later than in 3 s and one piece: who would have to wait longer
-- gets 0 bytes, and asks again after the wait. What a row says beyond that is not believed. While both planes want the gateway's flow, each has half of it.
-- Steering only: an edge that does not ask still cannot pass a cap.
create function pace(p_session uuid[], p_customer uuid[], p_direction text[], p_bytes bigint[])
returns table (item int, bytes bigint, wait_ms int)
language plpgsql set cofferdam.customers = '*' set plan_cache_mode = force_generic_plan set synchronous_commit = off as $$
#variable_conflict use_column
declare
  ahead constant interval := interval '3 seconds';
  scopes bigint[]; lanes bigint[]; rates bigint[]; pieces interval[]; ends timestamptz[]; ended timestamptz[];
  moment timestamptz; begins timestamptz; late interval; share int; i int; k int; size bigint;
begin
  select array_agg(array[coalesce(b1.id * 2, 0), coalesce(b2.id * 2, 0), coalesce(b3.id * 2, 0), coalesce(b4.id * 2, 0),
      coalesce(b5.id * 2 + (a.plane = 'internal')::int, 0), coalesce(b5.id * 2 + (a.plane <> 'internal')::int, 0)] order by x.o) into scopes
    from unnest(p_session, p_customer, p_direction) with ordinality x(s, cu, dir, o)
      left join session se on se.id = x.s left join account a on a.id = se.account_id
      left join budget b1 on b1.rank = 1 and b1.credential_id = se.credential_id and b1.direction = x.dir and b1.rate is not null
      left join budget b2 on b2.rank = 2 and b2.account_id = se.account_id and b2.customer_id = x.cu and b2.direction = x.dir and b2.rate is not null
      left join budget b3 on b3.rank = 3 and b3.customer_id = x.cu and b3.direction = x.dir and b3.rate is not null
      left join budget b4 on b4.rank = 4 and b4.plane = a.plane and b4.direction = x.dir and b4.rate is not null
      left join budget b5 on b5.rank = 5 and b5.direction = x.dir and b5.rate is not null;
  insert into flow select distinct u.lane, '-infinity'::timestamptz from unnest(scopes) u(lane) where u.lane > 0 on conflict do nothing;
  select array_agg(q.lane), array_agg(q.rate), array_agg(q.until), array_agg(greatest(interval '0.125 seconds', interval '1 second' * (32768.0 / q.rate)))
    into lanes, rates, ends, pieces
  from (select f.lane, b.rate, f.until from flow f join budget b on b.id = f.lane / 2 where f.lane in (select unnest(scopes)) order by b.rank, f.lane for update of f) q;
  moment := clock_timestamp();
  ended := ends;
  for k in 1 .. coalesce(cardinality(lanes), 0) loop
    -- Finite from here on: instants of a lane that was never used are subtracted below, too.
    ends[k] := greatest(moment - ahead, least(ends[k], moment + ahead + 3 * pieces[k]));
  end loop;
  for i in 1 .. cardinality(p_session) loop
    size := p_bytes[i];
    begins := moment;
    late := interval '0';
    for j in 1 .. 5 loop
      k := array_position(lanes, scopes[i][j]);
      if k is null then continue; end if;
      size := least(size, greatest(rates[k] / 8, 32768));
      begins := greatest(begins, ends[k]);
      late := greatest(late, ends[k] - moment - ahead - pieces[k]);
    end loop;
    item := i;
    if late > interval '0' then
      -- Not all at once again: who asks first is left to chance.
      bytes := 0; wait_ms := ceil(extract(epoch from late) * 1000)::int + 20 + floor(random() * 100)::int;
      return next;
      continue;
    end if;
    for j in 1 .. 5 loop
      k := array_position(lanes, scopes[i][j]);
      if k is null then continue; end if;
      share := case when j = 5 and ends[array_position(lanes, scopes[i][6])] > moment then 2 else 1 end;
      ends[k] := greatest(ends[k], moment) + interval '1 second' * size * share / rates[k];
    end loop;
    bytes := size; wait_ms := ceil(extract(epoch from begins - moment) * 1000)::int;
    return next;
  end loop;
  update flow f set until = y.u from unnest(lanes, ends, ended) y(lane, u, was) where f.lane = y.lane and y.u is distinct from y.was;
end $$;
