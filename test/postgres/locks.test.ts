// T-35: whoever waits for a lock gives its connection back from time to time, and is done when the lock is free: nobody
// has to ask again.
import pg from 'pg';
import { test } from 'tap';
import { Database } from '../../server/postgres/database.ts';
import { createTestDatabase, type Teardown } from '../support/database.ts';

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** One connection and waits of 100 ms, retried for this long. */
async function scene(t: Teardown, patienceMs: number) {
  const sql = await createTestDatabase(t);
  const places = { taken: 0, given: 0 };
  const database = new Database({
    url: sql.wardenUrl,
    applicationName: 'patient',
    connectionsMax: 1,
    admission: async () => {
      places.taken += 1;
      return { release: () => (places.given += 1), lockMs: 100, patienceMs };
    },
  });
  t.teardown(() => database.close());
  const holder = new pg.Client({ connectionString: sql.migrateUrl });
  await holder.connect();
  t.teardown(() => holder.end());
  await holder.query('begin; lock table operator in exclusive mode');
  return { sql, database, holder, places };
}

test('what was undone because of a lock is retried, and holds no connection meanwhile', async (t) => {
  const { sql, database, holder, places } = await scene(t, 60_000);
  let runs = 0;
  const waiting = database.withSystem(async (tx) => {
    runs += 1;
    await tx.query("insert into operator (id, name, role) values (gen_random_uuid(), 'patient', 'viewer')");
    return 'done';
  });
  const again = async (): Promise<void> => {
    while (runs < 3) await sleep(20);
  };
  await Promise.race([waiting, again()]);
  for (let i = 0; i < 5; i += 1)
    t.same(await database.withSystem((tx) => tx.query('select 1 as one')), [{ one: 1 }], 'others are served');
  await holder.query('commit');
  t.equal(await waiting, 'done');
  t.same(await sql.query("select count(*)::int from operator where name = 'patient'"), [{ count: 1 }], 'once');
  t.equal(places.given, places.taken, 'every place was given back');
});

test('a blocked transaction fails when its time is over; without such a time, at once', async (t) => {
  for (const patienceMs of [0, 500]) {
    const { database, places } = await scene(t, patienceMs);
    let runs = 0;
    const refused = database.withSystem((tx) => {
      runs += 1;
      return tx.query("insert into operator (id, name, role) values (gen_random_uuid(), 'late', 'viewer')");
    });
    await t.rejects(refused, { code: 'unavailable', message: /another operation is changing the same data/ });
    t.ok(patienceMs === 0 ? runs === 1 : runs > 1, `${runs} tries in ${patienceMs} ms`);
    t.equal(places.given, places.taken);
  }
});
