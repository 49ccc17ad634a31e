-- What an edge says is only ever as large as it can be, and whatever it said is added up: sums are exact numbers of any size, shown as the largest number
-- that every reader holds exactly. Nothing that an edge makes the warden store is without bound. Forward only.

-- A number of any size as one that every reader holds exactly (2^53 - 1 and no more): "at least so much".
create function whole_number(given numeric) returns bigint language sql immutable parallel safe as $$
  select least(greatest(given, -9007199254740991), 9007199254740991)::bigint
$$;

-- The most that can have been moved since then: a second more than has passed, at so many bytes a second.
create function could_have_moved(since timestamptz, bytes_per_second bigint) returns bigint language sql volatile as $$
  select whole_number(ceil((greatest(extract(epoch from clock_timestamp() - since), 0) + 1) * bytes_per_second))
$$;
