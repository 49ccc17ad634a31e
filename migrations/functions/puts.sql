-- Puts: files so small that they come in one call, whole. Each is charged, entered into the catalogue and recorded in one transaction (decision 60). Before that
-- nothing of it is written anywhere.

-- Promises: the directory that `p_parents` leads to inside a folder: null is the folder itself. `has_place` is false when a directory of the path does not exist.
-- It reads only. Called by `look_at_name` and `look_at_file`.
create or replace function place_of(p_folder uuid, p_parents text[], out has_place boolean, out directory uuid) language plpgsql stable as $$
#variable_conflict use_variable
declare
  component text;
begin
  has_place := true;
  foreach component in array p_parents loop
    if directory is null then
      select d.id into directory from directory d where d.folder_id = p_folder and d.parent_id is null and d.name = component and d.removed_at is null;
    else
      select d.id into directory from directory d where d.folder_id = p_folder and d.parent_id = directory and d.name = component and d.removed_at is null;
    end if;
    has_place := directory is not null;
    exit when not has_place;
  end loop;
end $$;

-- Promises: what the warden knows of a name before it offers to take a small file there, all at one moment. `has_place` is false when a directory of the path does
-- not exist, and what follows is null then. `standing` is the highest number of a version that the name has, or 0. `has_room` is true when none of the session's
-- budgets is at a cap of items, without what was added to it for a time; it steers and guards nothing, because the charge decides. It reads only. Called by the warden.
create or replace function look_at_name(p_session uuid, p_customer uuid, p_folder uuid, p_parents text[], p_name text)
returns table (goes_on boolean, has_place boolean, directory uuid, is_directory boolean, standing int, has_unpublished boolean, has_published boolean,
  folder text, direction text, publish_rule text, marker text, settle_ms int, customer_key uuid, wrapped bytea, wrapped_by text, has_room boolean, moment timestamptz)
language plpgsql set cofferdam.customers = '*' set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_variable
declare
  found_file uuid;
  budgets bigint[];
begin
  goes_on := session_goes_on(p_session, false, 0);
  moment := date_trunc('milliseconds', clock_timestamp());
  select p.has_place, p.directory into has_place, directory from place_of(p_folder, p_parents) p;
  if has_place and directory is null then
    select f.id into found_file from file f where f.folder_id = p_folder and f.directory_id is null and f.name = p_name;
    is_directory := exists (select from directory d where d.folder_id = p_folder and d.parent_id is null and d.name = p_name and d.removed_at is null);
  elsif has_place then
    select f.id into found_file from file f where f.folder_id = p_folder and f.directory_id = directory and f.name = p_name;
    is_directory := exists (select from directory d where d.folder_id = p_folder and d.parent_id = directory and d.name = p_name and d.removed_at is null);
  end if;
  select coalesce(max(v.number), 0), coalesce(bool_or(v.state in ('partial', 'held', 'settling')), false), coalesce(bool_or(v.state = 'published'), false)
    into standing, has_unpublished, has_published from version v where v.file_id = found_file;
  select fo.name, fo.direction, fo.publish_rule, fo.marker, fo.settle_ms into folder, direction, publish_rule, marker, settle_ms
    from folder fo where fo.id = p_folder and fo.customer_id = p_customer;
  select array[(select b.id from budget b where b.rank = 1 and b.credential_id = se.credential_id and b.direction = 'in'),
      (select b.id from budget b where b.rank = 2 and b.account_id = se.account_id and b.customer_id = p_customer and b.direction = 'in'),
      (select b.id from budget b where b.rank = 3 and b.customer_id = p_customer and b.direction = 'in'),
      (select b.id from budget b where b.rank = 4 and b.plane = a.plane and b.direction = 'in'),
      (select b.id from budget b where b.rank = 5 and b.direction = 'in')]
    into budgets from session se join account a on a.id = se.account_id where se.id = p_session;
  has_room := array_position(budgets, null) is null and not exists (select from budget b where b.id = any (budgets) and
    (b.total_items - b.base_hour_items >= b.cap_hour_items or b.total_items - b.base_day_items >= b.cap_day_items or b.total_items - b.base_week_items >= b.cap_week_items));
  select k.id, k.wrapped, k.wrapped_by into customer_key, wrapped, wrapped_by from customer_key k where k.customer_id = p_customer order by k.created_at desc limit 1;
  return next;
end $$;

