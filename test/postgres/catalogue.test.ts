// Only what the migrations made decides in a database: everything that an owner can do to change the meaning of a
// statement is named, and what every installation may have is not.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { test } from 'tap';
import {
  catalogueDifferences,
  catalogueFile,
  readCatalogue,
  writtenCatalogue,
} from '../../server/postgres/catalogue.ts';
import { migrate } from '../../server/postgres/migrate.ts';
import { createEmptyDatabase, createTestDatabase, migrations, testPasswords } from '../support/database.ts';

test('the expected catalogue is that of a database that was just migrated', async (t) => {
  const { query } = await createTestDatabase(t);
  t.equal(
    writtenCatalogue(await readCatalogue(query as never)),
    readFileSync(join(migrations, catalogueFile), 'utf8'),
    'npm run catalogue writes it',
  );
});

/** What an owner does, and how it is named. */
const deeds: readonly (readonly [string, RegExp])[] = [
  // Functions.
  [
    'create or replace function break_seal_of_rights() returns trigger language plpgsql as $$ begin return null; end $$',
    /function public.break_seal_of_rights\(\) is another one/,
  ],
  ['create function planted() returns int language sql as $$ select 1 $$', /function public.planted\(\) is unknown/],
  [
    'create function pg_catalog.ri_cascade_guard() returns trigger language plpgsql security definer as $$ begin return null; end $$',
    /function ri_cascade_guard\(\) is unknown/,
  ],
  [
    'create schema elsewhere; create function elsewhere.more() returns int language sql as $$ select 1 $$',
    /function elsewhere.more\(\) is unknown\nschema elsewhere is unknown/,
  ],
  [
    "create or replace function pg_catalog.clock_timestamp() returns timestamptz language sql volatile parallel safe strict as $$ select timestamptz '2020-01-01' $$",
    /function clock_timestamp\(\) is unknown/,
  ],
  [
    "create or replace function pg_catalog.quote_literal(anyelement) returns text language sql stable strict as $$ select 'x' $$",
    /function quote_literal\(anyelement\) is another one/,
  ],
  ['alter function is_held(version) security definer', /function public.is_held\(public.version\) is another one/],
  ['alter function is_held(version) immutable', /function public.is_held\(public.version\) is another one/],
  [
    "alter function find_budgets(text, text, text) set cofferdam.customers = '*'",
    /function public.find_budgets\(text,text,text\) is another/,
  ],
  [
    'alter function forget_self_test_keys(text) reset search_path',
    /function public.forget_self_test_keys\(text\) is another one/,
  ],
  [
    'create or replace function is_ending(ended_at timestamptz, expires_at timestamptz, grace_ms bigint) returns boolean language sql volatile return true',
    /function public.is_ending\(.*\) is another one/,
  ],
  // The tree of a body in standard SQL.
  [
    'create or replace function is_ending(ended_at timestamptz, expires_at timestamptz, grace_ms bigint) returns boolean language sql immutable return false',
    /function public.is_ending\(.*\) is another one/,
  ],
  // Triggers and rules.
  ['drop trigger break_seal on operator', /trigger public.operator.break_seal is missing/],
  [
    'create trigger more after insert on session for each row execute function tell_ended()',
    /trigger public.session.more is unknown: CREATE TRIGGER more AFTER INSERT/,
  ],
  [
    'alter table budget disable trigger budget_guard',
    /trigger public.budget.budget_guard is another one: .* enabled D, instead of/,
  ],
  [
    "create or replace trigger version_stays before delete on version for each row when (old.state not in ('partial', 'discarded') and false) execute function version_stays()",
    /trigger public.version.version_stays is another one/,
  ],
  [
    'create trigger "RI_ConstraintTrigger_a_16999" before insert on ledger_fresh for each row execute function tell_ended(); update pg_trigger set tgisinternal = true where tgname = \'RI_ConstraintTrigger_a_16999\'',
    /trigger public.ledger_fresh."?RI_ConstraintTrigger_a_16999"? is unknown: .* hidden/,
  ],
  // As above, in the name of a foreign key of that table.
  [
    "create trigger more before insert on session for each row execute function tell_ended(); update pg_trigger set tgisinternal = true, tgconstraint = (select max(oid) from pg_constraint where conrelid = 'session'::regclass and contype = 'f') where tgname = 'more'",
    /constraint public.session..* is another one: .*tell_ended[\s\S]*trigger public.session.more is unknown/,
  ],
  [
    "do $$ begin execute format('create trigger more before insert on %I for each row execute function tell_ended()', ledger_month(clock_timestamp())); end $$",
    /trigger public.ledger_sealed_\d{6}.more is unknown/,
  ],
  [
    "update pg_class set relhastriggers = false where relname = 'ledger_fresh'",
    /table public.ledger_fresh is another one: .*triggers are out of force/,
  ],
  ['alter table session disable trigger all', /constraint public.session.* is another one: .*out of force/],
  ['create rule more as on insert to session do also notify cofferdam_command', /rule public.session.more is unknown/],
  [
    'create function more() returns event_trigger language plpgsql as $$ begin end $$; create event trigger more on ddl_command_end execute function more()',
    /event trigger more is unknown/,
  ],
  // Views and policies.
  [
    "do $$ begin execute 'create or replace view ledger_dump with (security_invoker = true) as ' || rtrim(pg_get_viewdef('ledger_dump'::regclass), '; ') || ' union all select 4, k.tree, k.position, ledger_line(row(k.*)::ledger_sealed) from ledger_kept k'; end $$",
    /view public.ledger_dump is another one/,
  ],
  ['alter view ledger reset (security_invoker)', /view public.ledger is another one/],
  [
    "alter policy scope on ledger_sealed using ((customer_id is null or in_scope(customer_id)) and current_user <> 'cofferdam_admin')",
    /policy public.ledger_sealed.scope is another one: .*cofferdam_admin/,
  ],
  [
    "create policy more on session as restrictive using (node <> 'x')",
    /policy public.session.more is unknown: restrictive/,
  ],
  ['alter table version no force row level security', /table public.version is another one/],
  ['alter table version disable row level security', /table public.version is another one/],
  // Columns.
  [
    "alter table ledger_fresh alter at set default clock_timestamp() + interval '40 days'",
    /column public.ledger_fresh.at is another one: .*default \(clock_timestamp\(\) \+ '40 days'::interval\), instead of: .*default clock_timestamp\(\)/,
  ],
  [
    'alter table alert alter logged_at set default clock_timestamp()',
    /column public.alert.logged_at is another one: .*default clock_timestamp/,
  ],
  [
    'alter table ledger_verdict alter recorded_at set default clock_timestamp()',
    /column public.ledger_verdict.recorded_at is another one/,
  ],
  [
    'alter table ledger_sealed alter sha256 drop expression',
    /column public.ledger_sealed.sha256 is another one: text number 27, instead of/,
  ],
  ['alter table ledger_state alter era drop not null', /column public.ledger_state.era is another one/],
  ['alter table session add more int', /column public.session.more is unknown: integer/],
  [
    'alter table ledger_verdict alter host type varchar(64)',
    /column public.ledger_verdict.host is another one: character varying\(64\)/,
  ],
  // Constraints and indexes.
  [
    'alter table ledger_archive_range drop constraint ledger_archive_range_check1',
    /constraint public.ledger_archive_range.ledger_archive_range_check1 is missing/,
  ],
  [
    'alter table ledger_verdict drop constraint ledger_verdict_host_check; alter table ledger_verdict add constraint ledger_verdict_host_check check (octet_length(host) <= 64) not valid',
    /constraint public.ledger_verdict.ledger_verdict_host_check is another one: .*NOT VALID/,
  ],
  [
    "update pg_class set relchecks = 0 where relname = 'ledger_verdict'",
    /table public.ledger_verdict is another one: .*checks are out of force/,
  ],
  [
    "update pg_index set indisready = false where indrelid = 'session'::regclass",
    /index public.session.* is another one: .*out of force/,
  ],
  ['create unique index more on session (node)', /index public.more is unknown: CREATE UNIQUE INDEX/],
  // Objects in the place of others.
  [
    'create function more(text, uuid) returns boolean language sql as $$ select true $$; create operator = (leftarg = text, rightarg = uuid, function = more)',
    /operator public.=\(text,uuid\) is unknown/,
  ],
  [
    'create function more(text) returns uuid language sql as $$ select null::uuid $$; create cast (text as uuid) with function more(text) as implicit',
    /cast text as uuid is unknown/,
  ],
  ["create domain more as text check (value <> 'x')", /type public.more is unknown: kind d text/],
  ["create type more as enum ('x')", /type public.more is unknown: kind e/],
  ['alter domain cap add constraint more check (value <> 7)', /type public.cap is another one/],
  [
    'create schema evil; create view evil.ledger as select 1 as x',
    /schema evil is unknown\nview evil.ledger is unknown/,
  ],
  // Other roles that write or read.
  ['create publication more for all tables', /publication more is unknown/],
  [
    "create subscription more connection 'host=x' publication more with (connect = false, slot_name = none)",
    /subscription more is unknown/,
  ],
  [
    'create role catalogue_test; alter table session owner to catalogue_test',
    /owner of public.session is catalogue_test/,
  ],
  [
    'create role catalogue_test; alter function is_held(version) owner to catalogue_test',
    /owner of public.is_held\(public.version\) is catalogue_test/,
  ],
  // Flags by which an object is passed over.
  [
    "update pg_class set relhassubclass = false where relname = 'ledger_sealed'",
    /table public.ledger_sealed is another one: .*partitions are out/,
  ],
  [
    "update pg_inherits set inhdetachpending = true where inhparent = 'ledger_sealed'::regclass",
    /child public.ledger_sealed_\d{6} of public.ledger_sealed is another one: is being detached/,
  ],
  [
    "update pg_class set relispartition = false where relname ~ '^ledger_sealed_[0-9]+$'",
    /table public.ledger_sealed_\d{6} is another one: .*says falsely whether it is a partition/,
  ],
  // Schemas of the server.
  [
    'set local allow_system_table_mods = on; create table pg_toast.more partition of ledger_sealed default',
    /child pg_toast.more of public.ledger_sealed is unknown[\s\S]*table pg_toast.more is unknown/,
  ],
  [
    "set local allow_system_table_mods = on; create table pg_toast.more partition of ledger_sealed default; update pg_class set relkind = 't' where relname = 'more'",
    /child pg_toast.more of public.ledger_sealed is unknown/,
  ],
  // Identifiers of the server.
  [
    "create function pg_catalog.in_scope(uuid) returns boolean language sql as $$ select false $$; update pg_proc set oid = 12345 where oid = 'pg_catalog.in_scope(uuid)'::regprocedure",
    /object of the server: function in_scope\(uuid\) is not as the server made it/,
  ],
  [
    "create function pg_catalog.micros(timestamptz) returns bigint language internal as 'int8inc'; update pg_proc set oid = 9998 where oid = 'pg_catalog.micros(timestamptz)'::regprocedure",
    /object of the server: function micros\(timestamp with time zone\) is not/,
  ],
  [
    "create rule more as on insert to session do instead nothing; update pg_rewrite set oid = 9000 where rulename = 'more'",
    /object of the server: rule public.session.more is not/,
  ],
  [
    'create cast (text as uuid) with inout as implicit; update pg_cast set oid = 9001 where oid = (select max(oid) from pg_cast)',
    /object of the server: cast text as uuid is not/,
  ],
  [
    'create function more(text, uuid) returns boolean language sql as $$ select true $$; create operator = (leftarg = text, rightarg = uuid, function = more); update pg_operator set oid = 9001 where oid = (select max(oid) from pg_operator)',
    /object of the server: operator .*=\(text,uuid\) is not/,
  ],
  // The server's own, changed.
  [
    "update pg_proc set prosrc = 'int8lt' where oid = 'int8larger'::regproc",
    /object of the server: function int8larger\(bigint,bigint\) is not/,
  ],
  [
    "update pg_cast set castfunc = 'int4(bigint)'::regprocedure where castsource = 'int2'::regtype and casttarget = 'int4'::regtype",
    /object of the server: cast smallint as integer is not/,
  ],
  [
    "update pg_operator set oprcode = 'network_overlap'::regproc where oid = '<<=(inet,inet)'::regoperator",
    /object of the server: operator <<=\(inet,inet\) is not/,
  ],
  [
    "update pg_amproc set amproc = 'network_overlap'::regproc where amproc = 'network_cmp'::regproc",
    /object of the server: function of an operator family network_overlap is not/,
  ],
  [
    "update pg_namespace set nspname = 'pg_temp_99' where nspname = 'information_schema'",
    /object of the server: schema pg_temp_99 is not/,
  ],
  // The very first transactions made the server: what the last of them brought, another one may have changed.
  [
    `update pg_extension set extversion = '2' where extname = 'plpgsql'; create temp table numbers (); do $$ begin
       for i in 1..1000 loop begin insert into numbers default values; exception when others then raise; end; end loop;
       begin update pg_proc set prosrc = 'int8lt' where oid = 'int8larger'::regproc; exception when others then raise; end;
     end $$`,
    /object of the server: function int8larger/,
  ],
  // Settings.
  [
    'alter role cofferdam_admin set search_path = evil, public',
    /setting of cofferdam_admin: search_path is evil, public/,
  ],
  [
    'alter role cofferdam_warden set session_replication_role = replica',
    /setting of cofferdam_warden: session_replication_role is replica/,
  ],
  ['alter role cofferdam_auditor set row_security = off', /setting of cofferdam_auditor: row_security is off/],
  [
    "do $$ begin execute format('alter database %I set session_replication_role = replica', current_database()); end $$",
    /setting of every role in this database: session_replication_role is replica/,
  ],
  ['set local session_replication_role = replica', /setting session_replication_role is replica/],
];

