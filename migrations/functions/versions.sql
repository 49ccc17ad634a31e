-- Versions: which states may follow which, that only what is whole becomes a file (T-31), and that every end of what has a receipt is on record (T-32).
-- ARCHITECTURE, "Invariants", says what holds; the code of the warden keeps it, and these triggers refuse to break it.

-- Promises: whether a receipt counts on the bytes of a version in this state. Called by `version_guard`.
create or replace function is_closed(state text) returns boolean language sql immutable parallel safe as $$
  select state in ('held', 'settling', 'published', 'withdrawn')
$$;

-- Promises: whether a closed version waits because a newer version of the same file is incomplete. Then it is neither published nor gone. Called by
-- `version_guard`.
create or replace function is_waiting(v version) returns boolean language plpgsql as $$
begin
  return exists (select from version p where p.file_id = v.file_id and p.number > v.number and p.state = 'partial');
end $$;

-- Promises: fails unless an upload that is to become a file is whole by what the database itself knows: nothing of it was refused, it holds what its version
-- says, more than what it resumed, and no less than its base. Called by `version_guard`.
create or replace function require_whole(old version, new version) returns void language plpgsql as $$
declare stored record;
begin
  if old.refused is not null then
    raise exception 'a part of the upload was refused: %', old.refused using errcode = 'check_violation';
  end if;
  if old.resumed_bytes > 0 and new.size <= old.resumed_bytes then
    raise exception 'a resumption added nothing' using errcode = 'check_violation';
  end if;
  if old.base_version_id is not null and new.size < (select b.size from version b where b.id = old.base_version_id) then
    raise exception 'a rewrite ends before what it rewrites' using errcode = 'check_violation';
  end if;
  select count(*) as extents, coalesce(sum(e.bytes), 0) as bytes, coalesce(max(e.index), -1) as last into stored from extent e where e.content_id = new.content_id;
  if (stored.extents, stored.bytes, stored.last) is distinct from (new.extent_count, new.size, new.extent_count - 1) then
    raise exception 'the stored extents are not what the version says' using errcode = 'check_violation';
  end if;
end $$;

-- Promises: a version that the warden inserts as a file (`put_batch`) is whole: it has a receipt's worth of extents, all of them, and no more. It was never held by an upload.
create or replace function version_comes_whole() returns trigger language plpgsql as $$
declare stored record;
begin
  select count(*) as extents, coalesce(sum(e.bytes), 0) as bytes, coalesce(max(e.index), -1) as last into stored from extent e where e.content_id = new.content_id;
  if (stored.extents, stored.bytes, stored.last) is distinct from (new.extent_count, new.size, new.extent_count - 1) then
    raise exception 'the stored extents are not what the version says' using errcode = 'check_violation';
  end if;
  if new.upload_id is not null then
    raise exception 'a file is not being written' using errcode = 'check_violation';
  end if;
  return new;
end $$;
create or replace trigger version_comes_whole before insert on version for each row
  when (new.state <> 'partial' and current_user = 'cofferdam_warden') execute function version_comes_whole();

-- Promises: no state goes back to *partial*, nothing published becomes held or settling again, discarded and destroyed versions change no more, a closed
-- version keeps its content and its size, its receipt changes only together with its name and before it is published, a withdrawn one comes back only by a
-- release that has an end, and nothing under a hold is destroyed.
create or replace function version_guard() returns trigger language plpgsql as $$
begin
  if old.state = 'published' and new.state not in ('published', 'withdrawn') then
    raise exception 'a published version cannot become %', new.state using errcode = 'check_violation';
  end if;
  -- It becomes visible again only by an operator's release with an end.
  if old.state = 'withdrawn' and new.state <> 'withdrawn' and new.state <> 'destroyed'
     and not (new.state = 'published' and new.released_until > clock_timestamp()) then
    raise exception 'a withdrawn version cannot become %', new.state using errcode = 'check_violation';
  end if;
  if old.state in ('discarded', 'destroyed') and new.state <> old.state then
    raise exception 'a % version is final', old.state using errcode = 'check_violation';
  end if;
  if new.content_id <> old.content_id then
    raise exception 'a version keeps its content' using errcode = 'check_violation';
  end if;
  if old.state <> 'partial' and new.state = 'partial' then
    raise exception 'a closed version is not written again' using errcode = 'check_violation';
  end if;
  if old.state in ('held', 'settling', 'published', 'withdrawn', 'destroyed')
     and (new.size, new.sha256, new.extent_count, new.closed_at, new.closed_by_upload)
       is distinct from (old.size, old.sha256, old.extent_count, old.closed_at, old.closed_by_upload) then
    raise exception 'a closed version cannot change its content' using errcode = 'check_violation';
  end if;
  -- A receipt names the path of its file, so a rename before the publication is the one occasion on which it changes.
  if old.state not in ('partial', 'discarded') and new.receipt is distinct from old.receipt
     and (old.receipt is null or new.receipt is null or new.file_id = old.file_id or old.state not in ('held', 'settling')) then
    raise exception 'a receipt changes only with the name of a file that nobody can read' using errcode = 'check_violation';
  end if;
  if old.state = 'partial' and is_closed(new.state) then
    perform require_whole(old, new);
  end if;
  if old.state in ('held', 'settling') and new.state = 'published' and is_waiting(new) then
    raise exception 'a version that is being continued is not published' using errcode = 'check_violation';
  end if;
  if old.state <> 'destroyed' and new.state = 'destroyed' then
    if old.state <> 'withdrawn' then
      raise exception 'a % version cannot be destroyed', old.state using errcode = 'check_violation';
    end if;
    if is_held(old) then
      raise exception 'a hold lies on this version' using errcode = 'check_violation';
    end if;
  end if;
  return new;