-- Promises: a batch of small files, each of which is charged (one item and its bytes, `charge_batch`) and, when that is granted and its name is still as it was
-- looked at, becomes a file of the state that is said, all in one transaction. There is one answer per item, in order: that of its charge, and in `put`
--   stored   it is a file now, and recorded
--   taken    something stands under its name that was not there when it was looked at: nothing is stored
--   gone     its directory is gone: nothing is stored
--   changed  the rules of its folder are others now: nothing is stored
-- or null when it was not charged. What was charged stays charged. `entries` has the texts of the entries that say what was stored, `entry` one of those of the charges,
-- as `charge_batch` returns it. `repeated` is an earlier version with the same bytes. The locks are those of `lockOrder`: budgets, directories, names. Nobody waits for longer
-- than two seconds for a name, because the budgets are locked meanwhile. Called by the warden.
create or replace function put_batch(p_session uuid[], p_customer uuid[], p_folder uuid[], p_directory uuid[], p_name text[], p_standing int[], p_may_replace boolean[],
  p_rule text[], p_settle_ms int[], p_state text[], p_upload uuid[], p_version uuid[], p_content uuid[], p_customer_key uuid[], p_wrapped_key bytea[],
  p_object text[], p_bytes bigint[], p_digest bytea[], p_inline bytea[], p_sha256 bytea[], p_modified bigint[], p_opened timestamptz[], p_closed timestamptz[],
  p_receipt text[], p_says_opened text[], p_says_closed text[], p_marker text[])
returns table (item int, outcome text, budget bigint, rank int, unit text, window_name text, cap bigint, free_at timestamptz, after_ms int, is_slow boolean,
  customer uuid, entry text, put text, repeated uuid, entries text[])
language plpgsql set cofferdam.customers = '*' set lock_timeout = '2s' set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off
  set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  n constant int := cardinality(p_session);
  charged text[]; budgets bigint[]; ranks int[]; units text[]; windows text[]; caps bigint[]; freed timestamptz[]; waits int[]; slows boolean[]; refusals text[];
  standing_directories uuid[]; files uuid[] := array_fill(null::uuid, array[n]); made uuid[] := '{}'; one record; place int; locked uuid; puts text[]; earlier uuid[]; texts text[]; handles uuid[]; moment timestamptz;
