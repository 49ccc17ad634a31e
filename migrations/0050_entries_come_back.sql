-- The admin process says also that an entry of its own did not come back as it was sent (then the call that it belongs to was undone), and that one waits too long for its seal.
create or replace function miss_entry_of_admin(missing_id bigint, missing_kind text, missing_is text) returns void
language plpgsql security definer set search_path = pg_catalog, public, pg_temp set cofferdam.customers = '*' as $$
declare
  is_known text := case when missing_is in ('changed', 'refused', 'late') then missing_is else 'gone' end;
begin
  insert into alert (kind, severity, subject, hour, text, facts, next_command, count)
    values ('ledger.entry-missed', 'critical', 'admin', date_trunc('hour', clock_timestamp()),
      case when is_known = 'refused' then format('the database did not write an entry (%s) as the admin process sent it, and the call was undone: the record was touched', left(missing_kind, 64))
        when is_known = 'late' then format('the entry %s that the admin process wrote has not been seen sealed for too long', missing_id)
        else format('the entry %s (%s) that the admin process wrote is %s: the record was touched', missing_id, left(missing_kind, 64),
          case when is_known = 'changed' then 'not what was written' else 'neither waiting nor sealed' end) end,
      jsonb_build_object('entry', missing_id, 'kind', left(missing_kind, 64), 'is', is_known), 'cofferctl ledger status', 1)
    on conflict (kind, subject, hour) do update set count = alert.count + 1, last_at = clock_timestamp(), text = excluded.text, facts = excluded.facts;
end $$;
