-- A content belongs to one version (T-32), and a version becomes a file only when it is whole (T-31). What the code keeps, the database refuses to break.

-- 1. One content, one version. A continuation of a closed version has a content of its own: it reads its base and writes anew.
drop index version_content_id_idx;
create unique index version_content on version (content_id);

alter table version
  -- What this open upload rewrites or goes on from; it stays what readers and resumptions find until the upload holds more.
  add column base_version_id uuid references version,
  -- Bytes that were there when the upload was resumed: a resumption that adds nothing makes no file.
  add column resumed_bytes bigint not null default 0 check (resumed_bytes >= 0),
  -- Why a part of this upload was refused. Until it is resumed by another upload, nothing can close it.
  add column refused text check (length(refused) <= 64),
  add check (base_version_id is null or (state in ('partial', 'discarded') and base_version_id <> id)),
  add check (refused is null or state in ('partial', 'discarded'));
create unique index version_base on version (base_version_id) where base_version_id is not null and state = 'partial';

-- Whether a receipt counts on this version's bytes.
create function is_closed(state text) returns boolean language sql immutable parallel safe as $$
  select state in ('held', 'settling', 'published', 'withdrawn')
$$;

-- Holds against destruction wait for each other here, for each customer: a hold that is being placed is seen, or sees what is gone.
create function hold_lock(customer uuid) returns bigint language sql immutable parallel safe as $$
  select hashtextextended('cofferdam/hold/' || customer, 0)
$$;
-- Read behind the lock: a hold that is being placed counts.
create function is_held(v version) returns boolean language plpgsql as $$
begin
  perform pg_advisory_xact_lock_shared(hold_lock(v.customer_id));
  return exists (select from legal_hold h where h.lifted_at is null and h.customer_id = v.customer_id
    and (h.folder_id is null or h.folder_id = v.folder_id) and (h.version_id is null or h.version_id = v.id));
end $$;
create function hold_guard() returns trigger language plpgsql as $$
begin
  perform pg_advisory_xact_lock(hold_lock(new.customer_id));
  if exists (select from version v where v.id = new.version_id and v.state = 'destroyed') then
    raise exception 'there is nothing left to hold' using errcode = 'check_violation';
  end if;
  return new;
end $$;
create trigger hold_guard before insert on legal_hold for each row execute function hold_guard();

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
  if old.state in ('held', 'settling') and new.state = 'published' and exists (select from version p where p.base_version_id = old.id and p.state = 'partial') then
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

-- What the database itself knows of an upload that is to become a file: nothing of it was refused, it holds what its version says, and more than what it began from.
create function require_whole(old version, new version) returns void language plpgsql as $$
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

create function version_stays() returns trigger language plpgsql as $$
begin
  raise exception 'a closed version is not deleted' using errcode = 'check_violation';
end $$;
create trigger version_stays before delete on version for each row when (old.state not in ('partial', 'discarded')) execute function version_stays();

-- An upload that let go (its client, its session, its edge's end): what holds no more than its base was an attempt and goes, its base is what there is;
-- what holds more takes the place of its base.
create function continuation_let_go() returns trigger language plpgsql as $$
declare base version;
begin
  select * into base from version where id = new.base_version_id for update;
  new.base_version_id := null;
  if new.size <= base.size then
    new.state := 'discarded';
    update version v set publish_at = clock_timestamp() + fo.settle_ms * interval '1 millisecond' from folder fo where v.id = base.id and v.state = 'settling' and fo.id = v.folder_id;
  elsif base.state in ('partial', 'held', 'settling') then
    update version set state = 'discarded', publish_at = null where id = base.id;
  end if;
  return new;
end $$;
create trigger continuation_let_go before update on version for each row
  when (new.state = 'partial' and new.upload_id is null and new.base_version_id is not null) execute function continuation_let_go();

-- Whether anything counts on the bytes of a version: it is not final, or it had a receipt and a hold lies on it.
create function counts_on(content uuid) returns boolean language plpgsql as $$
declare v version;
begin
  select * into v from version where content_id = content;
  return v.id is not null and v.state <> 'destroyed' and (v.state <> 'discarded' or v.receipt is not null and is_held(v));
end $$;

-- 2. An extent is written once, and goes when no version counts on it.
create function extent_stays() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' then
    raise exception 'an extent is not changed' using errcode = 'check_violation';
  end if;
  if counts_on(old.content_id) then
    raise exception 'a version counts on this extent' using errcode = 'check_violation';
  end if;
  return old;
end $$;
create trigger extent_stays before update or delete on extent for each row execute function extent_stays();

-- Nothing is added to what is closed.
create function extent_comes() returns trigger language plpgsql as $$
begin
  if exists (select from version v where v.content_id = new.content_id and v.state <> 'partial') then
    raise exception 'an extent comes only to what is being written' using errcode = 'check_violation';
  end if;
  return new;
end $$;
create trigger extent_comes before insert on extent for each row execute function extent_comes();

-- 3. A key is made once, and destroyed when no version counts on it.
create or replace function content_guard() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' then
    if old.destroyed_at is not null then
      raise exception 'a destroyed key stays destroyed' using errcode = 'check_violation';
    end if;
    if new.destroyed_at is null or (new.id, new.customer_id, new.customer_key_id, new.created_at) is distinct from (old.id, old.customer_id, old.customer_key_id, old.created_at) then
      raise exception 'a key is not changed' using errcode = 'check_violation';
    end if;
  end if;
  if counts_on(old.id) then
    raise exception 'a version counts on this key' using errcode = 'check_violation';
  end if;
  return case when tg_op = 'DELETE' then old else new end;
end $$;
drop trigger content_guard on content;
create trigger content_guard before update or delete on content for each row execute function content_guard();

-- 4. An object is doomed when no extent names it, and no extent comes to it afterwards.
create function doom_guard() returns trigger language plpgsql set cofferdam.customers = '*' as $$
begin
  if exists (select from extent e where e.object_id = new.object_id) then
    raise exception 'an extent needs this object' using errcode = 'check_violation';
  end if;
  return new;
end $$;
create trigger doom_guard before insert or update on doomed_object for each row execute function doom_guard();

-- A truncate goes past what looks at rows.
create function contents_stay() returns trigger language plpgsql as $$
begin
  raise exception '% is not emptied', tg_table_name using errcode = 'check_violation';
end $$;
do $$
declare t text;
begin
  foreach t in array array['version', 'content', 'extent'] loop
    execute format('create trigger contents_stay before truncate on %I for each statement execute function contents_stay()', t);
  end loop;
end $$;
