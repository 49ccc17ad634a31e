import pg from 'pg';
import { test } from 'tap';
import { Database } from '../../server/postgres/database.ts';
import { assertSafeSettings } from '../../server/postgres/migrate.ts';
import { createTestDatabase } from '../support/database.ts';

test('a forgotten snapshot is named; idle transactions must have an end', async (t) => {
  const sql = await createTestDatabase(t);
  const admin = new Database({ url: sql.adminUrl, applicationName: 'admin', connectionsMax: 1 });
  t.teardown(() => admin.close());
  const old = (): Promise<readonly { who: string }[]> =>
    admin.withSystem((tx) => tx.query("select who from old_snapshots(1) where who like '%forgotten%'"));
  t.same(await old(), [], 'none');
  const forgotten = new pg.Client({ connectionString: sql.migrateUrl, application_name: 'forgotten' });
  await forgotten.connect();
  await forgotten.query('begin isolation level repeatable read');
  await forgotten.query('select count(*) from budget');
  await new Promise((resolve) => setTimeout(resolve, 1500));
  t.match(await old(), [{ who: /forgotten/ }], 'the admin role sees it, though it is another user');
  await forgotten.query('rollback');
  t.same(await old(), [], 'gone');

  const assert = (): Promise<void> =>
    assertSafeSettings({ query: async (text, values) => (await forgotten.query(text, values as unknown[])).rows });
  await forgotten.query("set idle_in_transaction_session_timeout = '10s'");
  await assert();
  for (const value of ['0', '2min']) {
    await forgotten.query(`set idle_in_transaction_session_timeout = '${value}'`);
    await t.rejects(assert(), /idle_in_transaction_session_timeout must be set/, value);
  }
  await forgotten.end();
});
