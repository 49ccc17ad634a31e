-- Places: where files and directories stand, and that they stay there.

-- Promises: nothing gets a place in a directory that is gone. Whoever makes something in a directory holds its row (FOR SHARE), and whoever removes it locks
-- that row: this is the second look.
create or replace function directory_stands() returns trigger language plpgsql as $$
declare
  -- A file names its directory in one column, a directory its parent in another.
  parent uuid := case tg_table_name when 'directory' then (to_jsonb(new) ->> 'parent_id')::uuid else (to_jsonb(new) ->> 'directory_id')::uuid end;
begin
  if parent is not null and exists (select from directory d where d.id = parent and d.removed_at is not null) then
    raise exception 'the directory is gone' using errcode = 'check_violation';
  end if;
  return new;
end $$;
create or replace trigger directory_stands before insert or update of directory_id on file for each row execute function directory_stands();
create or replace trigger directory_stands before insert or update of parent_id on directory for each row execute function directory_stands();

-- Promises: a file stays in its folder, because the folder decides who may read it.
create or replace function file_stays() returns trigger language plpgsql as $$
begin
  raise exception 'a file stays in its folder' using errcode = 'check_violation';
end $$;
create or replace trigger file_stays before update of folder_id on file for each row when (new.folder_id <> old.folder_id) execute function file_stays();

-- Promises: a version names the folder of its file.
create or replace function version_in_folder() returns trigger language plpgsql as $$
begin
  new.folder_id := (select f.folder_id from file f where f.id = new.file_id);
  return new;
end $$;
create or replace trigger version_in_folder before insert or update of file_id, folder_id on version for each row execute function version_in_folder();

-- Promises: a version has a place, too: the row of its file may be older than the end of the directory.
create or replace function version_has_place() returns trigger language plpgsql as $$
begin
  if exists (select from file f join directory d on d.id = f.directory_id where f.id = new.file_id and d.removed_at is not null) then
    raise exception 'the directory is gone' using errcode = 'check_violation';
  end if;
  return new;
end $$;
create or replace trigger version_has_place before insert or update of file_id on version for each row execute function version_has_place();

-- Promises: what an operator brings back has a place to come back to, and its name is nobody else's. A directory that held only withdrawn files may be gone,
-- and a name that nobody saw may be a directory's now.
create or replace function version_comes_back() returns trigger language plpgsql as $$
begin
  if exists (select from file f join directory d on d.id = f.directory_id where f.id = new.file_id and d.removed_at is not null) then
    raise exception 'the directory is gone' using errcode = 'check_violation';
  end if;
  if exists (select from file f join directory d on d.folder_id = f.folder_id and d.parent_id is not distinct from f.directory_id and d.name = f.name
      where f.id = new.file_id and d.removed_at is null) then
    raise exception 'the name is taken by a directory' using errcode = 'check_violation';
  end if;
  return new;
end $$;
create or replace trigger version_comes_back before update of state on version
  for each row when (old.state = 'withdrawn' and new.state = 'published') execute function version_comes_back();