end $$;
create or replace trigger version_guard before update on version for each row execute function version_guard();

-- Promises: a version that is closed or destroyed is not deleted. A discarded one may be.
create or replace function version_stays() returns trigger language plpgsql as $$
begin
  raise exception 'a closed version is not deleted' using errcode = 'check_violation';
end $$;
create or replace trigger version_stays before delete on version for each row when (old.state not in ('partial', 'discarded')) execute function version_stays();

-- Promises: an upload that was let go (by its client, or by the end of its session or edge) and holds no more than its base was an attempt and goes; its base
-- is what there is. What holds more goes on alone: an incomplete base is of no use any more, and a closed one waits until the upload is a file or is given up.
create or replace function continuation_let_go() returns trigger language plpgsql as $$
declare base version;
begin
  select * into base from version where id = new.base_version_id for update;
  new.base_version_id := null;
  if new.size <= base.size then
    new.state := 'discarded';
    update version v set publish_at = clock_timestamp() + fo.settle_ms * interval '1 millisecond' from folder fo where v.id = base.id and v.state = 'settling' and fo.id = v.folder_id;
  elsif base.state = 'partial' then
    update version set state = 'discarded' where id = base.id;
  end if;
  return new;
end $$;
create or replace trigger continuation_let_go before update on version for each row
  when (new.state = 'partial' and new.upload_id is null and new.base_version_id is not null) execute function continuation_let_go();

-- Promises: the life of an interrupted upload, which begins at `let_go_at`, begins anew when bytes came to the upload, and not when somebody opened its name
-- and went away. A takeover while another handle holds the upload counts as letting go by that handle.
create or replace function version_is_let_go() returns trigger language plpgsql as $$
begin
  if old.let_go_at is null or old.size > old.resumed_bytes then
    new.let_go_at := clock_timestamp();
  end if;
  return new;
end $$;
create or replace trigger version_is_let_go before update of upload_id on version
  for each row when (old.upload_id is not null and new.upload_id is distinct from old.upload_id) execute function version_is_let_go();

-- Promises: a version that begins to settle says since when (`waits_since`). That has nothing to do with `is_waiting`.
create or replace function version_waits() returns trigger language plpgsql as $$
begin
  new.waits_since := clock_timestamp();
  return new;
end $$;
create or replace trigger version_waits before update of state on version
  for each row when (new.state = 'settling' and old.state <> 'settling') execute function version_waits();

-- Promises: whatever becomes of what has a receipt, the warden says so in the same transaction. It is looked at when the transaction ends.
create or replace function version_end_is_recorded() returns trigger language plpgsql as $$
declare expected text[] := case new.state
  when 'discarded' then array['file.discarded']
  when 'withdrawn' then array['file.withdrawn']
  when 'destroyed' then array['file.destroyed']
  when 'published' then array['file.published', 'file.released', 'file.renamed']
  else array['file.renamed', 'file.given-back', 'file.ruled'] end;
begin
  if current_user = 'cofferdam_warden' and not exists (select from ledger_fresh l
    where l.version_id = new.id and l.at >= transaction_timestamp() and l.kind = any (expected)
      and l.kind in ('file.discarded', 'file.withdrawn', 'file.destroyed', 'file.published', 'file.released', 'file.renamed', 'file.given-back', 'file.ruled')) then
    raise exception 'version % became % without an entry of the record', new.id, new.state using errcode = 'check_violation';
  end if;
  return null;
end $$;
drop trigger if exists version_end_is_recorded on version;
create constraint trigger version_end_is_recorded after update of state on version deferrable initially deferred
  for each row when (old.receipt is not null and old.state is distinct from new.state) execute function version_end_is_recorded();
