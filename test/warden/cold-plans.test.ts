// T-35: the statements of the record's sealer were planned when nothing waited. In a burst, each entry costs as much as
// a single entry.
import { test } from 'tap';
import { createLogger } from '../../server/observability/logger.ts';
import { Database } from '../../server/postgres/database.ts';
import { record } from '../../server/warden/ledger/entries/record.ts';
import { Rounds } from '../../server/warden/ledger/rounds.ts';
import { Sealer } from '../../server/warden/ledger/sealer.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { sealWithin, TestSealer } from '../support/record.ts';

const burst = 100_000;
/** 10 s are expected on two idle cores. */
const withinMs = 100_000;
const log = createLogger({ log: { level: 'fatal' as 'error', pretty: false } }, 'test');

/** Rows of these tables that were read so far, in any way. */
async function looked(sql: TestDatabase): Promise<number> {
  const [row] = await sql.query<{ n: string }>(
    `select sum(coalesce(t.seq_tup_read, 0) + coalesce(i.n, 0)) as n from pg_stat_user_tables t
       left join (select relid, sum(idx_tup_read) as n from pg_stat_user_indexes group by relid) i using (relid)
     where t.relname = 'ledger_fresh' or t.relname like 'ledger_sealed%'`,
  );
  return Number(row?.n);
}

test('a burst of entries is sealed by plans that were made when none waited', async (t) => {
  const sql = await createTestDatabase(t);
  // As the gateway asks: prepared, on one connection. Nothing tells the planner about the burst.
  const database = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 1, isPreparing: true });
  let isClosed = false;
  const close = async (): Promise<void> => {
    if (!isClosed) await database.close();
    isClosed = true;
  };
  t.teardown(close);
  await sql.query('alter table ledger_fresh set (autovacuum_enabled = false)');
  // Always the worst plan that the server may choose: the one that it makes once, without the values.
  await sql.query(
    "do $$ begin execute format('alter database %I set plan_cache_mode = force_generic_plan', current_database()); end $$",
  );
  const signing = await new TestSealer(database).signing();
  const leader = new Sealer(database, log);
  /** So often that each statement has the plan that it keeps. */
  const warmUp = async (): Promise<void> => {
    for (let i = 0; i < 12; i += 1) {
      await database.withSystem((tx) => record(tx, { kind: 'upload.expired', observer: 'warden', public: {} }));
      t.match(await leader.round(signing, { isSignDue: false, now: Date.now() }), { sealed: 1 });
    }
  };
  const write = (count: number): Promise<unknown> =>
    sql.query(
      `insert into ledger_fresh (kind, observer, customer_id, session_id, version_id, extent, bytes)
       select 'extent.granted', 'warden', md5((i % 64)::text)::uuid, gen_random_uuid(), gen_random_uuid(), 0, 65536 from generate_series(1, $1::int) i`,
      [count],
    );
  await write(3000);
  await leader.round(signing, { isSignDue: false, now: Date.now() });
  // Pages that were used, and no rows: what the server's own statistics nearly always say about the table.
  await sql.query('analyze ledger_fresh');
  await warmUp();
  const before = await looked(sql);
  await write(burst);
  const began = performance.now();
  let sealed = 0;
  while (sealed < burst && performance.now() - began < withinMs)
    sealed += (await leader.round(signing, { isSignDue: false, now: Date.now() }))?.sealed ?? 0;
  t.equal(sealed, burst, `all within ${withinMs / 1000} s`);
  t.same(await sql.query('select id from ledger_fresh'), []);
  // What a connection counted is reported when it ends.
  await close();
  const each = ((await looked(sql)) - before) / Math.max(1, sealed);
  t.comment(`${Math.round((performance.now() - began) / 1000)} s, ${each.toFixed(1)} rows looked at for each entry`);
  t.ok(each < 40, `${Math.round(each)} rows were looked at for each entry`);
});

