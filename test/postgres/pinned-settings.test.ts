// What a name means to our connections, and that triggers and policies apply to them, is decided by no setting of a
// role or of a database.
import { test } from 'tap';
import { Database } from '../../server/postgres/database.ts';
import { withCredentials } from '../../server/postgres/role-url.ts';
import { createTestDatabase, type TestDatabase, testPasswords } from '../support/database.ts';
import { addCustomer } from '../support/rows.ts';

/** For this database only, because roles belong to the whole server. */
const alter = (sql: TestDatabase, what: 'database' | 'admin', setting: string): Promise<unknown> =>
  sql.query(
    `do $$ begin execute format('alter ${what === 'admin' ? 'role cofferdam_admin in database %I' : 'database %I'} ${setting}', current_database()); end $$`,
  );

test('a schema of somebody else is not searched before ours, whatever role and database have set', async (t) => {
  const sql = await createTestDatabase(t);
  await sql.query("set cofferdam.customers = '*'");
  await addCustomer(sql, { name: 'acme' });
  await sql.query(`create schema evil; create view evil.customer as select gen_random_uuid() as id, 'nobody' as name;
    create function evil.clock_timestamp() returns timestamptz language sql as $$ select timestamptz '2020-01-01' $$;
    grant usage on schema evil to public; grant select on evil.customer to public`);
  await alter(sql, 'admin', 'set search_path = evil, pg_catalog, public');
  await alter(sql, 'database', 'set search_path = evil, pg_catalog, public');
  await alter(sql, 'admin', 'set row_security = off');
  const admin = new Database({ url: sql.adminUrl, applicationName: 'test', connectionsMax: 2 });
  t.teardown(() => admin.close());
  const text = 'select name, clock_timestamp() > now() - interval \'1 day\' as "isNow" from customer';
  const real = [{ name: 'acme', isNow: true }];
  t.same(await admin.withSystem((tx) => tx.query(text)), real, 'in a transaction');
  const options = { timeoutMs: 60_000, workMemory: '256MB', signal: new AbortController().signal } as const;
  t.same(await admin.withSnapshot(options, (snapshot) => snapshot.query(text)), real, 'in a long look');
  t.same(await admin.call(text, []), [], 'in a call, which has no scope and so sees no row: policies hold');
});

test('a connection whose triggers do not fire is not used', async (t) => {
  const sql = await createTestDatabase(t);
  const told: unknown[] = [];
  const onUnreachable = (cause: unknown): void => void told.push(cause);
  await alter(sql, 'database', 'set session_replication_role = replica');
  const one = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 1, onUnreachable });
  t.teardown(() => one.close());
  const refused = { code: 'unavailable', message: /session_replication_role is replica/ };
  await t.rejects(
    one.withSystem((tx) => tx.query('select 1')),
    refused,
  );
  await t.rejects(one.call('select 1', []), refused, 'again and again');
  t.match(told, [refused], 'said once');
  await alter(sql, 'database', 'reset session_replication_role');
  t.same(await one.call('select 1 as one', []), [{ one: 1 }], 'twin: they fire');
  const odd = new Database({
    url: `${sql.wardenUrl}${sql.wardenUrl.includes('?') ? '&' : '?'}options=-csearch_path%3Devil`,
    applicationName: 'test',
    connectionsMax: 1,
  });
  t.teardown(() => odd.close());
  await t.rejects(
    odd.call('select 1', []),
    { code: 'unavailable', message: /search_path is evil/ },
    'settings of an address take the place of ours',
  );
  const owner = new Database({
    url: withCredentials(sql.migrateUrl, 'cofferdam_auditor', testPasswords.auditor),
    applicationName: 'test',
    connectionsMax: 1,
  });
  t.teardown(() => owner.close());
  t.same(await owner.call('select 1 as one', []), [{ one: 1 }]);
});
