-- Numbers and instants that every reader can hold.

-- Promises: the number as one that every reader holds exactly (at most 2^53 - 1); an unknown number stays unknown. Used where sums of any size are shown,
-- which then say "at least so much". Called by `could_have_moved`, `count_in`, the admin process and the auditor.
create or replace function whole_number(given numeric) returns bigint language sql immutable parallel safe as $$
  select case when given is not null then least(greatest(given, -9007199254740991), 9007199254740991) end::bigint
$$;

-- Promises: the most bytes that can have been moved since then, at so many bytes a second: a second more than has passed. Called by the warden, which cuts
-- down what an edge says that it moved.
create or replace function could_have_moved(since timestamptz, bytes_per_second bigint) returns bigint language sql volatile as $$
  select whole_number(ceil((greatest(extract(epoch from clock_timestamp() - since), 0) + 1) * bytes_per_second))
$$;

-- Promises: every table has one check (`…_finite`) that bounds all of its instants, because an instant that is not finite cannot be counted with and ends
-- whoever tries. Whoever adds a column need not think of it: `migrate` calls this after every migration, and the check is made anew when the columns of the
-- table are others. Called by `migrate` only.
create or replace function bound_instants() returns void language plpgsql as $$
declare
  r record;
begin
  for r in
    select x.relname, x.columns, x.latest, x.earliest, k.conkey,
      left(x.relname, 56) || '_finite' as name
    from (
      select c.oid, c.relname, array_agg(a.attnum order by a.attnum) as columns,
        string_agg(format('%I', a.attname), ', ' order by a.attnum) as latest,
        -- `-infinity` says "never" where a column begins with it, and for a flow that carried nothing yet.
        string_agg(case when coalesce((select pg_get_expr(d.adbin, d.adrelid) like '%-infinity%' from pg_attrdef d where d.adrelid = c.oid and d.adnum = a.attnum), c.relname = 'flow')
          then format('nullif(%I, timestamptz ''-infinity'')', a.attname) else format('%I', a.attname) end, ', ' order by a.attnum) as earliest
      from pg_class c join pg_attribute a on a.attrelid = c.oid
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition and a.attnum > 0 and not a.attisdropped
        and a.atttypid in ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype) and c.relname <> 'schema_migration'
      group by c.oid, c.relname) x
    left join pg_constraint k on k.conrelid = x.oid and k.conname = left(x.relname, 56) || '_finite'
  loop
    if (select array_agg(n order by n) from unnest(r.conkey) n) = r.columns then continue; end if;
    if r.conkey is not null then execute format('alter table %I drop constraint %I', r.relname, r.name); end if;
    execute format('alter table %I add constraint %I check (greatest(%s) < timestamptz ''2500-01-01 00:00:00+00'' and least(%s) >= timestamptz ''1900-01-01 00:00:00+00'')', r.relname, r.name, r.latest, r.earliest);
  end loop;
end $$;

-- ── Fields of entries, whatever was put there ───────────────────────────────────────────────

-- Promises: a field of an entry that is a count, as `whole_number` gives it; unknown when it has another form. It never fails. Called by whoever computes
-- answers from entries: what is sealed can have any form, and is never taken out.
create or replace function count_in(fields jsonb, name text) returns bigint language sql immutable parallel safe as $$
  select case when fields ->> name ~ '^[0-9]{1,255}$' then whole_number((fields ->> name)::numeric) end
$$;

-- Promises: whether such a field says something that is no count, or there are no fields at all. Called as `count_in` is.
create or replace function is_odd_count(fields jsonb, name text) returns boolean language sql immutable parallel safe as $$
  select jsonb_typeof(fields) <> 'object' or (fields ->> name is not null and fields ->> name !~ '^[0-9]{1,255}$')
$$;

-- Promises: the fields of an entry as an object, also when something else stands there. Called as `count_in` is.
create or replace function fields_in(fields jsonb) returns jsonb language sql immutable parallel safe as $$
  select case when jsonb_typeof(fields) = 'object' then fields else jsonb_build_object('malformed', fields) end
$$;
