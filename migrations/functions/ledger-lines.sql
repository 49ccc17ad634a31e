-- The record as it is read: one view of sealed and unsealed entries, and the lines of a dump.

-- The whole record: what is sealed, and what is about to be.
create or replace view ledger with (security_invoker = true) as
  select number, tree, position, salt, leaf, id, at, kind, observer, customer_id, account_id, session_id, node, plane, handle_id, version_id, extent, bytes, public,
    credential, also_credential, source, source_port, client, operator, sensitive, sha256 from ledger_sealed
  union all
  select null, null, null, null, null, id, at, kind, observer, customer_id, account_id, session_id, node, plane, handle_id, version_id, extent, bytes, public,
    credential, also_credential, source, source_port, client, operator, sensitive, public ->> 'sha256' from ledger_fresh;

-- Promises: microseconds since 1970, as the record's format writes instants. Called by whoever reads or writes entries.
create or replace function micros(moment timestamptz) returns bigint language sql immutable parallel safe as $$ select (extract(epoch from moment) * 1000000)::bigint $$;

-- Promises: the line of an entry in a dump (docs/reference/ledger-format.md). Called by `ledger_dump`, and by the warden when it archives a month.
create or replace function ledger_line(s ledger_sealed) returns text language sql stable parallel safe as $$
  select json_build_object('entry', json_build_array(s.tree, s.position, s.number, micros(s.at), s.kind, s.observer, s.customer_id, s.account_id, s.session_id, s.node, s.plane, s.handle_id, s.version_id,
    s.extent, s.bytes, s.public::text, s.credential, s.also_credential, host(s.source), s.source_port, s.client, s.operator, s.sensitive::text, encode(s.salt, 'hex'), encode(s.leaf, 'hex')))::text
$$;

-- Lines of a dump: select line from ledger_dump order by part, tree, position.
create or replace view ledger_dump with (security_invoker = true) as
  select 1 as part, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid as tree, position,
    json_build_object('head', json_build_array(position, micros(at), number, encode(secret, 'base64'), trees))::text as line from ledger_head
  union all
  select 2, tree, index, json_build_object('block', json_build_array(tree, index, encode(hash, 'hex')))::text from ledger_block
  union all
  select 3, tree, position, json_build_object('leaf', json_build_array(tree, position, encode(leaf, 'hex')))::text from ledger_leaf
  union all
  select 4, s.tree, s.position, ledger_line(s) from ledger_sealed s
  union all
  select 4, k.tree, k.position, ledger_line(row(k.*)::ledger_sealed) from ledger_kept k;
