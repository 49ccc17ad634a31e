-- The record in format 2 (docs/reference/ledger-format.md): each head commits to all trees by the root of a blinded map. Forward only.

-- Nothing was released in format 1, and none of its heads can be written in format 2: what they would have to commit to was signed otherwise.
do $$
begin
  if exists (select from ledger_head) then
    raise exception 'this database holds a record in format 1, which no release wrote: make a new database'
      using hint = 'Of a development installation: stop it, and delete its runtime directory.';
  end if;
end $$;

alter table ledger_head
  -- Blinds the map of all trees, for the heads of one epoch.
  add column secret bytea not null check (octet_length(secret) = 32),
  -- The root of that map: with the secret and the number the text of the head can be written again.
  add column map_root bytea not null check (octet_length(map_root) = 32),
  -- The position of the head that began the epoch. Its lines name all trees.
  add column epoch bigint not null check (epoch <= position);
create index ledger_head_epochs on ledger_head (position) where epoch = position;

alter table ledger_state
  -- Somebody wants an epoch to begin; the sealer takes it back when it has begun one.
  add column epoch_asked_at timestamptz,
  -- The newest signed note that every required witness has: what a customer is shown ends there.
  add column witnessed_checkpoint text;

create or replace function ledger_state_guard() returns trigger language plpgsql as $$
begin
  raise exception 'the state of the ledger only goes forward' using errcode = 'check_violation';
end $$;
drop trigger ledger_state_guard on ledger_state;
create trigger ledger_state_guard before update on ledger_state for each row
  when (new.era < old.era or new.number < old.number or new.witnessed_size < old.witnessed_size) execute function ledger_state_guard();

create or replace view ledger_dump with (security_invoker = true) as
  select 1 as part, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid as tree, position,
    json_build_object('head', json_build_array(position, micros(at), number, encode(secret, 'base64'), trees))::text as line from ledger_head
  union all
  select 2, tree, index, json_build_object('block', json_build_array(tree, index, encode(hash, 'hex')))::text from ledger_block
  union all
  select 3, tree, position, json_build_object('leaf', json_build_array(tree, position, encode(leaf, 'hex')))::text from ledger_leaf
  union all
  select 4, s.tree, s.position, ledger_line(s) from ledger_sealed s;
