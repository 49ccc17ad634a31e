// Looks of regular passes: they see what every customer has, each statement by itself, and can change nothing.
import { test } from 'tap';
import { Database } from '../../server/postgres/database.ts';
import { createTestDatabase } from '../support/database.ts';
import { addCustomer, addFolder } from '../support/rows.ts';
import { until } from '../support/until.ts';

test('a look sees every customer and changes nothing', async (t) => {
  const sql = await createTestDatabase(t);
  for (const name of ['acme', 'globex']) await addFolder(sql, { customer: await addCustomer(sql, { name }) });
  const database = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 1, isPreparing: true });
  t.teardown(() => database.close());
  const count = "select count(*)::int as n from folder where created_at <= clock_timestamp() + $1 * interval '1 day'";
  t.same(await database.looking((look) => look.query(count, [1])), [{ n: 2 }]);
  const refused = { cause: { code: '25006' } };
  for (const text of ['update folder set settle_ms = 1', 'delete from folder', "select nextval('revocation_epoch')"])
    await t.rejects(
      database.looking((look) => look.query(text)),
      refused,
      text,
    );
  t.same(await sql.query('select 1 from folder where settle_ms = 1'), []);
  // The twin: the pool itself sees nothing without a scope, and writes.
  t.same(await database.call(count, [1]), [{ n: 0 }]);
  await database.withSystem((tx) => tx.query('update folder set settle_ms = 1'));
  t.equal((await sql.query('select 1 from folder where settle_ms = 1')).length, 2);
});

test('looks need no connection of the pool, and end with it', async (t) => {
  const sql = await createTestDatabase(t);
  const database = new Database({ url: sql.wardenUrl, applicationName: 'mine', connectionsMax: 1, isPreparing: true });
  const open = async (): Promise<readonly string[]> =>
    (
      await sql.query<{ name: string }>(
        "select distinct application_name as name from pg_stat_activity where datname = current_database() and application_name ~ '^mine' order by 1",
      )
    ).map(({ name }) => name);
  const held = Promise.withResolvers<void>();
  const running = database.withSystem(() => held.promise);
  const look = (n: number) => database.looking((tx) => tx.query<{ n: number }>('select $1::int as n', [n]));
  t.same(await Promise.all([look(1), look(2), look(3)]), [[{ n: 1 }], [{ n: 2 }], [{ n: 3 }]]);
  t.same(await open(), ['mine', 'mine looks']);
  held.resolve();
  await running;
  await database.close();
  await until('no connection is left', async () => (await open()).length === 0);
  t.pass('and none is left');
});
