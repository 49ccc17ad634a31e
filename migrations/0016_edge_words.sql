-- What an edge says is only ever as large as it can be, and whatever it said is added up: sums are exact numbers of any size, shown as the largest number
-- that every reader holds exactly. Nothing that an edge makes the warden store is without bound. Forward only.

-- A number of any size as one that every reader holds exactly (2^53 - 1 and no more): "at least so much".
create function whole_number(given numeric) returns bigint language sql immutable parallel safe as $$
  select least(greatest(given, -9007199254740991), 9007199254740991)::bigint
$$;

-- The most that can have been moved since then: a second more than has passed, at so many bytes a second.
create function could_have_moved(since timestamptz, bytes_per_second bigint) returns bigint language sql volatile as $$
  select whole_number(ceil((greatest(extract(epoch from clock_timestamp() - since), 0) + 1) * bytes_per_second))
$$;

-- Removes keys of a self-test account that are over and that no session names, with their budgets, marks and seals. Runs with its owner's rights: no role
-- of ours may delete a credential, and through this none but those of a self-test. Without a session nothing of them was ever paced.
create function forget_self_test_keys(account_name_in text) returns int language plpgsql security definer set search_path = public, pg_temp set cofferdam.customers = '*' as $$
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

-- What stands in a folder is counted with each new directory.
create index directory_standing on directory (folder_id) where removed_at is null;
