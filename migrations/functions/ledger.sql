-- The record: what guards its tables.

-- Promises: entries, heads, blocks and leaves are never updated; rows of `ledger_state` and of the archive tables are never deleted. An
-- entry is deleted only from `ledger_fresh`, when it is sealed (`ledger_leaves_sealed`). The table of each month has the same trigger (`ledger_month`).
create or replace function ledger_is_insert_only() returns trigger language plpgsql as $$
begin
  raise exception 'the ledger is insert only' using errcode = 'insufficient_privilege';
end $$;
create or replace trigger ledger_is_insert_only before update or truncate on ledger_fresh for each statement execute function ledger_is_insert_only();
create or replace trigger ledger_is_insert_only before update or delete or truncate on ledger_sealed for each statement execute function ledger_is_insert_only();
create or replace trigger ledger_is_insert_only before update or delete or truncate on ledger_kept for each statement execute function ledger_is_insert_only();
create or replace trigger ledger_is_insert_only before update or delete or truncate on ledger_head for each statement execute function ledger_is_insert_only();
create or replace trigger ledger_is_insert_only before update or delete or truncate on ledger_block for each statement execute function ledger_is_insert_only();
create or replace trigger ledger_is_insert_only before update or delete or truncate on ledger_leaf for each statement execute function ledger_is_insert_only();
create or replace trigger ledger_is_insert_only before delete or truncate on ledger_state for each statement execute function ledger_is_insert_only();
create or replace trigger ledger_is_insert_only before delete or truncate on ledger_archive for each statement execute function ledger_is_insert_only();
create or replace trigger ledger_is_insert_only before delete or truncate on ledger_archive_range for each statement execute function ledger_is_insert_only();

-- Promises: rows leave `ledger_fresh` in the transaction that sealed them, before it counts them in `ledger_state`. What was just sealed is read once, by its
-- number, and compared as a set, so the work grows with the rows that leave. The plan is fixed because a cached plan made for one row would be slow for
-- thousands.
create or replace function ledger_leaves_sealed() returns trigger language plpgsql
  set enable_seqscan = off set enable_bitmapscan = off set enable_nestloop = off set jit = off as $$
declare
  last constant bigint := (select number from ledger_state);
begin
  if exists (select g.id, g.kind from gone g except select s.id, s.kind from ledger_sealed s where s.number > last) then
    raise exception 'the ledger is insert only' using errcode = 'insufficient_privilege';
  end if;
  return null;
end $$;
create or replace trigger ledger_leaves_sealed after delete on ledger_fresh referencing old table as gone for each statement execute function ledger_leaves_sealed();

-- Promises: the admin process writes only entries of its own kinds into the record, never the warden's. At most 2,000 of its entries (1,000 calls) may wait for
-- a seal. Rows are counted, not statements, because every look at the record reads past uncommitted rows. While a freeze stands, the number is not limited:
-- operators end the freeze, and nothing else is served. The trigger runs for the database role of the admin process only: every other role writes several entries for each file.
create or replace function ledger_admin_guard() returns trigger language plpgsql set search_path = pg_catalog, public, pg_temp as $$
begin
  if current_user <> 'cofferdam_admin' then return new; end if;
  if new.observer <> 'admin' or new.kind not in ('operator.asked', 'operator.answered', 'ledger.entry-missed') then
    raise exception 'this is not for the admin role to record' using errcode = 'insufficient_privilege';
  end if;
  if pg_column_size(new.sensitive) > 65536 then
    raise exception 'an entry of the admin role is too large' using errcode = 'check_violation', constraint = 'ledger_fresh_sealable';
  end if;
  -- Rows of the same statement count: a trigger of each row sees those before it.
  if exists (select from ledger_fresh where observer = 'admin' offset 1999 limit 1)
    and not exists (select from ledger_freeze where released_at is null) then
    raise exception 'too many entries of the admin role wait for their seal' using errcode = 'configuration_limit_exceeded';
  end if;
  return new;
end $$;
create or replace trigger ledger_admin_guard before insert on ledger_fresh for each row when (current_user = 'cofferdam_admin') execute function ledger_admin_guard();

-- Promises: rows of `ledger_quarantine` (entries that were set aside) are never changed and never deleted.
create or replace function ledger_quarantine_stays() returns trigger language plpgsql as $$
begin
  raise exception 'what was set aside stays on record' using errcode = 'insufficient_privilege';
end $$;
create or replace trigger ledger_quarantine_stays before update or delete or truncate on ledger_quarantine for each statement execute function ledger_quarantine_stays();

-- Promises: the era, the number, and the size that every required witness has never decrease.
create or replace function ledger_state_guard() returns trigger language plpgsql as $$
begin
  raise exception 'the state of the ledger only goes forward' using errcode = 'check_violation';
end $$;
create or replace trigger ledger_state_guard before update on ledger_state for each row
  when (new.era < old.era or new.number < old.number or new.witnessed_size < old.witnessed_size) execute function ledger_state_guard();

-- Promises: the number of a forward never decreases.
create or replace function ledger_forward_guard() returns trigger language plpgsql as $$
begin
  if new.number < old.number then raise exception 'a forward does not go back' using errcode = 'check_violation'; end if;
  return new;
end $$;
create or replace trigger ledger_forward_guard before update on ledger_forward for each row execute function ledger_forward_guard();

-- Promises: raises the alert `ledger.entry-missed` when an entry of the admin process is gone, changed, refused (then its call was undone), or late; or when a
-- proof found that what is sealed is not what was signed (`altered`: the kind then says what does not fit, and the id is the number of an entry, or 0). There is
-- one alert an hour, however often this is called. It runs with its owner's rights: the database role of the admin process raises no other alert. Called by the admin process.
create or replace function miss_entry_of_admin(missing_id bigint, missing_kind text, missing_is text) returns void
language plpgsql security definer set search_path = pg_catalog, public, pg_temp set cofferdam.customers = '*' as $$
declare
  is_known text := case when missing_is in ('changed', 'refused', 'late', 'altered') then missing_is else 'gone' end;
begin
  insert into alert (kind, severity, subject, hour, text, facts, next_command, count, logged_at)
    values ('ledger.entry-missed', 'critical', 'admin', date_trunc('hour', clock_timestamp()),
      case when is_known = 'refused' then format('the database did not write an entry (%s) as the admin process sent it, and the call was undone: the record was touched', left(missing_kind, 64))
        when is_known = 'altered' then format('the record is not what was signed (%s%s): somebody changed what is sealed, and the question that found it was not answered', left(missing_kind, 64),
          case when missing_id > 0 then format(', entry %s', missing_id) else '' end)
        when is_known = 'late' then format('the entry %s that the admin process wrote has not been seen sealed for too long', missing_id)
        else format('the entry %s (%s) that the admin process wrote is %s: the record was touched', missing_id, left(missing_kind, 64),
          case when is_known = 'changed' then 'not what was written' else 'neither waiting nor sealed' end) end,
      jsonb_build_object('entry', missing_id, 'kind', left(missing_kind, 64), 'is', is_known), 'cofferctl ledger status', 1, null)
    on conflict (kind, subject, hour) do update set count = alert.count + 1, last_at = clock_timestamp(), text = excluded.text, facts = excluded.facts;
end $$;
