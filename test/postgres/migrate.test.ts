// Migrations: once, in order, one at a time, on a server that can be relied on; and what each database role may do
// afterwards.
import { appendFileSync, cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { test } from 'tap';
import type { VersionId } from '../../server/domain/ids.ts';
import { migrate } from '../../server/postgres/migrate.ts';
import {
  createEmptyDatabase,
  createTestDatabase,
  migrations,
  temporaryDirectory,
  testPasswords,
} from '../support/database.ts';
import {
  addAccount,
  addContent,
  addCustomer,
  addCustomerKey,
  addFile,
  addFolder,
  addVersion,
} from '../support/rows.ts';

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
  await client.query("set cofferdam.customers = '*'");
  const customer = await addCustomer(client, { name: 'acme' });
  await addCustomerKey(client, { customer });
  const account = await addAccount(client, { customer });
  const here = await addFolder(client, { customer });
  const there = await addFolder(client, { customer, direction: 'collect' });
  const one = await addFile(client, { customer, folder: here, name: 'x' });
  const two = await addFile(client, { customer, folder: there, name: 'x' });
  const content = await addContent(client, { customer });
  const young = await addVersion(client, { customer, file: one, content, state: 'published', account });
  const folderOf = async (id: VersionId): Promise<unknown> =>
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
    'no seed and no content for the database role of the admin process',
  );
  t.equal(await may('warden', 'version', 'UPDATE'), true);
  t.equal(await may('admin', 'version', 'SELECT'), true);
  const forced = await database.query<{ name: string }>(
    "select c.relname as name from pg_class c where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace and exists (select 1 from pg_attribute a where a.attrelid = c.oid and a.attname = 'customer_id' and not a.attisdropped) and not (c.relrowsecurity and c.relforcerowsecurity)",
  );
  t.same(forced, [], 'every table with a customer has forced row security');
});
