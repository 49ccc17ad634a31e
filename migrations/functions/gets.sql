-- Gets: a file is opened by a look, and its first read is charged and recorded together with its opening (decision 69). Before that nothing of it is written
-- anywhere, and nothing of its content was told.

-- Promises: what the warden knows of a file before a session reads it, all at one moment. `version` is the published version that whoever may read there is
-- given; null when there is none, when anything unpublished stands under the name, when the account is done with it, when the folder counts complete reads, or when it has no extents or more than `p_extents_max`. `starts` and `lengths` are those of its
-- extents, in bytes, in order. It reads only. Called by the warden.
create or replace function look_at_file(p_session uuid, p_folder uuid, p_parents text[], p_name text, p_extents_max int)
returns table (goes_on boolean, version uuid, content uuid, extent_count int, size bigint, sha256 bytea, modified_at timestamptz, starts bigint[], lengths bigint[])
language plpgsql set cofferdam.customers = '*' set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_variable
declare
  place record;
  found_file uuid;
begin
  goes_on := session_goes_on(p_session, false, 0);
  select p.has_place, p.directory into place from place_of(p_folder, p_parents) p;
  if place.has_place and place.directory is null then
    select f.id into found_file from file f where f.folder_id = p_folder and f.directory_id is null and f.name = p_name;
  elsif place.has_place then
    select f.id into found_file from file f where f.folder_id = p_folder and f.directory_id = place.directory and f.name = p_name;
  end if;
  if exists (select from folder fo where fo.id = p_folder and fo.reads_max is null)
    and not exists (select from version v where v.file_id = found_file and v.state in ('partial', 'held', 'settling')) then
    select v.id, v.content_id, v.extent_count, v.size, v.sha256, v.modified_at into version, content, extent_count, size, sha256, modified_at
      from version v where v.file_id = found_file and v.state = 'published' order by v.number desc limit 1;
    -- Whoever is done with it finds it in an archive (decision 66), which the warden looks for otherwise.
    if exists (select from done_file d where d.version_id = version and d.account_id = (select se.account_id from session se where se.id = p_session)) then
      extent_count := null;
    end if;
  end if;
  if extent_count between 1 and p_extents_max then
    select array_agg(e.start order by e.index), array_agg(e.bytes order by e.index) into starts, lengths from extent e where e.content_id = content and e.index < extent_count;
  else
    version := null;
  end if;
  return next;
end $$;

-- Promises: first reads: each handle is entered and recorded as opened, unless it is already, and its extent is charged and recorded by `charge_batch`, all in one
-- transaction. The answers are those of `charge_batch`, and `opened` is the text of the entry of an opening that was recorded now. A handle is entered only for a session that is
-- open, and for a version that exists; `charge_batch` refuses the others. The locks are those of `lockOrder`: the budgets come first. Called by the warden.
create or replace function first_read_batch(p_session uuid[], p_download uuid[], p_index int[], p_customer uuid[], p_version uuid[], p_folder uuid[], p_mac bytea[], p_says text[])
returns table (item int, outcome text, budget bigint, rank int, unit text, window_name text, cap bigint, free_at timestamptz, after_ms int, is_slow boolean,
  customer uuid, content uuid, object text, bytes bigint, sealed_bytes int, inline bytea, customer_key uuid, wrapped_key bytea, entry text, opened text)
language plpgsql set cofferdam.customers = '*' set lock_timeout = '2s' set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off
  set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  n constant int := cardinality(p_session);
  budgets bigint[]; openings text[]; handles uuid[];
