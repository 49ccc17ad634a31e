-- Months of the record: their tables are made ahead of time, and leave by one way only: closed, in a file, stated in every tree, witnessed (decision 37).

-- Promises: the table of one month is there; answers its name. It is made by itself and then attached: that takes a lock beside which everybody reads and
-- seals, where `partition of` would wait for every reader and let everybody else wait behind it. Whatever stands in the way, the wait is short, and the
-- regular pass tries again. It runs with its owner's rights: no role of ours may make tables. Called by the warden.
create or replace function ledger_month(moment timestamptz) returns text language plpgsql security definer set search_path = public, pg_temp set lock_timeout = '250ms' as $$
declare
  first date := date_trunc('month', moment at time zone 'utc')::date;
  name text := 'ledger_sealed_' || to_char(first, 'YYYYMM');
  lower text := first::text || ' 00:00:00+00';
  upper text := (first + interval '1 month')::date::text || ' 00:00:00+00';
begin
  if to_regclass('public.' || name) is not null then return name; end if;
  perform pg_advisory_xact_lock(hashtext(name));
  if to_regclass('public.' || name) is not null then return name; end if;
  -- The check says what the bounds of the partition will say, so that nothing has to be looked at when it is attached.
  execute format('create table %I (like ledger_sealed including defaults including constraints including generated, constraint ledger_month_bounds check (at >= %L and at < %L))', name, lower, upper);
  execute format('alter table %I enable row level security', name);
  execute format('alter table %I force row level security', name);
  execute format('create policy scope on %I using ((select coalesce(current_setting(''cofferdam.customers'', true), '''') = ''*'') or customer_id is null or in_scope(customer_id)) with check (customer_id is null or in_scope(customer_id))', name);
  execute format('create trigger ledger_is_insert_only before update or delete or truncate on %I for each statement execute function ledger_is_insert_only()', name);
  execute format('alter table ledger_sealed attach partition %I for values from (%L) to (%L)', name, lower, upper);
  execute format('alter table %I drop constraint ledger_month_bounds', name);
  return name;
end $$;

-- Promises: the number of the last entry that every required witness has. Null means none yet. Called by the warden and the functions below.
create or replace function ledger_witnessed_number() returns bigint language sql stable as $$
  select h.number from ledger_head h join ledger_state s on h.position = s.witnessed_size - 1
$$;

-- Promises: a month that has this trigger gets no entry any more.
create or replace function ledger_month_is_closed() returns trigger language plpgsql as $$
begin
  -- Of the entry, and not of the record: the sealer sets it aside.
  raise exception 'the month of this entry is closed' using errcode = 'datetime_field_overflow';
end $$;

-- Promises: the month gets no entry any more. The lock that this takes is one beside which the month is read and other months are written. It runs with its
-- owner's rights. Called by the warden.
create or replace function ledger_close_month(first date) returns void language plpgsql security definer set search_path = public, pg_temp set lock_timeout = '250ms' as $$
declare
  name text := 'ledger_sealed_' || to_char(first, 'YYYYMM');
begin
  if first + interval '2 months' > clock_timestamp() at time zone 'utc' then raise exception 'this month is too young to leave' using errcode = 'check_violation'; end if;
  if exists (select from pg_trigger t where t.tgrelid = to_regclass('public.' || name) and t.tgname = 'ledger_month_is_closed' and t.tgenabled = 'O') then return; end if;
  execute format('create or replace trigger ledger_month_is_closed before insert on %I for each row execute function ledger_month_is_closed()', name);
end $$;

-- Promises: takes a month out of the database and answers null, or answers why it stays. Only a month leaves that is closed, that ended at least a month ago,
-- whose file holds exactly what its table holds now, and of which every tree was told in an entry that is sealed and witnessed. What is counted stands still
-- meanwhile, and nobody waits for that: only writers into this very month would. It runs with its owner's rights. Called by the warden.
create or replace function ledger_drop_month(leaving date, tries int) returns text language plpgsql security definer set search_path = public, pg_temp set cofferdam.customers = '*' set lock_timeout = '250ms' as $$
declare
  name text := 'ledger_sealed_' || to_char(leaving, 'YYYYMM');
  archive ledger_archive;
  witnessed bigint := ledger_witnessed_number();
  amiss text;
  i int := 0;
begin
  if leaving + interval '2 months' > clock_timestamp() at time zone 'utc' then raise exception 'this month is too young to leave' using errcode = 'check_violation'; end if;
  if to_regclass('public.' || name) is null then return null; end if;
  select * into archive from ledger_archive a where a.month = leaving and a.deleted_at is null;
  if not found then raise exception 'this month is not in an archive' using errcode = 'check_violation'; end if;
  execute format('lock table only %I in share row exclusive mode', name);
  execute format('select min(coalesce(h.tree, r.tree)::text) from (select tree, min(position) as first, max(position) as last, count(*) as entries from %I group by tree) h
    full join (select * from ledger_archive_range where month = $1) r on r.tree = h.tree and (r.first, r.last, r.entries) = (h.first, h.last, h.entries)
    where h.tree is null or r.tree is null', name) into amiss using leaving;
  if amiss is not null then return 'its table does not hold what its file holds, of the tree ' || amiss; end if;
  if archive.entries <> (select coalesce(sum(r.entries), 0) from ledger_archive_range r where r.month = leaving) then return 'its file does not hold as many entries as its trees'; end if;
  select min(r.tree::text) into amiss from ledger_archive_range r where r.month = leaving and not exists (
    select from ledger_sealed s where s.tree = r.tree and s.kind = 'ledger.archived' and s.number <= witnessed
      and s.public = jsonb_build_object('month', to_char(leaving, 'YYYY-MM'), 'first', r.first, 'last', r.last, 'entries', r.entries)
      and s.sensitive = jsonb_build_object('file', archive.file, 'sha256', encode(archive.sha256, 'hex'), 'total', archive.entries));
  if amiss is not null then return 'no sealed and witnessed entry says so in the tree ' || amiss; end if;
  -- Of a block of which any entry stays, every other one leaves its leaf behind: only so can the block still be computed from what a dump holds.
  execute format('insert into ledger_leaf (tree, position, leaf) select tree, position, leaf from (
      select tree, position, leaf, kind in (''ledger.archived'', ''ledger.archive-deleted'') as stays, count(*) over b as n, bool_or(kind in (''ledger.archived'', ''ledger.archive-deleted'')) over b as keeps
      from %I window b as (partition by tree, position / 256)) x where (n < 256 or keeps) and not stays', name);
  execute format('insert into ledger_kept select * from %I where kind in (''ledger.archived'', ''ledger.archive-deleted'')', name);
  -- Never in line: whoever reads or seals goes first, and the moment in which nobody does is enough. Behind a lock that is waited for, all of them would wait.
  loop
    begin
      lock table ledger_sealed in access exclusive mode nowait;
      exit;
    exception when lock_not_available then
      i := i + 1;
      if i >= tries then raise; end if;
      perform pg_sleep(0.02 + random() * 0.03);
    end;
  end loop;
  execute format('drop table %I', name);
  return null;
end $$;

-- Promises: what was written about an archive stays; its file goes only after the record says so.
create or replace function ledger_archive_guard() returns trigger language plpgsql set search_path = public, pg_temp set cofferdam.customers = '*' as $$
begin
  if (new.month, new.file, new.sha256, new.entries, new.archived_at) is distinct from (old.month, old.file, old.sha256, old.entries, old.archived_at) then
    raise exception 'what is known of an archive does not change' using errcode = 'check_violation';
  end if;
  if new.deleted_at is distinct from old.deleted_at and (old.deleted_at is not null or not exists (
      select from ledger_sealed s where s.tree = '00000000-0000-0000-0000-000000000000' and s.kind = 'ledger.archive-deleted' and s.number <= ledger_witnessed_number()
        and s.sensitive = jsonb_build_object('month', to_char(new.month, 'YYYY-MM'), 'file', new.file))) then
    raise exception 'no sealed and witnessed entry says that this archive is deleted' using errcode = 'check_violation';
  end if;
  return new;
end $$;
create or replace trigger ledger_archive_guard before update on ledger_archive for each row execute function ledger_archive_guard();
