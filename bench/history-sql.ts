// Owns: the SQL that makes a history for `npm run bench:scope`: the catalogue, sessions with what they did, and one
// theft. Ids are hashes of numbers, so that entries and catalogue agree without looking each other up. Salts and leaves
// are filler, because nothing is verified here.

/**
 * Of every twenty sessions, the first 12 are deposits of partners, the next ones up to number 17 are collections by
 * partners, and the rest are pick-ups by our own accounts.
 */
const deposits = 12;
const collects = 17;

export const functions = `
create function uid(text) returns uuid language sql immutable parallel safe as $$ select md5($1)::uuid $$;
create function customer_of(i bigint) returns int language sql immutable parallel safe as $$ select (i * 7919 % 200)::int $$;
create function name_of(i bigint, j int) returns text language sql immutable parallel safe as $$ select 'pain.001-' || i || '-' || j || '.xml' $$;
create function hash_of(text) returns text language sql immutable parallel safe as $$ select encode(sha256($1::bytea), 'hex') $$;
create function size_of(i bigint, j int) returns bigint language sql immutable parallel safe as $$ select 2000 + (i * 31 + j * 977) % 60000 $$;
create function print_of(text) returns text language sql immutable parallel safe as $$ select 'SHA256:' || substr(translate(encode(sha256($1::bytea), 'base64'), '=', ''), 1, 43) $$;
create function began(i bigint, sessions bigint, start timestamptz, span interval) returns timestamptz language sql immutable parallel safe as $$ select start + span * (i::float8 / sessions) $$;
`;

/**
 * Makes 200 customers with two folders and eleven accounts each, forty accounts of our own that reach all customers,
 * and operators.
 */
export const catalogue = `
insert into node (name, plane) values ('partner-1', 'partner'), ('partner-2', 'partner'), ('internal-1', 'internal'), ('internal-2', 'internal');
insert into customer (id, name) select uid('customer' || c), 'bank-' || c from generate_series(0, 199) c;
insert into folder (id, customer_id, name, direction, window_days, retention_days)
  select uid('folder-' || d || c), uid('customer' || c), d, d, case d when 'collect' then 30 end, 90 from generate_series(0, 199) c, unnest(array['deposit', 'collect']) d;
insert into account (id, customer_id, name, kind, plane)
  select uid('account' || c || '-' || a), uid('customer' || c), 'bank-' || c || '-' || a, case a when 0 then 'person' else 'machine' end, 'partner' from generate_series(0, 199) c, generate_series(0, 10) a;
insert into account (id, customer_id, name, kind, plane) select uid('own' || a), null, 'own-' || a, 'machine', 'internal' from generate_series(0, 39) a;
insert into folder_right select a.id, f.customer_id, f.id, case f.direction when 'deposit' then '{list,write}'::text[] else '{list,read}'::text[] end from account a join folder f on f.customer_id = a.customer_id;
insert into folder_right select a.id, f.customer_id, f.id, '{list,read}' from account a cross join folder f where a.customer_id is null and f.direction = 'deposit';
insert into operator (id, name, role) select uid('operator-' || n), n, 'operator' from unnest(array['alice', 'bob', 'carol']) n;
`;

/**
 * Makes the files of the deposit sessions `$1` to `$2`, five for each session. Old files are withdrawn. `$3` is
 * the number of all sessions, `$4` the beginning and `$5` the length of the history.
 */
export const depositFiles = `
with s as (select i, began(i, $3, $4, $5) as at, customer_of(i) as c from generate_series($1::bigint, $2::bigint) i where i % 20 < ${deposits}),
  made as (insert into file (id, customer_id, folder_id, name)
    select uid('file' || i || '-' || j), uid('customer' || c), uid('folder-deposit' || c), name_of(i, j) from s, generate_series(0, 4) j)
insert into version (id, customer_id, folder_id, file_id, number, content_id, state, extent_count, size, sha256, account_id, session_id, node, opened_at, closed_at, published_at, withdrawn_at, receipt)
  select uid('version' || i || '-' || j), uid('customer' || c), uid('folder-deposit' || c), uid('file' || i || '-' || j), 1, uid('content' || i || '-' || j),
    case when at < now() - interval '90 days' then 'destroyed' when at < now() - interval '30 days' then 'withdrawn' else 'published' end, 1, size_of(i, j), sha256((i || '-' || j)::bytea),
    uid('account' || c || '-' || (i / 20 % 11)), uid('session' || i), 'partner-1', at, at + interval '2 minutes', at + interval '3 minutes',
    case when at < now() - interval '30 days' then at + interval '30 days' end, repeat('receipt ', 50)
  from s, generate_series(0, 4) j`;

