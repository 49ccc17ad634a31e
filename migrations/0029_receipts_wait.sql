-- What has a receipt is never given up through another version (T-32), and every end of it is an entry of the record. Forward only.

-- A closed version waits while something incomplete of the same name stands above it: it is neither published nor gone.
create function is_waiting(v version) returns boolean language plpgsql as $$
begin
  return exists (select from version p where p.file_id = v.file_id and p.number > v.number and p.state = 'partial');
end $$;

create or replace function version_guard() returns trigger language plpgsql as $$
begin
  if old.state = 'published' and new.state not in ('published', 'withdrawn') then
    raise exception 'a published version cannot become %', new.state using errcode = 'check_violation';
  end if;
  -- Back into the tree only by an operator's release with an end.
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
     and (new.size, new.sha256, new.extent_count, new.receipt, new.closed_at, new.closed_by_upload)
       is distinct from (old.size, old.sha256, old.extent_count, old.receipt, old.closed_at, old.closed_by_upload) then
    raise exception 'a closed version cannot change its content' using errcode = 'check_violation';
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

-- An upload that let go (its client, its session, its edge's end): what holds no more than its base was an attempt and goes, its base is what there is. What
-- holds more goes on alone: an incomplete base is of no use any more, a closed one waits until the upload is a file or is given up.
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

-- Whatever becomes of what has a receipt, the warden says so in the same transaction: looked at when the transaction ends.
create index ledger_fresh_ends on ledger_fresh (version_id)
  where kind in ('file.discarded', 'file.withdrawn', 'file.destroyed', 'file.published', 'file.released', 'file.renamed', 'file.given-back');
create function version_end_is_recorded() returns trigger language plpgsql as $$
declare expected text[] := case new.state
  when 'discarded' then array['file.discarded']
  when 'withdrawn' then array['file.withdrawn']
  when 'destroyed' then array['file.destroyed']
  when 'published' then array['file.published', 'file.released', 'file.renamed']
  else array['file.renamed', 'file.given-back'] end;
begin
  if current_user = 'cofferdam_warden' and not exists (select from ledger_fresh l
    where l.version_id = new.id and l.at >= transaction_timestamp() and l.kind = any (expected)
      and l.kind in ('file.discarded', 'file.withdrawn', 'file.destroyed', 'file.published', 'file.released', 'file.renamed', 'file.given-back')) then
    raise exception 'version % became % without an entry of the record', new.id, new.state using errcode = 'check_violation';
  end if;
  return null;
end $$;
create constraint trigger version_end_is_recorded after update of state on version deferrable initially deferred
  for each row when (old.receipt is not null and old.state is distinct from new.state) execute function version_end_is_recorded();
