// A database that was restored from a dump, on the server of the operating system, which is another version than the
// embedded one: its catalogue is the expected one.
import pg from 'pg';
import { test } from 'tap';
import { catalogueDifferences } from '../../server/postgres/catalogue.ts';
import { createDatabase, migrate } from '../../server/postgres/migrate.ts';
import { migrations, testPasswords } from '../support/database.ts';
import { DebianServer } from '../support/debian-server.ts';

test('a database that was restored has the expected catalogue', async (t) => {
  const server = await DebianServer.start(t);
  const differences = async (): Promise<readonly string[]> => {
    const client = new pg.Client({ connectionString: server.url('gateway') });
    await client.connect();
    try {
      return await catalogueDifferences(
        async (text, values) => (await client.query(text, values as unknown[])).rows as never,
      );
    } finally {
      await client.end();
    }
  };
  await createDatabase(server.url('postgres'), 'gateway');
  await migrate(server.url('gateway'), migrations, testPasswords);
  t.same(await differences(), [], 'as it was migrated');
  await server.restore('gateway', await server.dump('gateway', 'dump'));
  t.same(await differences(), [], 'as it was restored');
  t.same(await migrate(server.url('gateway'), migrations, testPasswords), [], 'and a start takes it');
  await server.query('alter table budget disable trigger budget_guard', 'gateway');
  t.match(
    await differences(),
    [/trigger public.budget.budget_guard is another one/],
    'twin: what was changed is found',
  );
});
