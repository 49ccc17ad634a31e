-- Contents, extents, keys and objects: what a version counts on is not changed, and goes only when nothing counts on it any more (T-32).

-- Promises: whether anything counts on the bytes of a content: its version is not final, or had a receipt and a hold lies on it. Called by the triggers below.
create or replace function counts_on(content uuid) returns boolean language plpgsql as $$
declare v version;
begin
  select * into v from version where content_id = content;
  return v.id is not null and v.state <> 'destroyed' and (v.state <> 'discarded' or v.receipt is not null and is_held(v));
end $$;

-- Promises: an extent is written once, and goes when no version counts on it.
create or replace function extent_stays() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' then
    raise exception 'an extent is not changed' using errcode = 'check_violation';
  end if;
  if counts_on(old.content_id) then
    raise exception 'a version counts on this extent' using errcode = 'check_violation';
  end if;
  return old;
end $$;
create or replace trigger extent_stays before update or delete on extent for each row execute function extent_stays();

-- Promises: nothing is added to what is closed.
create or replace function extent_comes() returns trigger language plpgsql as $$
begin
  if exists (select from version v where v.content_id = new.content_id and v.state <> 'partial') then
    raise exception 'an extent comes only to what is being written' using errcode = 'check_violation';
  end if;
  return new;
end $$;
create or replace trigger extent_comes before insert on extent for each row execute function extent_comes();

-- Promises: a key is made once, and destroyed when no version counts on it.
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
create or replace trigger content_guard before update or delete on content for each row execute function content_guard();

-- Promises: an object is doomed when no extent names it, and no extent comes to it afterwards.
create or replace function doom_guard() returns trigger language plpgsql set cofferdam.customers = '*' as $$
begin
  if exists (select from extent e where e.object_id = new.object_id) then
    raise exception 'an extent needs this object' using errcode = 'check_violation';
  end if;
  return new;
end $$;
create or replace trigger doom_guard before insert or update on doomed_object for each row execute function doom_guard();

-- Promises: these tables are not emptied. A truncate goes past what looks at rows.
create or replace function contents_stay() returns trigger language plpgsql as $$
begin
  raise exception '% is not emptied', tg_table_name using errcode = 'check_violation';
end $$;
create or replace trigger contents_stay before truncate on version for each statement execute function contents_stay();
create or replace trigger contents_stay before truncate on content for each statement execute function contents_stay();
create or replace trigger contents_stay before truncate on extent for each statement execute function contents_stay();
