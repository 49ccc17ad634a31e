-- Legal holds: a hold that is being placed and a destruction wait for each other, for each customer.

-- Promises: the key of the advisory lock at which holds and destructions of one customer meet. Called by the two functions below.
create or replace function hold_lock(customer uuid) returns bigint language sql immutable parallel safe as $$
  select hashtextextended('cofferdam/hold/' || customer, 0)
$$;

-- Promises: whether a hold lies on a version. It is read behind the lock, so a hold that is being placed counts. Called by the warden and the guards of
-- versions and contents.
create or replace function is_held(v version) returns boolean language plpgsql as $$
begin
  perform pg_advisory_xact_lock_shared(hold_lock(v.customer_id));
  return exists (select from legal_hold h where h.lifted_at is null and h.customer_id = v.customer_id
    and (h.folder_id is null or h.folder_id = v.folder_id) and (h.version_id is null or h.version_id = v.id));
end $$;

-- Promises: a hold is placed behind the lock, and not on what is destroyed already.
create or replace function hold_guard() returns trigger language plpgsql as $$
begin
  perform pg_advisory_xact_lock(hold_lock(new.customer_id));
  if exists (select from version v where v.id = new.version_id and v.state = 'destroyed') then
    raise exception 'there is nothing left to hold' using errcode = 'check_violation';
  end if;
  return new;
end $$;
create or replace trigger hold_guard before insert on legal_hold for each row execute function hold_guard();
