import { randomUUID } from 'node:crypto';
import { appendFileSync, cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { test } from 'tap';
import { migrate } from '../../server/postgres/migrate.ts';
import {
  createEmptyDatabase,
  createTestDatabase,
  migrations,
  temporaryDirectory,
  testPasswords,
} from '../support/database.ts';

test('migrations apply once, in order, and are never changed afterwards', async (t) => {
  const url = await createEmptyDatabase(t);
  const directory = join(temporaryDirectory(t), 'm');
  cpSync(migrations, directory, { recursive: true });
  const names = await migrate(url, directory, testPasswords);
  t.ok(names.length >= 2 && names[0] === '0001_accounts.sql');
  t.same(await migrate(url, directory, testPasswords), [], 'a second time nothing');
  writeFileSync(join(directory, '9000_broken.sql'), 'create table half (id int); select nonsense;');
  await t.rejects(migrate(url, directory, testPasswords), /9000_broken\.sql failed/);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  t.equal(
    (await client.query("select to_regclass('half') as x")).rows[0].x,
    null,
    'a failed one leaves nothing behind',
  );
  await client.end();
  writeFileSync(join(directory, '9000_broken.sql'), 'select 1');
  await migrate(url, directory, testPasswords);
  appendFileSync(join(directory, '9000_broken.sql'), '-- changed');
  await t.rejects(migrate(url, directory, testPasswords), /changed after it was applied/);
  await t.rejects(migrate(url, migrations, testPasswords), /newer/, 'an older version refuses a newer database');
});

test('a version is in the folder of its file', async (t) => {
  const url = await createEmptyDatabase(t);
  await migrate(url, migrations, testPasswords);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  t.teardown(() => client.end());
  const [customer, key, account, ...ids] = Array.from({ length: 8 }, () => randomUUID());
  const [here, there, one, two, young] = ids;
  await client.query("set cofferdam.customers = '*'");
  await client.query("insert into customer (id, name) values ($1, 'acme')", [customer]);
  await client.query("insert into customer_key values ($1, $2, '', 'k')", [key, customer]);
  await client.query(
    "insert into account (id, customer_id, name, kind, plane) values ($1, $2, 'acme', 'person', 'partner')",
    [account, customer],
  );
  for (const [folder, name, file] of [
    [here, 'deposit', one],
    [there, 'collect', two],
  ]) {
    await client.query('insert into folder (id, customer_id, name, direction) values ($1, $2, $3, $3)', [
      folder,
      customer,
      name,
    ]);
    await client.query("insert into file (id, customer_id, folder_id, name) values ($1, $2, $3, 'x')", [
      file,
      customer,
      folder,
    ]);
  }
  const insert = async (id: string | undefined): Promise<void> => {
    await client.query("insert into content values ($1, $2, $3, 'w')", [id, customer, key]);
    await client.query(
      `insert into version (id, customer_id, file_id, number, content_id, state, account_id, session_id, node, sha256, closed_at, published_at)
       values ($1, $2, $3, (select count(*) + 1 from version), $1, 'published', $4, gen_random_uuid(), 'n', sha256('x'), now(), now())`,
      [id, customer, one, account],
    );
  };
  await insert(young);
  const folderOf = async (id: string | undefined): Promise<unknown> =>
    (await client.query('select folder_id from version where id = $1', [id])).rows[0]?.folder_id;
  t.equal(await folderOf(young), here);
  await client.query('update version set folder_id = $2 where id = $1', [young, there]);
  t.equal(await folderOf(young), here, 'whatever somebody says');
  await client.query('update version set file_id = $2 where id = $1', [young, two]);
  t.equal(await folderOf(young), there, 'it goes with its file');
  await t.rejects(
    client.query('update file set folder_id = $2 where id = $1', [one, there]),
    /a file stays in its folder/,
  );
  await client.query("update file set name = 'y' where id = $1", [one]);
});

test('two migrations at once both succeed', async (t) => {
  const url = await createEmptyDatabase(t);
  const both = await Promise.all([migrate(url, migrations, testPasswords), migrate(url, migrations, testPasswords)]);
  t.equal(both.flat().length, new Set(both.flat()).size, 'each file once');
});

test('no server, or a server that could lose a commit, is refused', async (t) => {
  await t.rejects(migrate('postgresql://nobody:x@127.0.0.1:1/x', migrations, testPasswords), {
    code: 'configuration',
    message: /cannot be reached/,
  });
  const url = await createEmptyDatabase(t);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(
    `alter database ${client.escapeIdentifier(new URL(url.replace('@/', '@x/')).pathname.slice(1))} set default_transaction_isolation = 'serializable'`,
  );
  await client.query(
    `alter database ${client.escapeIdentifier(new URL(url.replace('@/', '@x/')).pathname.slice(1))} set synchronous_commit = off`,
  );
  await client.end();
  await t.rejects(migrate(url, migrations, testPasswords), {
    code: 'configuration',
    message: /synchronous_commit must be on; default_transaction_isolation/,
  });
});

test('the grant matrix: what each role may do, and may not', async (t) => {
  const database = await createTestDatabase(t);
  const may = async (role: string, table: string, privilege: string): Promise<boolean> =>
    (
      await database.query<{ may: boolean }>('select has_table_privilege($1, $2, $3) as may', [
        `cofferdam_${role}`,
        table,
        privilege,
      ])
    )[0]?.may ?? false;
  const tables = (
    await database.query<{ name: string }>(
      "select relname as name from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace",
    )
  ).map((row) => row.name);
  t.ok(tables.length > 20);
  for (const table of tables) {
    for (const privilege of ['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) {
      t.equal(await may('auditor', table, privilege), false, `auditor ${privilege} ${table}`);
      t.equal(await may('admin', table, privilege), false, `admin ${privilege} ${table}: columns at most`);
    }
    t.equal(await may('warden', table, 'TRUNCATE'), false, `warden TRUNCATE ${table}`);
  }
  for (const table of ['ledger_sealed', 'ledger_head', 'ledger_block', 'command'])
    for (const privilege of ['UPDATE', 'DELETE'])
      t.equal(await may('warden', table, privilege), false, `warden ${privilege} ${table}`);
  for (const table of ['customer_key', 'content', 'mfa_ticket', 'totp_step', 'pending_extent'])
    t.equal(await may('admin', table, 'SELECT'), false, `admin SELECT ${table}`);
  const columns = await database.query<{ may: boolean }>(
    "select has_column_privilege('cofferdam_admin', 'second_factor', 'sealed_seed', 'SELECT') as may union all select has_column_privilege('cofferdam_admin', 'extent', 'inline', 'SELECT')",
  );
  t.same(
    columns.map((row) => row.may),
    [false, false],
    'no seed and no content for the admin role',
  );
  t.equal(await may('warden', 'version', 'UPDATE'), true);
  t.equal(await may('admin', 'version', 'SELECT'), true);
  const forced = await database.query<{ name: string }>(
    "select c.relname as name from pg_class c where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace and exists (select 1 from pg_attribute a where a.attrelid = c.oid and a.attname = 'customer_id' and not a.attisdropped) and not (c.relrowsecurity and c.relforcerowsecurity)",
  );
  t.same(forced, [], 'every table with a customer has forced row security');
});