test('everything that an owner does to change what a statement means is named', async (t) => {
  const { query } = await createTestDatabase(t);
  const differences = async (): Promise<readonly string[]> => catalogueDifferences(query as never);
  t.same(await differences(), [], 'a migrated database');
  for (const [deed, says] of deeds) {
    await query('begin');
    try {
      await query(deed);
      t.match((await differences()).join('\n'), says, deed);
    } catch (error) {
      t.fail(`${deed}: ${String(error)}`);
    }
    await query('rollback');
  }
  t.same(await differences(), [], 'all of them were undone');
});

test('what every installation may set is no difference', async (t) => {
  const { query, wardenUrl, adminUrl } = await createTestDatabase(t);
  await query("select ledger_month('2031-12-15'), ledger_month(now() - interval '4 months')");
  t.same(await catalogueDifferences(query as never), [], 'months ahead, and the last one of a year');
  await query("select ledger_close_month(date_trunc('month', now() - interval '4 months')::date)");
  t.same(await catalogueDifferences(query as never), [], 'a closed month');
  for (const upkeep of ['analyze', 'reindex table ledger_fresh', 'vacuum']) await query(upkeep);
  t.same(await catalogueDifferences(query as never), [], 'upkeep');
  for (const url of [wardenUrl, adminUrl]) {
    const client = new pg.Client({
      connectionString: url,
      options: '-c TimeZone=Asia/Kolkata -c DateStyle=German -c search_path=public',
    });
    await client.connect();
    t.teardown(() => client.end());
    const own = async (text: string, values?: readonly unknown[]) =>
      (await client.query(text, values as unknown[])).rows;
    t.same(await catalogueDifferences(own as never), [], 'by a role of ours, whatever its settings');
    t.match(await own("select current_setting('TimeZone') as zone, current_setting('search_path') as path"), [
      { zone: 'Asia/Kolkata', path: 'public' },
    ]);
  }
  // The counterpart of a table of a month: it has the name of one, and another range of time.
  await query('begin');
  await query(
    "create table ledger_sealed_203001 partition of ledger_sealed for values from ('2030-01-01 00:00:00+00') to ('2030-03-01 00:00:00+00')",
  );
  t.match((await catalogueDifferences(query as never)).join('\n'), /table public.ledger_sealed_203001 is another one/);
  await query('rollback');
});

test('a migration refuses a database that is not what the migrations made of it', async (t) => {
  const url = await createEmptyDatabase(t);
  await migrate(url, migrations, testPasswords);
  t.same(await migrate(url, migrations, testPasswords), [], 'twin: nothing was changed');
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  t.teardown(() => client.end());
  await client.query("alter table ledger_fresh alter at set default clock_timestamp() + interval '40 days'");
  await t.rejects(migrate(url, migrations, testPasswords), {
    code: 'configuration',
    message: /column public.ledger_fresh.at is another one/,
  });
});
