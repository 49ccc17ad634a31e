-- Credentials: what never changes of them, what their names mean, and in which state they are.

-- Promises: what a credential is never changes, and a revoked one never comes back (T-11).
create or replace function credential_guard() returns trigger language plpgsql as $$
begin
  if old.state = 'revoked' and new.state <> 'revoked' then
    raise exception 'a revoked credential stays revoked' using errcode = 'check_violation';
  end if;
  if (new.account_id, new.type, new.algorithm, new.public_key, new.password_hash, new.fingerprint, new.issued_by, new.created_at)
      is distinct from (old.account_id, old.type, old.algorithm, old.public_key, old.password_hash, old.fingerprint, old.issued_by, old.created_at) then
    raise exception 'a credential is not rewritten' using errcode = 'check_violation';
  end if;
  return new;
end $$;
create or replace trigger credential_guard before update on credential for each row execute function credential_guard();

-- Promises: a credential never lives longer than it was given first (`issued_until`). To make its life shorter is free.
create or replace function credential_issued() returns trigger language plpgsql as $$
begin
  new.issued_until := new.expires_at;
  return new;
end $$;
create or replace trigger credential_issued before insert on credential for each row execute function credential_issued();

-- Promises: the state as people speak of it: pending, active, retiring, expired, dormant, suspended, revoked. Called by the warden, the admin process and the
-- auditor.
create or replace function credential_state(state text, valid_from timestamptz, expires_at timestamptz, last_used_at timestamptz, woken_at timestamptz, dormant_ms bigint)
returns text language sql stable as $$
  select case when state in ('suspended', 'revoked') then state
    when expires_at <= clock_timestamp() then 'expired'
    when valid_from > clock_timestamp() then 'pending'
    when greatest(last_used_at, woken_at, valid_from) <= clock_timestamp() - dormant_ms * interval '1 millisecond' then 'dormant'
    else state end
$$;

-- Promises: which credential a name means, for every look-up. Several rows may have one fingerprint: keys that nobody proved to have and that are revoked,
-- beside the one whose it is. Chosen is the one that is not revoked, then the one that was proved, then the newest. Called by `find_budgets`, the warden,
-- the admin process and the auditor.
create or replace function credential_named(print text) returns uuid language sql stable as $$
  select id from credential where fingerprint = print order by state = 'revoked', proved_at is null, created_at desc, id limit 1
$$;

-- Promises: the credentials that a plan, and what follows it, is about: every condition that is given holds, and revoked ones are never chosen. A row is a
-- self-test's by its mark and its name: the mark alone, which the database's owner may set on a bank's account, hides it from nobody who takes something
-- away (T-36). Called by the warden and the admin process.
create or replace function chosen_credentials(customer_name text, account_name text, print text, stale_before timestamptz, used_from inet) returns setof uuid language sql stable as $$
  select k.id from credential k join account a on a.id = k.account_id left join customer c on c.id = a.customer_id
  where k.state <> 'revoked' and not (a.is_self_test and a.name like 'self-test.%')
    and (customer_name is null or c.name = customer_name) and (chosen_credentials.account_name is null or a.name = chosen_credentials.account_name)
    and (print is null or k.fingerprint = print) and (stale_before is null or k.created_at < stale_before)
    and (used_from is null or exists (select 1 from session s where (s.credential_id = k.id or s.also_credential_id = k.id) and s.source_address <<= used_from))
$$;

-- Promises: keys of a self-test's account that are over and that no session names are removed, with their budgets, marks and seals; answers how many. It runs
-- with its owner's rights: no role of ours may delete a credential, and by this function none but those of a self-test. Without a session nothing of them was
-- ever paced. Called by the warden.
create or replace function forget_self_test_keys(account_name_in text) returns int language plpgsql security definer set search_path = public, pg_temp set cofferdam.customers = '*' as $$
declare gone uuid[]; budgets bigint[];
begin
  select coalesce(array_agg(c.id), '{}') into gone from credential c join account a on a.id = c.account_id
    where a.name = account_name_in and a.is_self_test and c.state = 'revoked'
      and not exists (select 1 from session s where s.credential_id = c.id) and not exists (select 1 from session s where s.also_credential_id = c.id)
      and not exists (select 1 from rotation_item i where i.credential_id = c.id or i.successor_id = c.id) and not exists (select 1 from credential p where p.successor_id = c.id);
  select coalesce(array_agg(b.id), '{}') into budgets from budget b where b.rank = 1 and b.credential_id = any (gone);
  delete from budget_snapshot where budget_id = any (budgets);
  delete from budget where id = any (budgets);
  delete from charged_item where credential_id = any (gone);
  delete from seal where (kind = 'credential' and row_id in (select g::text from unnest(gone) g)) or (kind = 'budget' and row_id in (select b::text from unnest(budgets) b));
  delete from credential where id = any (gone);
  return cardinality(gone);
end $$;
