// Statements that are prepared once for each connection: they are named, limited in number, and valid after what they
// read has changed its shape.
import { test } from 'tap';
import { idOf } from '../../server/domain/ids.ts';
import { Database } from '../../server/postgres/database.ts';
import { createTestDatabase } from '../support/database.ts';

type Prepared = { readonly name: string; readonly statement: string };

test('a statement is prepared once for each connection, and a bounded number of them', async (t) => {
  const sql = await createTestDatabase(t);
  const open = (isPreparing: boolean): Database => {
    const database = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 1, isPreparing });
    t.teardown(() => database.close());
    return database;
  };
  const prepared = (database: Database): Promise<readonly Prepared[]> =>
    database.withSystem((tx) => tx.query<Prepared>('select name, statement from pg_prepared_statements order by 1'));
  const once = open(true);
  const count = (n: number): Promise<readonly { n: number }[]> =>
    once.withSystem((tx) => tx.query('select count(*)::int as n from ledger where number > $1', [n]));
  for (let i = 0; i < 12; i += 1) t.same(await count(i), [{ n: 0 }]);
  t.match(await prepared(once), [{ statement: /^select count\(\*\)::int/ }], 'one, however often it was asked');
  t.equal((await prepared(once)).length, 1, 'and nothing without values');

  const plain = open(false);
  await plain.withSystem((tx) => tx.query('select $1::int', [1]));
  t.same(await prepared(plain), [], 'twin: who does not ask for it prepares nothing');

  // One month more, and one less: what was planned is planned again.
  await sql.query(
    "create table ledger_other partition of ledger_sealed for values from ('2001-01-01') to ('2001-02-01')",
  );
  t.same(await count(0), [{ n: 0 }]);
  await sql.query('drop table ledger_other');
  t.same(await count(0), [{ n: 0 }]);

  await sql.query(
    'create table shape (a int); grant select on shape to cofferdam_warden; insert into shape values (1)',
  );
  const shape = (): Promise<readonly unknown[]> =>
    once.withSystem((tx) => tx.query('select * from shape where a = $1', [1]));
  t.same(await shape(), [{ a: 1 }]);
  await sql.query('alter table shape add column b int');
  await t.rejects(
    shape(),
    { cause: { message: /must not change result type/ } },
    'a table with another shape is noticed',
  );
  t.same(await shape(), [{ a: 1, b: null }], 'once: the connection is made anew');
  await sql.query('alter table shape add column c int');
  const call = (): Promise<readonly unknown[]> => once.call('select * from shape where a = $1', [1]);
  await t.rejects(call(), { cause: { message: /must not change result type/ } }, 'by a call as well');
  t.same(await call(), [{ a: 1, b: null, c: null }]);
  t.same(await count(0), [{ n: 0 }], 'and prepares again what it is asked');

  await once.withSystem(async (tx) => {
    for (let i = 0; i < 600; i += 1) await tx.query(`select $1::int as n${i}`, [i]);
  });
  t.equal((await prepared(once)).length, 500, 'not more than that');
  t.same(
    await once.withSystem((tx) => tx.query('select $1::int as late', [7])),
    [{ late: 7 }],
    'what comes later runs unprepared',
  );
});

test('the scope is a value, whatever it contains', async (t) => {
  const sql = await createTestDatabase(t);
  const database = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 1 });
  t.teardown(() => database.close());
  const scope = "x', true); select set_config('cofferdam.customers', '*', false); --\\";
  const seen = await database.withCustomers([idOf(scope)], (tx) =>
    tx.query("select current_setting('cofferdam.customers') as scope where $1::int = 1", [1]),
  );
  t.same(seen, [{ scope }]);
  t.same(
    await database.withCustomers([idOf('a'), idOf('b')], (tx) =>
      tx.query("select current_setting('cofferdam.customers') as scope", []),
    ),
    [{ scope: 'a,b' }],
    'and is gone with its transaction',
  );
});
