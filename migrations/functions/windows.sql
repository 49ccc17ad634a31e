-- Windows: when a machine may log in with its key alone.

-- Promises: when a standing window that is open at the moment closes. Null means that it is not open. Called by `open_window`, the admin process and the
-- auditor.
create or replace function standing_window_end(w standing_window, moment timestamptz) returns timestamptz language sql stable as $$
  select case when count(*) > 0 then least(w.valid_until, min(((d + w.closes) + case when w.closes <= w.opens then interval '1 day' else interval '0' end) at time zone w.zone)) end
  from (select (moment at time zone w.zone)::date - i as d from generate_series(0, 1) i) day
  where w.closed_at is null and moment >= w.valid_from and moment < w.valid_until
    and extract(isodow from d)::int = any (w.days)
    and moment >= ((d + w.opens) at time zone w.zone)
    and moment < (((d + w.closes) + case when w.closes <= w.opens then interval '1 day' else interval '0' end) at time zone w.zone)
$$;

-- Promises: the window by which a machine's account may log in with its key alone: of those that are open, the one that closes last. Called by the warden, the
-- admin process and the auditor.
create or replace function open_window(account uuid, moment timestamptz) returns table (id uuid, closes_at timestamptz) language sql stable as $$
  select x.id, x.closes_at from (
    select w.id, w.closes_at from activation_window w
      where w.account_id = account and w.closed_at is null and moment >= w.opens_at and moment < w.closes_at
    union all
    select s.id, standing_window_end(s, moment) from standing_window s where s.account_id = account and s.closed_at is null and s.valid_until > moment
  ) x where x.closes_at is not null order by x.closes_at desc limit 1
$$;