/**
 * Makes the statements for customers to collect, ten a day for each. `$1` is the first day, `$2` the last one, `$3` the
 * beginning of the history.
 */
export const collectFiles = `
with d as (select c, day, k, $3::timestamptz + day * interval '1 day' as at from generate_series(0, 199) c, generate_series($1::int, $2::int) day, generate_series(0, 9) k),
  made as (insert into file (id, customer_id, folder_id, name) select uid('cfile' || c || '-' || day || '-' || k), uid('customer' || c), uid('folder-collect' || c), 'camt.053-' || day || '-' || k || '.xml' from d)
insert into version (id, customer_id, folder_id, file_id, number, content_id, state, extent_count, size, sha256, account_id, session_id, node, opened_at, closed_at, published_at, withdrawn_at, receipt)
  select uid('cversion' || c || '-' || day || '-' || k), uid('customer' || c), uid('folder-collect' || c), uid('cfile' || c || '-' || day || '-' || k), 1, uid('ccontent' || c || '-' || day || '-' || k),
    case when at < now() - interval '90 days' then 'destroyed' when at < now() - interval '30 days' then 'withdrawn' else 'published' end, 1, 30000 + k, sha256((c || '-' || day || '-' || k)::bytea),
    uid('own0'), uid('none'), 'internal-1', at, at, at, case when at < now() - interval '30 days' then at + interval '30 days' end, repeat('receipt ', 50) from d`;

/** Makes the large files that the thief took: 400 files of 64 extents. */
export const largeFiles = `
with b as (select k, k % 200 as c from generate_series(0, 399) k),
  made as (insert into file (id, customer_id, folder_id, name) select uid('bfile' || k), uid('customer' || c), uid('folder-deposit' || c), 'archive-' || k || '.tar' from b)
insert into version (id, customer_id, folder_id, file_id, number, content_id, state, extent_count, size, sha256, account_id, session_id, node, opened_at, closed_at, published_at)
  select uid('bversion' || k), uid('customer' || c), uid('folder-deposit' || c), uid('bfile' || k), 1, uid('bcontent' || k), 'published', 64, 64::bigint * 16777216, sha256(('big' || k)::bytea), uid('account' || c || '-1'), uid('none'), 'partner-1', $1, $1, $1 from b`;

const columns =
  'at, kind, observer, customer_id, account_id, session_id, node, plane, handle_id, version_id, extent, bytes, public, credential, source, source_port, client, operator, sensitive';

/**
 * Makes the entries of a run of sessions in the order of time. `$1` and `$2` are the first and the last session, `$3`
 * is the number of all sessions, `$4` the beginning and `$5` the length of the history; numbers begin after `$6`. A
 * deposit session has five files, a collection six statements, and a pick-up `$7` files that others deposited. Beside
 * them there are refused logins, logins without an account, and actions of operators.
 */