test('a round that takes too long makes the next one smaller; nothing is set aside, and what can be done is done', async (t) => {
  const sql = await createTestDatabase(t);
  const database = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 1, isPreparing: true });
  t.teardown(() => database.close());
  const signing = await new TestSealer(database).signing();
  const leader = new Sealer(database, log, new Rounds(database, log, 500));
  const write = (count: number): Promise<unknown> =>
    sql.query(
      "insert into ledger_fresh (kind, observer) select 'upload.expired', 'warden' from generate_series(1, $1::int)",
      [count],
    );
  await write(1);
  t.match(await leader.round(signing, { isSignDue: false, now: Date.now() }), { sealed: 1 });
  // A machine that takes 20 ms for each entry.
  await sql.query(
    'create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(0.02); return new; end $$',
  );
  await sql.query('create trigger slow before insert on ledger_sealed for each row execute function slow()');
  await write(200);
  const sealed: (number | undefined)[] = [];
  for (let i = 0; i < 12 && !sealed.some((one) => one !== undefined); i += 1)
    sealed.push((await leader.round(signing, { isSignDue: false, now: Date.now() }))?.sealed);
  t.equal(sealed[0], undefined, 'all at once take 4 s');
  const last = sealed.at(-1) ?? 0;
  t.ok(last > 0 && last < 200, `a smaller round is sealed: ${last}`);
  t.same(await sql.query('select id from ledger_quarantine'), []);
  await sql.query('drop trigger slow on ledger_sealed');
  for (let i = 0; i < 12 && (await sql.query('select id from ledger_fresh limit 1')).length > 0; i += 1)
    await leader.round(signing, { isSignDue: false, now: Date.now() });
  t.same(await sql.query('select id from ledger_fresh'), [], 'and all of it once the machine is well again');
});

test('whatever the server believes about the table, a sealed entry is found by its number', async (t) => {
  const sql = await createTestDatabase(t);
  const database = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 1, isPreparing: true });
  t.teardown(() => database.close());
  const [version] = await sql.query<{ n: number }>("select current_setting('server_version_num')::int as n");
  // Before version 16 no server shows the plan of a statement without its values.
  if ((version?.n ?? 0) < 160_000) {
    t.comment('not shown by this server');
    return;
  }
  const signing = await new TestSealer(database).signing();
  const write = (count: number): Promise<unknown> =>
    sql.query(
      "insert into ledger_fresh (kind, observer) select 'upload.expired', 'warden' from generate_series(1, $1::int)",
      [count],
    );
  const texts = new Set<string>();
  await write(3000);
  await database.withSystem((tx) => {
    const query: typeof tx.query = (text, values) => {
      if (values !== undefined) texts.add(text);
      return tx.query(text, values);
    };
    return sealWithin({ query }, signing);
  });
  const asked = [...texts].filter((text) => text.includes('ledger_fresh'));
  t.equal(asked.length, 3, 'taken, moved, deleted');
  const beliefs = {
    'never looked at': 'select 1',
    'looked at while empty': 'analyze ledger_fresh',
    vacuumed: 'vacuum ledger_fresh',
  };
  for (const [belief, make] of Object.entries(beliefs)) {
    await sql.query(make);
    for (const text of asked) {
      const lines = await database.withSystem((tx) =>
        tx.query<{ 'QUERY PLAN': string }>(`explain (generic_plan) ${text}`),
      );
      const plan = lines.map((line) => line['QUERY PLAN']).join('\n');
      t.notMatch(
        plan,
        /Seq Scan on ledger_fresh|Join Filter/,
        `${belief}: ${text.slice(0, 30)} reads neither all, nor compares each with each`,
      );
      t.match(
        plan,
        /(?:Index|Bitmap Heap) Scan (?:using ledger_fresh_(?:pkey|of_planes|of_operators) )?on ledger_fresh/,
        'by the key',
      );
    }
  }
});
