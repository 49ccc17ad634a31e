-- A row is a self-test's by its mark and its name: the mark alone, which the database's owner may set on a bank's account, hides it from nobody who takes something
-- away (T-36). Forward only.
create or replace function chosen_credentials(customer_name text, account_name text, print text, stale_before timestamptz, used_from inet) returns setof uuid language sql stable as $$
  select k.id from credential k join account a on a.id = k.account_id left join customer c on c.id = a.customer_id
  where k.state <> 'revoked' and not (a.is_self_test and a.name like 'self-test.%')
    and (customer_name is null or c.name = customer_name) and (chosen_credentials.account_name is null or a.name = chosen_credentials.account_name)
    and (print is null or k.fingerprint = print) and (stale_before is null or k.created_at < stale_before)
    and (used_from is null or exists (select 1 from session s where (s.credential_id = k.id or s.also_credential_id = k.id) and s.source_address <<= used_from))
$$;