begin
  -- 1. Charge. Who may be charged may act: the charge reads that after the locks.
  select array_agg(c.outcome order by c.item), array_agg(c.budget order by c.item), array_agg(c.rank order by c.item), array_agg(c.unit order by c.item),
      array_agg(c.window_name order by c.item), array_agg(c.cap order by c.item), array_agg(c.free_at order by c.item), array_agg(c.after_ms order by c.item),
      array_agg(c.is_slow order by c.item), array_agg(c.entry order by c.item)
    into charged, budgets, ranks, units, windows, caps, freed, waits, slows, refusals
    from charge_batch(p_session, array_fill(null::uuid, array[n]), array_fill(null::int, array[n]), p_customer, array_fill('in'::text, array[n]), p_bytes,
      array_fill(1::bigint, array[n])) c;

  -- 2. The directories stay, the names are locked: each is made or locked in turn, in the order in which a rename takes its two names.
  standing_directories := array(select d.id from directory d where d.id = any (p_directory) and d.removed_at is null order by d.id for share);
  for one in
    select x.customer, x.folder, x.directory, x.name, array_agg(x.o) as places
    from unnest(p_customer, p_folder, p_directory, p_name, charged) with ordinality x(customer, folder, directory, name, outcome, o)
    where x.outcome = 'granted' and (x.directory is null or x.directory = any (standing_directories))
    group by 1, 2, 3, 4 order by x.folder::text || '/' || coalesce(x.directory::text, '') || '/' || x.name collate "C"
  loop
    locked := null;
    -- A row that stood in the way may be gone once it could be locked: then the name is made after all.
    while locked is null loop
      insert into file (id, customer_id, folder_id, directory_id, name) values (gen_random_uuid(), one.customer, one.folder, one.directory, one.name)
        on conflict do nothing returning id into locked;
      if locked is not null then
        made := made || locked;
      elsif one.directory is null then
        select f.id into locked from file f where f.folder_id = one.folder and f.directory_id is null and f.name = one.name for update;
      else
        select f.id into locked from file f where f.folder_id = one.folder and f.directory_id = one.directory and f.name = one.name for update;
      end if;
    end loop;
    foreach place in array one.places loop files[place] := locked; end loop;
  end loop;

  -- 3. Decide, by what stands under the locked names.
  select array_agg(case
      when x.outcome <> 'granted' then null
      when x.directory is not null and x.directory <> all (standing_directories) then 'gone'
      when not exists (select from folder fo where fo.id = x.folder and fo.customer_id = x.customer and fo.publish_rule = x.rule and fo.marker = x.marker and fo.settle_ms = x.settle_ms) then 'changed'
      when x.file is null or array_position(files, x.file) < x.o then 'taken'
      when x.directory is null and exists (select from directory d where d.folder_id = x.folder and d.parent_id is null and d.name = x.name and d.removed_at is null) then 'taken'
      when exists (select from directory d where d.folder_id = x.folder and d.parent_id = x.directory and d.name = x.name and d.removed_at is null) then 'taken'
      when x.file = any (made) then 'stored'
      when exists (select from version v where v.file_id = x.file
        and (v.number > x.standing or v.state in ('partial', 'held', 'settling') or (v.state = 'published' and not x.may_replace))) then 'taken'
      else 'stored' end order by x.o)
    into puts
    from unnest(charged, p_customer, p_folder, p_directory, p_name, files, p_standing, p_may_replace, p_rule, p_marker, p_settle_ms) with ordinality
      x(outcome, customer, folder, directory, name, file, standing, may_replace, rule, marker, settle_ms, o);
  delete from file f where f.id = any (made) and not exists (select from unnest(files, puts) x(file, put) where x.file = f.id and x.put = 'stored');

  -- 4. Enter.
  moment := clock_timestamp();
  insert into content (id, customer_id, customer_key_id, wrapped_key)
    select x.content, x.customer, x.key, x.wrapped from unnest(puts, p_content, p_customer, p_customer_key, p_wrapped_key) x(put, content, customer, key, wrapped) where x.put = 'stored';
  insert into extent (content_id, index, customer_id, object_id, start, bytes, sealed_bytes, digest, inline, node)
    select x.content, 0, x.customer, x.object, 0, x.bytes, octet_length(x.inline), x.digest, x.inline, (select se.node from session se where se.id = x.session)
    from unnest(puts, p_content, p_customer, p_object, p_bytes, p_digest, p_inline, p_session) x(put, content, customer, object, bytes, digest, inline, session)
    where x.put = 'stored' and x.bytes > 0;
  insert into version (id, customer_id, file_id, number, content_id, state, extent_count, size, sha256, modified_at, account_id, session_id, node, opened_at, closed_at,
      publish_at, published_at, waits_since, closed_by_upload, receipt)
    select x.version, x.customer, x.file, (select coalesce(max(v.number), 0) + 1 from version v where v.file_id = x.file), x.content, x.state, case when x.bytes > 0 then 1 else 0 end,
      x.bytes, x.sha256, coalesce(to_timestamp(x.modified), moment), se.account_id, x.session, se.node, x.opened, x.closed,
      case when x.state = 'settling' then moment + x.settle_ms * interval '1 millisecond' end, case when x.state = 'published' then moment end,
      case when x.state = 'settling' then moment end, x.upload, x.receipt
    from unnest(puts, p_version, p_customer, files, p_content, p_state, p_bytes, p_sha256, p_modified, p_session, p_opened, p_closed, p_settle_ms, p_upload, p_receipt)
        x(put, version, customer, file, content, state, bytes, sha256, modified, session, opened, closed, settle_ms, upload, receipt)
      join session se on se.id = x.session
    where x.put = 'stored';

  -- 5. Record. Bytes that the customer sent before are told of, in a folder for deposits; of two in one batch the later one repeats the earlier one.
  select array_agg(case when x.put = 'stored' and x.bytes > 0 and exists (select from folder fo where fo.id = x.folder and fo.direction = 'deposit') then
      (select v.id from version v where v.customer_id = x.customer and v.sha256 = x.sha256 and v.id <> x.version and v.state in ('held', 'settling', 'published', 'withdrawn')
        and coalesce(array_position(p_version, v.id) < x.o, true) order by v.closed_at limit 1) end order by x.o)
    into earlier from unnest(puts, p_bytes, p_folder, p_customer, p_sha256, p_version) with ordinality x(put, bytes, folder, customer, sha256, version, o);
  with born as (
    insert into ledger_fresh as f (kind, observer, customer_id, account_id, session_id, node, plane, handle_id, version_id, bytes, public)
      select k.kind, 'warden', x.customer, se.account_id, x.session, se.node, a.plane, x.upload, x.version, k.bytes, k.says
      from unnest(puts, p_customer, p_session, p_upload, p_version, p_bytes, p_says_opened, p_says_closed, earlier) with ordinality
          x(put, customer, session, upload, version, bytes, says_opened, says_closed, earlier, o)
        join session se on se.id = x.session join account a on a.id = se.account_id
        cross join lateral (values (1, 'upload.opened', null, x.says_opened::jsonb), (2, 'upload.closed', x.bytes, x.says_closed::jsonb),
          (3, 'deposit.repeated-content', null, case when x.earlier is not null then jsonb_build_object('earlier', x.earlier) end)) k(n, kind, bytes, says)
      where x.put = 'stored' and k.says is not null order by x.o, k.n
    returning f.id, f.handle_id, row(f.id, f.at, f.kind, f.observer, f.customer_id, f.account_id, f.session_id, f.node, f.plane, f.handle_id, f.version_id, f.extent, f.bytes, f.public, f.credential,
        f.also_credential, f.source, f.source_port, f.client, f.operator, f.sensitive)::text as entry)
  select array_agg(b.entry order by b.id), array_agg(b.handle_id order by b.id) into texts, handles from born b;

  return query
    select x.o::int, x.outcome, x.budget, x.rank, x.unit, x.window_name, x.cap, x.free_at, x.after_ms, x.is_slow, x.customer, x.entry, x.put, x.earlier,
      array(select t.entry from unnest(texts, handles) with ordinality t(entry, handle, o) where t.handle = x.upload order by t.o)
    from unnest(charged, budgets, ranks, units, windows, caps, freed, waits, slows, p_customer, refusals, puts, earlier, p_upload) with ordinality
      x(outcome, budget, rank, unit, window_name, cap, free_at, after_ms, is_slow, customer, entry, put, earlier, upload, o)
    order by x.o;
end $$;
