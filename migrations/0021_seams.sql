-- What two features do to each other.

-- What a session says when its time is over: how long one may last, or how long its window is open.
alter table session add column ends_as text not null default 'expired' check (ends_as in ('expired', 'window'));

-- Nothing gets a place in a directory that is gone. Who makes something in it holds its row (FOR SHARE), who removes it locks it: this is the second look.
create function directory_stands() returns trigger language plpgsql as $$
declare
  -- A file names its directory in one column, a directory its parent in another.
  parent uuid := case tg_table_name when 'directory' then (to_jsonb(new) ->> 'parent_id')::uuid else (to_jsonb(new) ->> 'directory_id')::uuid end;
begin
  if parent is not null and exists (select from directory d where d.id = parent and d.removed_at is not null) then
    raise exception 'the directory is gone' using errcode = 'check_violation';
  end if;
  return new;
end $$;
create trigger directory_stands before insert or update of directory_id on file for each row execute function directory_stands();
create trigger directory_stands before insert or update of parent_id on directory for each row execute function directory_stands();

-- A version too: the file's row may be older than the directory's end.
create function version_has_place() returns trigger language plpgsql as $$
begin
  if exists (select from file f join directory d on d.id = f.directory_id where f.id = new.file_id and d.removed_at is not null) then
    raise exception 'the directory is gone' using errcode = 'check_violation';
  end if;
  return new;
end $$;
create trigger version_has_place before insert or update of file_id on version for each row execute function version_has_place();
