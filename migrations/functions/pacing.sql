-- Pacing: how fast the bytes of a scope go over the wire. It steers and guards nothing: an edge that does not ask still cannot pass a cap.

-- Promises: one steady flow per scope, wherever its transfers run. Each permit is the next part of the scope's own time
-- line. Answers how many bytes may go, and how long to wait for them. A permit begins at most 3 s ahead, plus the time of
-- one permit: who would have to wait longer gets 0 bytes, and asks again after the wait. What a row says beyond that is
-- not believed. While both planes want the gateway's flow, each has half of it. Called by the warden.
create or replace function pace(p_session uuid[], p_customer uuid[], p_direction text[], p_bytes bigint[])
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
