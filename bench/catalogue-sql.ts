// Owns: the SQL that fills the catalogue for `npm run bench:catalogue`: files of every state beside those that are
// published, and what stands beside them (sessions, holds, charges). Nothing of it is due. It is loaded by the owner of
// the database without triggers, so each row is as the warden would have left it; but its ids are in order, so that
// loading them takes minutes.

/** What was made before: its customers with keys, accounts and folders, in an order that a number can choose from. */
export const functions = `
create schema bench;
create function bench.uid(text) returns uuid language sql immutable parallel safe as
  $$ select overlay(overlay(md5($1) placing '4' from 13) placing '8' from 17)::uuid $$;
create function bench.uid(kind text, i bigint) returns uuid language sql immutable parallel safe as
  $$ select (lpad(to_hex(i), 8, '0') || substr(bench.uid(kind)::text, 9))::uuid $$;
create table bench.place as
  select (row_number() over (order by c.name, f.name) - 1)::int as n, f.id as folder, c.id as customer, k.id as key, a.account, a.credential,
    coalesce(f.window_days, 1000) as window_days, coalesce(f.retention_days, 4000) as retention_days, coalesce(f.reads_max, 0) as reads_max
  from customer c join folder f on f.customer_id = c.id
    cross join lateral (select id from customer_key k where k.customer_id = c.id order by created_at desc limit 1) k
    cross join (select a.id as account, d.id as credential from account a join credential d on d.account_id = a.id where a.name = 'acme' limit 1) a
  where not c.is_self_test;
create unique index on bench.place (n);
insert into directory (id, customer_id, folder_id, name)
  select bench.uid('d' || p.n || '-' || d), p.customer, p.folder, 'run-' || d from bench.place p, generate_series(0, 49) d;
`;

/**
 * What one file is made of. `$1` and `$2` are the first and last number of a part. Of ten files, one has a version
 * before the published one, whose time is not over; one was destroyed beside it; one has an object of its own in the
 * store, and the others stand in their rows.
 */
const part = `
with one as materialized (
  select i, p.*, bench.uid('f', i) as file, bench.uid('d' || p.n || '-' || i / 97 % 50) as directory, now() - least(p.window_days * 0.9, 1000) * ((i * 7919) % 1000003) / 1000003 * interval '1 day' as published
  from generate_series($1::bigint, $2::bigint) i join bench.place p on p.n = (i * 31 + i / 1000) % (select count(*) from bench.place)
)`;
const versionColumns =
  'id, customer_id, file_id, number, content_id, state, extent_count, size, sha256, modified_at, account_id, session_id, node, opened_at, closed_at, published_at, receipt, withdrawn_at, withdrawn_why, complete_reads, folder_id';
/** A version and its content, as a query over rows of `one` with further columns. */
const versionOf = (kind: string, number: number, state: string, isKept: boolean, extents: number, gone: string) => `
  select bench.uid('v${kind}', i), customer, file, ${number}, bench.uid('c${kind}', i), '${state}', ${extents}, 4000 + i % 60000, sha256(('s${kind}' || i)::bytea), published, account, bench.uid('s', i / 10),
    'partner-1', published - interval '1 second', published, published, ${isKept ? "repeat('r', 200)" : 'null'}, ${gone}, ${gone === 'null' ? 'null' : "'window'"}, case when reads_max > 1 then i % reads_max else 0 end, folder from one`;
const contentOf = (kind: string, isDestroyed: boolean) => `
  select bench.uid('c${kind}', i), customer, key, ${isDestroyed ? "''::bytea" : "decode(repeat('00', 60), 'hex')"}, published, ${isDestroyed ? 'now()' : 'null::timestamptz'} from one`;
const every = (n: number, k: number): string => ` where i % ${n} = ${k}`;

export const files: readonly string[] = [
  `${part} insert into file (id, customer_id, folder_id, directory_id, name, created_at) select file, customer, folder, directory, 'pain.001-' || i || '.xml', published from one`,
  `${part} insert into content (id, customer_id, customer_key_id, wrapped_key, created_at, destroyed_at)
     ${contentOf('p', false)} union all ${contentOf('w', false)}${every(10, 1)} union all ${contentOf('x', true)}${every(10, 2)}`,
  `${part} insert into extent (content_id, index, customer_id, object_id, start, bytes, sealed_bytes, digest, inline, node, created_at)
     select bench.uid('cp', i), 0, customer, md5('o' || i), 0, 4000, 4016, sha256(('e' || i)::bytea), case when i % 10 <> 3 then decode(repeat('00', 64), 'hex') end, 'partner-1', published from one`,
  `${part} insert into version (${versionColumns}) ${versionOf('p', 3, 'published', true, 1, 'null')}
     union all ${versionOf('w', 2, 'withdrawn', true, 0, 'published')}${every(10, 1)}
     union all ${versionOf('x', 1, 'destroyed', true, 0, 'published')}${every(10, 2)}`,
];

/** The objects of a part: their names, two hexadecimal digits of which are their directory. */
export const objects = "select md5('o' || i) as name from generate_series($1::bigint, $2::bigint) i where i % 10 = 3";

/** `$1` is the number of files. */
export const beside: readonly string[] = [
  // Files beyond their retention, which a hold on their folder, on their customer, or on them keeps.
  `insert into legal_hold (customer_id, folder_id, reason, placed_by) select customer, case when n % 2 = 0 then folder end, 'a court asks', 'alice' from bench.place where n in (2, 3)`,
  `update version v set published_at = now() - interval '20 years' from bench.place p where p.n in (2, 3) and v.folder_id = p.folder and v.state = 'withdrawn'`,
  `insert into legal_hold (customer_id, version_id, reason, placed_by) select v.customer_id, v.id, 'a court asks', 'alice'
     from bench.place p cross join lateral (select v.* from version v where v.folder_id = p.folder and v.state = 'withdrawn' limit 20) v where p.n not in (2, 3)`,
  `update version v set published_at = now() - interval '20 years' from legal_hold h where h.version_id = v.id`,
  // Sessions of a year, one for ten files.
  `insert into session (id, token_hash, account_id, credential_id, node, start_id, state, started_at, expires_at, idle_ms, last_seen_at, ended_at, ended_epoch, end_reason, end_kind)
     select bench.uid('s', i), sha256(('t' || i)::bytea), account, credential, case when i % 3 = 0 then 'internal-1' else 'partner-1' end, bench.uid('run'), 'ended', at, at + interval '12 hours', 900000,
       at + interval '1 minute', at + interval '1 minute', nextval('revocation_epoch'), 'client-closed', 'client-closed'
     from (select i, p.account, p.credential, now() - interval '1 hour' - ($1::bigint / 10 - i) * (interval '365 days' / greatest(1, $1::bigint / 10)) as at from generate_series(0, $1::bigint / 10) i join bench.place p on p.n = 0) one`,
  `insert into charged_item (credential_id, item, charged_at) select p.credential, bench.uid('i', i), now() - interval '1 hour' - (i % 57600) * interval '1 second' from generate_series(1, $1::bigint / 20) i join bench.place p on p.n = 0`,
];
