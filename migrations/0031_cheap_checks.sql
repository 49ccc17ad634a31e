-- The database parses every check of a table anew for each statement that writes it: what is checked stays the same, in fewer and shorter expressions. Forward only.

do $$
declare
  r record;
begin
  for r in
    select c.relname, k.conname from pg_constraint k join pg_class c on c.oid = k.conrelid
    where c.relnamespace = 'public'::regnamespace and k.contype = 'c' and k.conname like '%\_finite' and k.coninhcount = 0
  loop
    execute format('alter table %I drop constraint %I', r.relname, r.conname);
  end loop;
end $$;

-- An instant that is not finite cannot be counted with, and ends whoever tries. Run after every migration: whoever adds a column need not think of it. One check
-- a table, which names all of its instants; made anew when they are others.
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

alter table ledger_fresh drop constraint ledger_fresh_sealable;
alter table ledger_fresh add constraint ledger_fresh_sealable check (
  octet_length(kind) <= 64
  and greatest(octet_length(node), octet_length(public ->> 'sha256')) <= 128
  and greatest(octet_length(credential), octet_length(also_credential), octet_length(operator)) <= 512
  and octet_length(client) <= 1024
  and extent >= 0
  and bytes between -9007199254740991 and 9007199254740991
  and source_port between 0 and 65535
  and greatest(pg_column_size(public), pg_column_size(sensitive)) <= 1048576
);

alter table budget drop constraint budget_cap_hour_check, drop constraint budget_cap_day_check, drop constraint budget_cap_week_check,
  drop constraint budget_total_check, drop constraint budget_total_items_check, drop constraint budget_sessions_max_check;
alter table budget add constraint budget_amounts_check check (
  least(cap_hour_bytes, cap_day_bytes, cap_week_bytes, total_bytes, total_items, sessions_max) >= 0
);