begin
  -- 1. Lock the budgets, as the charge will: the rows of handles refer to versions, which others lock after budgets.
  budgets := array(select distinct one from unnest(p_session, p_customer) x(session, customer) join session se on se.id = x.session join account a on a.id = se.account_id
    cross join lateral unnest(array[(select b.id from budget b where b.rank = 1 and b.credential_id = se.credential_id and b.direction = 'out'),
      (select b.id from budget b where b.rank = 2 and b.account_id = se.account_id and b.customer_id = x.customer and b.direction = 'out'),
      (select b.id from budget b where b.rank = 3 and b.customer_id = x.customer and b.direction = 'out'),
      (select b.id from budget b where b.rank = 4 and b.plane = a.plane and b.direction = 'out'),
      (select b.id from budget b where b.rank = 5 and b.direction = 'out')]) one);
  perform from (select b.id from budget b where b.id = any (budgets) order by b.rank, b.id for update) q;

  -- 2. Enter and record the openings.
  with made as (
    insert into download as d (id, customer_id, session_id, version_id, folder_id, mac)
      select x.download, x.customer, x.session, v.id, x.folder, x.mac
      from unnest(p_download, p_customer, p_session, p_version, p_folder, p_mac) with ordinality x(download, customer, session, version, folder, mac, o)
        join session se on se.id = x.session and se.state = 'open' join version v on v.id = x.version and v.customer_id = x.customer
      order by x.o
      on conflict (id) do nothing returning d.id), born as (
    insert into ledger_fresh as f (kind, observer, customer_id, account_id, session_id, node, plane, handle_id, version_id, bytes, public)
      select 'download.opened', 'warden', x.customer, se.account_id, x.session, se.node, a.plane, x.download, v.id, v.size, x.says::jsonb
      from made m join unnest(p_download, p_customer, p_session, p_version, p_says) with ordinality x(download, customer, session, version, says, o) on x.download = m.id
        join session se on se.id = x.session join account a on a.id = se.account_id join version v on v.id = x.version
      where array_position(p_download, x.download) = x.o
      order by x.o
    returning f.handle_id, row(f.id, f.at, f.kind, f.observer, f.customer_id, f.account_id, f.session_id, f.node, f.plane, f.handle_id, f.version_id, f.extent, f.bytes, f.public, f.credential,
        f.also_credential, f.source, f.source_port, f.client, f.operator, f.sensitive)::text as entry)
  select array_agg(b.entry), array_agg(b.handle_id) into openings, handles from born b;

  -- 3. Charge and record the reads.
  return query
    select c.item, c.outcome, c.budget, c.rank, c.unit, c.window_name, c.cap, c.free_at, c.after_ms, c.is_slow, c.customer, c.content, c.object, c.bytes, c.sealed_bytes, c.inline,
      c.customer_key, c.wrapped_key, c.entry, openings[array_position(handles, p_download[c.item])]
    from charge_batch(p_session, p_download, p_index, p_customer, array_fill(null::text, array[n]), array_fill(null::bigint, array[n]), array_fill(null::bigint, array[n]), p_version) c
    order by c.item;
end $$;

-- Promises: handles that are closed whose keys were released, or of which nothing was sent: each is closed and recorded. There is one answer per item, in order: null in `sent` when the handle
-- was not open, or when its version counts its reads, which the warden does otherwise, or when an earlier item names it; nothing was done then. `sent` is what the edge says that it sent, bounded by what the wire can
-- have carried since the opening (`p_wire` bytes/s). Called by the warden.
create or replace function close_batch(p_session uuid[], p_download uuid[], p_sent bigint[], p_wire bigint, p_says text[])
returns table (item int, sent bigint, entry text)
language plpgsql set cofferdam.customers = '*' set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  closed uuid[]; amounts bigint[]; texts text[]; handles uuid[];
begin
  with done as (
    update download d set closed_at = clock_timestamp(), sent_bytes = least(x.sent, could_have_moved(d.opened_at, p_wire))
      from unnest(p_session, p_download, p_sent) with ordinality x(session, download, sent, o)
      where array_position(p_download, x.download) = x.o and d.id = x.download and d.session_id = x.session and d.closed_at is null
        and not exists (select from version v join file f on f.id = v.file_id join folder fo on fo.id = f.folder_id where v.id = d.version_id and fo.reads_max is not null)
      returning d.id, d.sent_bytes)
  select array_agg(id), array_agg(sent_bytes) into closed, amounts from done;
  with born as (
    insert into ledger_fresh as f (kind, observer, customer_id, account_id, session_id, node, plane, handle_id, version_id, bytes, public)
      select 'download.closed', 'edge', d.customer_id, se.account_id, d.session_id, se.node, a.plane, d.id, d.version_id, d.sent_bytes, x.says::jsonb
      from unnest(p_download, p_says) with ordinality x(download, says, o) join download d on d.id = x.download and d.id = any (closed)
        join session se on se.id = d.session_id join account a on a.id = se.account_id
      where array_position(p_download, x.download) = x.o
      order by x.o
    returning f.handle_id, row(f.id, f.at, f.kind, f.observer, f.customer_id, f.account_id, f.session_id, f.node, f.plane, f.handle_id, f.version_id, f.extent, f.bytes, f.public, f.credential,
        f.also_credential, f.source, f.source_port, f.client, f.operator, f.sensitive)::text as entry)
  select array_agg(b.entry), array_agg(b.handle_id) into texts, handles from born b;
  return query
    select x.o::int, case when x.is_first then amounts[array_position(closed, x.download)] end, case when x.is_first then texts[array_position(handles, x.download)] end
    from (select u.download, u.o, array_position(p_download, u.download) = u.o as is_first from unnest(p_download) with ordinality u(download, o)) x order by x.o;
end $$;
