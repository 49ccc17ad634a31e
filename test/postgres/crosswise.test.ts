// Two transactions want the same rows crosswise: the server ends one of them, which runs again from its start,
// whichever door it came through.
import pg from 'pg';
import { test } from 'tap';
import { idOf } from '../../server/domain/ids.ts';
import { Database, type Transaction } from '../../server/postgres/database.ts';
import { isPassing } from '../../server/postgres/database-errors.ts';
import { createEmptyDatabase } from '../support/database.ts';

test('of two transactions that want rows crosswise, the one that is undone runs again', async (t) => {
  const url = await createEmptyDatabase(t);
  const owner = new pg.Client({ connectionString: url });
  await owner.connect();
  t.teardown(() => owner.end());
  await owner.query('create table pair (id int primary key, n int not null default 0)');
  await owner.query('insert into pair (id) values (1), (2)');
  await owner.query(`create function pair_touch(a int, b int) returns int language plpgsql as $$
    begin
      update pair set n = n + 1 where id = a;
      perform pg_sleep(0.3);
      update pair set n = n + 1 where id = b;
      return 1;
    end $$`);
  const database = new Database({ url, applicationName: 'crosswise', connectionsMax: 4 });
  t.teardown(() => database.close());
  const touch = (tx: Transaction, id: number) => tx.query('update pair set n = n + 1 where id = $1', [id]);
  const doors: Readonly<Record<string, (work: (tx: Transaction) => Promise<void>) => Promise<void>>> = {
    system: (work) => database.withSystem(work),
    customers: (work) => database.withCustomers([idOf('00000000-0000-4000-8000-000000000000')], work),
  };
  for (const [name, door] of Object.entries(doors)) {
    let begun = 0;
    let both: () => void = () => {};
    const meeting = new Promise<void>((resolve) => (both = resolve));
    let runs = 0;
    const crosswise = (first: number, second: number) =>
      door(async (tx) => {
        runs += 1;
        await touch(tx, first);
        begun += 1;
        if (begun === 2) both();
        await meeting;
        await touch(tx, second);
      });
    await Promise.all([crosswise(1, 2), crosswise(2, 1)]);
    t.equal(runs, 3, `${name}: one of the two ran again`);
  }
  // A transaction that always meets another one is told so, and a pass skips it: nothing is wrong with the row.
  const told = database.withSystem((tx) =>
    tx.query("do $$ begin raise exception 'crosswise' using errcode = 'deadlock_detected'; end $$"),
  );
  t.ok(isPassing(await told.catch((error: unknown) => error)), 'it passes');
  await t.rejects(told, { code: 'conflict' });
  await Promise.all([database.call('select pair_touch(1, 2)', []), database.call('select pair_touch(2, 1)', [])]);
  const { rows } = await owner.query('select n from pair order by id');
  t.same(rows, [{ n: 6 }, { n: 6 }], 'each was done once');
});
