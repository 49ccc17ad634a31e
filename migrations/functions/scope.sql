-- Who sees the rows of which customer. Row-level security is forced on every table that belongs to a customer, so the policies hold for the owner, too.
-- The setting `cofferdam.customers` of a transaction holds the ids in scope, separated by commas, or `*` for the few passes over the whole system (login,
-- sweeps). Where it is not set, no row of a customer is visible.

-- Promises: true exactly for the customers in the transaction's scope. Called by the policies below, for every role.
create or replace function in_scope(customer uuid) returns boolean language sql stable parallel safe as $$
  select case coalesce(current_setting('cofferdam.customers', true), '')
    when '*' then true
    when '' then false
    else customer = any (string_to_array(current_setting('cofferdam.customers', true), ',')::uuid[])
  end
$$;

-- A new table of a customer is named in one of these lists. A table with row-level security and without a policy shows no row.
do $$
declare
  t text;
begin
  -- Each row belongs to a customer.
  foreach t in array array['customer_key', 'folder', 'folder_right', 'directory', 'file', 'content', 'extent', 'pending_extent', 'version', 'download', 'legal_hold', 'done_file'] loop
    execute format('drop policy if exists scope on %I', t);
    execute format('create policy scope on %I using (in_scope(customer_id)) with check (in_scope(customer_id))', t);
  end loop;
  -- Rows of no customer are visible in every scope.
  foreach t in array array['account', 'budget', 'alert'] loop
    execute format('drop policy if exists scope on %I', t);
    execute format('create policy scope on %I using (customer_id is null or in_scope(customer_id)) with check (customer_id is null or in_scope(customer_id))', t);
  end loop;
  -- As above, for tables of which many rows are read at once: the part in brackets is looked at once a query. `ledger_month` gives it to each month.
  foreach t in array array['ledger_fresh', 'ledger_sealed', 'ledger_kept'] loop
    execute format('drop policy if exists scope on %I', t);
    execute format('create policy scope on %I using ((select coalesce(current_setting(''cofferdam.customers'', true), '''') = ''*'') or customer_id is null or in_scope(customer_id)) with check (customer_id is null or in_scope(customer_id))', t);
  end loop;
  drop policy if exists scope on customer;
  create policy scope on customer using (in_scope(id)) with check (in_scope(id));
end $$;