export const entries = `
with s as materialized (
  select i, i % 20 as k, began(i, $3, $4, $5) as at, case when i % 20 < ${collects} then customer_of(i) end as c,
    case when i % 20 < ${collects} then uid('account' || customer_of(i) || '-' || (i / 20 % 11)) else uid('own' || (i / 20 % 40)) end as account,
    case when i % 20 < ${collects} then 'partner-' || (1 + i % 2) else 'internal-' || (1 + i / 20 % 2) end as node,
    case when i % 20 < ${collects} then 'partner' else 'internal' end as plane, uid('session' || i) as session,
    case when i % 20 < ${collects} then print_of('key' || customer_of(i) || '-' || (i / 20 % 11)) else print_of('own' || (i / 20 % 40)) end as print,
    case when i % 20 < ${collects} then ('198.' || 18 + customer_of(i) % 2 || '.' || customer_of(i) || '.' || 1 + i / 20 % 11)::inet else ('10.0.0.' || 1 + i / 20 % 40)::inet end as source,
    (array['SSH-2.0-OpenSSH_9.6', 'SSH-2.0-OpenSSH_8.4p1 Debian-5', 'SSH-2.0-JSCH-0.1.54', 'SSH-2.0-paramiko_3.4.0', 'SSH-2.0-PuTTY_Release_0.78'])[1 + i / 20 % 5] as client
  from generate_series($1::bigint, $2::bigint) i),
down as materialized (
  select s.*, p.j, p.fc, p.version, p.path, p.size, p.hash, at + p.j * interval '4 seconds' as moment, uid('handle' || s.i || '-' || p.j) as handle
  from s cross join lateral (
    select j, customer_of(o.i) as fc, uid('version' || o.i || '-' || j % 5) as version, '/' || name_of(o.i, j % 5) as path, size_of(o.i, j % 5) as size, hash_of(o.i || '-' || j % 5) as hash
      from generate_series(1, $7::int) j cross join lateral (select greatest(0, (s.i - 20 - (s.i * 37 + j * 101) % 4000) / 20) * 20 + j % ${deposits} as i) o where s.k >= ${collects}
    union all
    select j, s.c, uid('cversion' || s.c || '-' || d.day || '-' || j), '/camt.053-' || d.day || '-' || j || '.xml', 30000 + j, hash_of(s.c || '-' || d.day || '-' || j)
      from generate_series(0, 5) j cross join lateral (select floor(extract(epoch from s.at - $4::timestamptz) / 86400)::int as day) d where s.k >= ${deposits} and s.k < ${collects}) p),
up as materialized (
  select s.*, j, at + j * interval '8 seconds' as moment, uid('upload' || i || '-' || j) as handle, uid('version' || i || '-' || j) as version from s cross join generate_series(0, 4) j where k < ${deposits}),
e(${columns}) as (
  select at, 'session.opened', 'warden', case when c is not null then uid('customer' || c) end, account, session, node, plane, null::uuid, null::uuid, null::int, null::bigint,
    '{"proofs": ["public-key", "totp"], "purpose": "transfer", "readOnly": false, "keyExchange": "mlkem768x25519-sha256", "hostKey": "ssh-ed25519", "cipherIn": "aes128-gcm@openssh.com", "cipherOut": "aes128-gcm@openssh.com", "macIn": "", "macOut": ""}'::jsonb,
    print, source, 40000 + (i % 20000)::int, client, null::text, '{"window": null}'::jsonb from s
  union all
  select at + interval '6 minutes', 'session.ended', 'warden', case when c is not null then uid('customer' || c) end, account, session, node, plane, null, null, null, null,
    jsonb_build_object('reason', case when i % 997 = 0 then 'lost' else 'closed by the client' end, 'bytesIn', 100000, 'bytesOut', 200000), null, null, null, null, null, '{}' from s
  union all
  select at + n * interval '3 seconds', 'folder.listed', 'warden', uid('customer' || coalesce(c, customer_of(i + n))), account, session, node, plane, null, null, null, null,
    jsonb_build_object('folder', case when k < ${deposits} or k >= ${collects} then 'deposit' else 'collect' end, 'path', '/', 'names', 10 + n, 'after', null), null, null, null, null, null, '{}'
    from s cross join generate_series(1, case when k < ${deposits} then 1 when k < ${collects} then 3 else 6 end) n
  union all
  select moment, 'upload.opened', 'warden', uid('customer' || c), account, session, node, plane, handle, version, null, null, jsonb_build_object('folder', 'deposit', 'path', '/' || name_of(i, j), 'storedBytes', 0), null, null, null, null, null, '{}' from up
  union all
  select moment + interval '5 seconds', 'upload.closed', 'warden', uid('customer' || c), account, session, node, plane, handle, version, null, size_of(i, j),
    jsonb_build_object('folder', 'deposit', 'path', '/' || name_of(i, j), 'sha256', hash_of(i || '-' || j), 'extents', hash_of('x' || i), 'extentCount', 1, 'hashedBy', node, 'state', 'settling'), null, null, null, null, null, '{}' from up
  union all
  select moment, 'download.opened', 'warden', uid('customer' || fc), account, session, node, plane, handle, version, null, size, jsonb_build_object('folder', case when k >= ${collects} then 'deposit' else 'collect' end, 'path', path, 'sha256', hash, 'extentCount', 1), null, null, null, null, null, '{}' from down
  union all
  select moment + interval '1 second', 'extent.granted', 'warden', uid('customer' || fc), account, session, node, plane, handle, version, 0, size, '{}', null, null, null, null, null, '{}' from down
  union all
  select moment + interval '2 seconds', 'download.closed', 'edge', uid('customer' || fc), account, session, node, plane, handle, version, null, size, '{"by": "client"}', null, null, null, null, null, '{}' from down where i % 997 <> 0
  union all
  select at + interval '11 seconds', 'login.refused', 'warden', case when c is not null then uid('customer' || c) end, account, null, node, plane, null, null, null, null, '{"evidence": "code", "proofs": ["public-key"], "examined": true}', print, source, 40001, client, null, '{}' from s where i % 25 = 0
  union all
  select at + interval '12 seconds', 'login.strangers', 'warden', null, null, null, node, null, null, null, null, null, jsonb_build_object('attempts', 12, 'minute', at), null, ('203.0.' || i % 256 || '.' || i / 256 % 256)::inet, 0, 'SSH-2.0-Go', null, '{}' from s where i % 30 = 0
  union all
  select at + n * interval '1 second', case n when 1 then 'operator.asked' when 2 then 'account.unlocked' else 'operator.answered' end, case n when 2 then 'warden' else 'admin' end, null, case n when 2 then account end, null, null, null, null, null, null, null, '{}', null, null, null, null,
    (array['alice', 'bob', 'carol', 'alice bob'])[1 + i / 50 % 4], '{"role": "operator", "reason": "they called", "operation": "account.unlock"}' from s cross join generate_series(1, 3) n where i % 50 = 0
)
insert into ledger_sealed (number, tree, position, salt, leaf, id, ${columns})
  select $6::bigint + row_number() over (order by at), coalesce(customer_id, '00000000-0000-0000-0000-000000000000'), $6::bigint + row_number() over (order by at), sha256('s'), sha256('l'), $6::bigint + row_number() over (order by at), ${columns}
  from (select * from e union all select ${columns} from staged where at >= began($1, $3, $4, $5) and at < began($2::bigint + 1, $3, $4, $5)) a order by at`;

