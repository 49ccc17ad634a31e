-- What each role may put where a reader trusts it has bounds: instants that are finite, texts that fit into an index, numbers that a reader can hold. Forward only.

-- An instant that is not finite cannot be counted with, and ends whoever tries. Run after every migration: whoever adds a column need not think of it.
create function bound_instants() returns void language plpgsql as $$
declare
  r record;
begin
  for r in
    select c.relname, a.attname,
      coalesce((select pg_get_expr(d.adbin, d.adrelid) like '%-infinity%' from pg_attrdef d where d.adrelid = c.oid and d.adnum = a.attnum), c.relname = 'flow') as may_be_never,
      left(c.relname || '_' || a.attname, 56) || '_finite' as name
    from pg_class c join pg_attribute a on a.attrelid = c.oid
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition and a.attnum > 0 and not a.attisdropped
      and a.atttypid in ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype) and c.relname <> 'schema_migration'
      and not exists (select from pg_constraint k where k.conrelid = c.oid and k.conname = left(c.relname || '_' || a.attname, 56) || '_finite')
  loop
    -- `-infinity` says "never" where a column begins with it, and for a flow that carried nothing yet.
    execute format('alter table %I add constraint %I check (%I < timestamptz ''2500-01-01 00:00:00+00'' and (%I >= timestamptz ''1900-01-01 00:00:00+00'' or (%L and %I = timestamptz ''-infinity'')))', r.relname, r.name, r.attname, r.attname, r.may_be_never, r.attname);
  end loop;
end $$;

-- Whatever is in ledger_fresh can be sealed: the sealed record has indexes, whose rows hold at most some 2,700 bytes, and its readers count with numbers below 2^53.
alter table ledger_fresh add constraint ledger_fresh_sealable check (
  octet_length(kind) <= 64
  and octet_length(node) <= 128
  and octet_length(credential) <= 512
  and octet_length(also_credential) <= 512
  and octet_length(client) <= 1024
  and octet_length(operator) <= 512
  and octet_length(public ->> 'sha256') <= 128
  and extent >= 0
  and bytes between -9007199254740991 and 9007199254740991
  and source_port between 0 and 65535
  and pg_column_size(public) <= 1048576
  and pg_column_size(sensitive) <= 1048576
);

-- What the admin process asks goes to the warden, which reads it whole.
alter table command add constraint command_bounds check (octet_length(operation) <= 64 and pg_column_size(params) <= 4194304);

-- The sealer goes on behind an entry that it cannot read. The entry stays where it is, and an alarm says so.
create table ledger_quarantine (
  id bigint primary key,
  at timestamptz not null default clock_timestamp(),
  why text not null check (octet_length(why) <= 1024)
);
create function ledger_quarantine_stays() returns trigger language plpgsql as $$
begin
  raise exception 'what was set aside stays on record' using errcode = 'insufficient_privilege';
end $$;
create trigger ledger_quarantine_stays before update or delete or truncate on ledger_quarantine for each statement execute function ledger_quarantine_stays();
