-- The folder of a version stands with the version: what could have been read is looked up by folder and time, without looking at every file. Forward only.

alter table version add column folder_id uuid references folder;
alter table version disable trigger user;
alter table version no force row level security;
update version v set folder_id = f.folder_id from file f where f.id = v.file_id;
alter table version force row level security;
alter table version enable trigger user;
alter table version alter column folder_id set not null;

create function version_in_folder() returns trigger language plpgsql as $$
begin
  new.folder_id := (select f.folder_id from file f where f.id = new.file_id);
  return new;
end $$;
create trigger version_in_folder before insert or update of file_id, folder_id on version for each row execute function version_in_folder();
-- A file stays in its folder: whoever may read it is decided there.
create function file_stays() returns trigger language plpgsql as $$
begin
  raise exception 'a file stays in its folder' using errcode = 'check_violation';
end $$;
create trigger file_stays before update of folder_id on file for each row when (new.folder_id <> old.folder_id) execute function file_stays();

-- What could have been read at some time, by folder and when it left the tree: read from this index alone. Behind row-level security an expression with
-- `coalesce` is not looked up in an index; one with `case` is.
drop index version_left;
create index version_readable on version (folder_id, (case when withdrawn_at is null then 'infinity' else withdrawn_at end), published_at) include (id, customer_id, size, state, withdrawn_at) where published_at is not null;
