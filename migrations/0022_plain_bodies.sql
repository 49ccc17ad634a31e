-- Bodies stand as texts, so that they can be compared with these files; a body in standard SQL stands in the catalogue as a tree.
create or replace function is_ending(ended_at timestamptz, expires_at timestamptz, grace_ms bigint) returns boolean language sql volatile as $$
  select coalesce(ended_at, expires_at) <= clock_timestamp() and coalesce(ended_at, expires_at) > clock_timestamp() - grace_ms * interval '1 millisecond'
$$;
