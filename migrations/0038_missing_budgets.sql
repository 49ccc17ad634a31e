-- Budgets that are not there: of each scope that exists, the directions of which it has no row. Nothing is granted through such a scope. The warden makes them
-- when it starts, except those that the record says were changed; what is left is told by `doctor` and by the regular pass (T-36). Forward only.
create function missing_budgets()
returns table (scope text, id uuid, customer_id uuid, plane text, is_internal boolean, direction text, name text, customer_name text, is_self_test boolean)
language sql stable as $$
  with directions (d) as (values ('out'), ('in'), ('list'))
  select 'credential', k.id, a.customer_id, null::text, false, d, k.fingerprint, null::text, a.is_self_test and a.name like 'self-test.%'
    from credential k join account a on a.id = k.account_id cross join directions
    where not exists (select 1 from budget b where b.rank = 1 and b.credential_id = k.id and b.direction = d)
  union all
  select 'account', a.id, r.customer_id, null, a.customer_id is null, d, a.name, c.name, a.is_self_test and a.name like 'self-test.%'
    from (select distinct f.account_id, f.customer_id from folder_right f) r join account a on a.id = r.account_id join customer c on c.id = r.customer_id
      cross join directions
    where not exists (select 1 from budget b where b.rank = 2 and b.account_id = r.account_id and b.customer_id = r.customer_id and b.direction = d)
  union all
  select 'customer', null, c.id, null, false, d, c.name, null, c.is_self_test and c.name like 'self-test.%' from customer c cross join directions
    where not exists (select 1 from budget b where b.rank = 3 and b.customer_id = c.id and b.direction = d)
  union all
  select 'plane', null, null, p, false, d, p, null, false from (values ('partner'), ('internal')) planes (p) cross join directions
    where not exists (select 1 from budget b where b.rank = 4 and b.plane = p and b.direction = d)
  union all
  select 'gateway', null, null, null, false, d, null, null, false from directions
    where not exists (select 1 from budget b where b.rank = 5 and b.direction = d)
  order by 1, 2, 3, 4, 6
$$;
