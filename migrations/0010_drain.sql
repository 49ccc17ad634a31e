-- An order to end one run of an edge in order. It names that run: the process that follows is another one, and knows nothing of it.
alter table node
  add column drain_start_id uuid,
  add column drain_ordered_at timestamptz,
  add column drain_until timestamptz,
  add column drain_reason text,
  add column drain_ordered_by text,
  add constraint drain_order_is_whole check (num_nulls(drain_start_id, drain_ordered_at, drain_until, drain_reason, drain_ordered_by) in (0, 5));
