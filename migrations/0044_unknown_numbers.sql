-- What is not known stays unknown: GREATEST passes over a null, and an upload without any size counted as the smallest number there is.
create or replace function whole_number(given numeric) returns bigint language sql immutable parallel safe as $$
  select case when given is not null then least(greatest(given, -9007199254740991), 9007199254740991) end::bigint
$$;
