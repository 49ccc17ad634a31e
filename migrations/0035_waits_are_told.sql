-- What has a receipt and is not delivered is heard of, whatever stands above it (T-26). Forward only.

-- The clock of an interrupted upload begins anew when bytes came to it, not when somebody opened its name and went away.
create or replace function version_is_let_go() returns trigger language plpgsql as $$
begin
  if old.let_go_at is null or old.size > old.resumed_bytes then
    new.let_go_at := clock_timestamp();
  end if;
  return new;
end $$;
-- Whoever takes it over while another handle holds it ends that one's turn, too.
drop trigger version_is_let_go on version;
create trigger version_is_let_go before update of upload_id on version
  for each row when (old.upload_id is not null and new.upload_id is distinct from old.upload_id) execute function version_is_let_go();

-- Since when a version settles and nobody was told that it does: opening, renaming or going on from it is no reason to wait for longer unheard.
alter table version add column waits_since timestamptz;
update version set waits_since = closed_at where state = 'settling';
create index version_waits on version (waits_since) where state = 'settling';
create function version_waits() returns trigger language plpgsql as $$
begin
  new.waits_since := clock_timestamp();
  return new;
end $$;
create trigger version_waits before update of state on version
  for each row when (new.state = 'settling' and old.state <> 'settling') execute function version_waits();

-- What an operator brings back has a place to come back to, and its name is nobody else's: a directory that held only withdrawn files may be gone, and a name
-- that nobody saw may be a directory's now.
create function version_comes_back() returns trigger language plpgsql as $$
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
create trigger version_comes_back before update of state on version
  for each row when (old.state = 'withdrawn' and new.state = 'published') execute function version_comes_back();