/** Makes the table in which entries of the theft wait until the sessions of their time are made. */
export const staging = `create unlogged table staged as select ${columns} from ledger_sealed where false; create index on staged (at)`;

/**
 * Makes the entries of the theft: one week, one key of our own account own-7 from another network, `files` files that
 * were deposited in the weeks before, and `large` large files. `$1` is the beginning of the theft, `$2` the number of
 * deposit sessions before it.
 */
export const theft = (files: string, large: string): string => `
with s as materialized (select n, uid('theft' || n) as session, $1::timestamptz + n * interval '2 hours' as at from generate_series(0, 83) n),
small as (
  select n, session, at + (j % 1200) * interval '5 seconds' as moment, uid('thandle' || j) as handle, customer_of(i) as c, uid('version' || i || '-' || j % 5) as version, '/' || name_of(i, j % 5) as path, size_of(i, j % 5) as size, hash_of(i || '-' || j % 5) as hash
  from generate_series(0, ${files} - 1) j join s on s.n = j % 84 cross join lateral (select ($2::bigint - j / 5) / ${deposits} * 20 + ($2::bigint - j / 5) % ${deposits} as i) o),
big as (
  select n, session, at + (k % 60) * interval '2 minutes' as moment, uid('tbhandle' || k) as handle, k % 200 as c, uid('bversion' || k) as version, '/archive-' || k || '.tar' as path, 64::bigint * 16777216 as size, hash_of('big' || k) as hash
  from generate_series(0, ${large} - 1) k join s on s.n = k % 84),
e(${columns}) as (
  select at, 'session.opened', 'warden', null::uuid, uid('own7'), session, 'internal-1', 'internal', null::uuid, null::uuid, null::int, null::bigint, '{"proofs": ["public-key", "activation-window"], "purpose": "transfer"}'::jsonb, print_of('own7'), '192.0.2.66'::inet, 50000, 'SSH-2.0-rclone/v1.65', null::text, '{"window": null}'::jsonb from s
  union all select at + interval '119 minutes', 'session.ended', 'warden', null, uid('own7'), session, 'internal-1', 'internal', null, null, null, null, '{"reason": "closed by the client"}', null, null, null, null, null, '{}' from s
  union all select moment, 'download.opened', 'warden', uid('customer' || c), uid('own7'), session, 'internal-1', 'internal', handle, version, null, size, jsonb_build_object('folder', 'deposit', 'path', path, 'sha256', hash, 'extentCount', case when size > 1e9 then 64 else 1 end), null, null, null, null, null, '{}' from (select * from small union all select * from big) d
  union all select moment + interval '1 second', 'extent.granted', 'warden', uid('customer' || c), uid('own7'), session, 'internal-1', 'internal', handle, version, 0, size, '{}', null, null, null, null, null, '{}' from small
  union all select moment + x * interval '1 second', 'extent.granted', 'warden', uid('customer' || c), uid('own7'), session, 'internal-1', 'internal', handle, version, x, 16777216, '{}', null, null, null, null, null, '{}' from big, generate_series(0, 63) x
  union all select moment + interval '70 seconds', 'download.closed', 'edge', uid('customer' || c), uid('own7'), session, 'internal-1', 'internal', handle, version, null, size, '{"by": "client"}', null, null, null, null, null, '{}' from (select * from small union all select * from big) d
)
insert into staged (${columns}) select ${columns} from e`;
