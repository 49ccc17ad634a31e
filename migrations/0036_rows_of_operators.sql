-- What the admin role writes into the record has a number and a size of its own, and is told from what the planes wait for. Forward only.

-- Two lines to the sealer: each is read in order, whatever stands in the other one.
create index ledger_fresh_of_planes on ledger_fresh (id) where observer <> 'admin';
create index ledger_fresh_of_operators on ledger_fresh (id) where observer = 'admin';

-- The admin process writes its own words into the record, never the warden's, and no more than operators ask in hours in which nobody seals: 1,000 calls.
-- Each row is counted, and not each statement: what a transaction holds open is walked past by every look at the record, too.
-- A freeze is ended by operators, so nothing hinders them while there is one: nothing else is served then.
create or replace function ledger_admin_guard() returns trigger language plpgsql set search_path = pg_catalog, public, pg_temp as $$
begin
  if current_user <> 'cofferdam_admin' then return new; end if;
  if new.observer <> 'admin' or new.kind not in ('operator.asked', 'operator.answered') then
    raise exception 'this is not for the admin role to record' using errcode = 'insufficient_privilege';
  end if;
  if pg_column_size(new.sensitive) > 65536 then
    raise exception 'an entry of the admin role is too large' using errcode = 'check_violation', constraint = 'ledger_fresh_sealable';
  end if;
  -- Rows of the same statement count: a trigger of each row sees those before it.
  if exists (select from ledger_fresh where observer = 'admin' offset 1999 limit 1)
    and not exists (select from ledger_freeze where released_at is null) then
    raise exception 'too many entries of the admin role wait for their seal' using errcode = 'configuration_limit_exceeded';
  end if;
  return new;
end $$;
