-- Guesses of passwords, codes and tickets, counted per source, per account and per known pair of both, for all nodes together.

-- Promises: one guess against all of these counters. 0 means that it may be made, and it counts as failed until `settle_guess`; any other number is the
-- milliseconds until the next one. Counting comes first, so that parallel guesses, other nodes and crashes gain nothing. Called by the warden.
create or replace function take_guess(subjects text[], free int, first_ms int, longest_ms int, forget_ms bigint) returns int language plpgsql as $$
declare now_at timestamptz; blocked timestamptz;
begin
  insert into login_penalty (subject) select s from unnest(subjects) s order by s on conflict do nothing;
  perform 1 from login_penalty where subject = any (subjects) order by subject for update;
  now_at := clock_timestamp();
  select max(blocked_until) into blocked from login_penalty where subject = any (subjects);
  if blocked > now_at then return ceil(extract(epoch from blocked - now_at) * 1000)::int; end if;
  update login_penalty p set failures = f.n, last_at = now_at,
      blocked_until = case when f.n <= free then '-infinity'::timestamptz
        else now_at + least(longest_ms, first_ms * power(2, least(f.n - free - 1, 20))) * interval '1 millisecond' end
    from (select q.subject, case when q.last_at < now_at - forget_ms * interval '1 millisecond' then 1 else q.failures + 1 end as n from login_penalty q where q.subject = any (subjects)) f
    where f.subject = p.subject;
  return 0;
end $$;

-- Promises: the guess was right. Known pairs start afresh, and the others take back the one count that it cost. Called by the warden.
create or replace function settle_guess(subjects text[]) returns void language sql as $$
  with locked as (select subject from login_penalty where subject = any (subjects) order by subject for update)
  update login_penalty p set
      failures = case when p.subject like 'known/%' then 0 else greatest(p.failures - 1, 0) end,
      blocked_until = '-infinity'
    from locked where locked.subject = p.subject
$$;
