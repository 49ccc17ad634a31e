-- Marks that say that something was done are written, by whoever makes the row and by whoever did it: no default of a column says so. Forward only.

-- The admin process says also that an entry of its own did not come back as it was sent (then the call that it belongs to was undone), and that one waits too long for its seal.
create or replace function miss_entry_of_admin(missing_id bigint, missing_kind text, missing_is text) returns void
language plpgsql security definer set search_path = pg_catalog, public, pg_temp set cofferdam.customers = '*' as $$
declare
  is_known text := case when missing_is in ('changed', 'refused', 'late') then missing_is else 'gone' end;
begin
  insert into alert (kind, severity, subject, hour, text, facts, next_command, count, logged_at)
    values ('ledger.entry-missed', 'critical', 'admin', date_trunc('hour', clock_timestamp()),
      case when is_known = 'refused' then format('the database did not write an entry (%s) as the admin process sent it, and the call was undone: the record was touched', left(missing_kind, 64))
        when is_known = 'late' then format('the entry %s that the admin process wrote has not been seen sealed for too long', missing_id)
        else format('the entry %s (%s) that the admin process wrote is %s: the record was touched', missing_id, left(missing_kind, 64),
          case when is_known = 'changed' then 'not what was written' else 'neither waiting nor sealed' end) end,
      jsonb_build_object('entry', missing_id, 'kind', left(missing_kind, 64), 'is', is_known), 'cofferctl ledger status', 1, null)
    on conflict (kind, subject, hour) do update set count = alert.count + 1, last_at = clock_timestamp(), text = excluded.text, facts = excluded.facts;
end $$;

-- The same condition, written so that a server that reads it from a dump prints it as this one does: the catalogue of a restored database is compared, too.
create or replace trigger budget_guard before update on budget for each row
  when (new.total_bytes < old.total_bytes or new.total_items < old.total_items or new.minute < old.minute
    or new.rank is distinct from old.rank or new.direction is distinct from old.direction or new.credential_id is distinct from old.credential_id
    or new.account_id is distinct from old.account_id or new.customer_id is distinct from old.customer_id or new.plane is distinct from old.plane)
  execute function budget_guard();
