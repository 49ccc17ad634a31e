// T-37: rows that the database role of the admin process writes into the record are limited in number, wait in a queue
// of their own, and neither plane waits for them.
import pg from 'pg';
import { type Test, test } from 'tap';
import { recordCall } from '../../server/admin/calls/operator-queries.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { Database } from '../../server/postgres/database.ts';
import { record } from '../../server/warden/ledger/entries/record.ts';
import { look, lookClosely } from '../../server/warden/ledger/seal-queries.ts';
import { Sealer } from '../../server/warden/ledger/sealer.ts';
import { createTestDatabase } from '../support/database.ts';
import { TestSealer, writeEntries } from '../support/record.ts';

const most = 2000;

async function setUp(t: Test) {
  const sql = await createTestDatabase(t);
  const warden = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 2 });
  t.teardown(() => warden.close());
  const admin = new pg.Client({ connectionString: sql.adminUrl });
  await admin.connect();
  t.teardown(() => admin.end());
  const flood = (rows: number, text = 'x') =>
    admin.query(
      `insert into ledger_fresh (kind, observer, operator, sensitive)
       select 'operator.asked', 'admin', 'alice', jsonb_build_object('x', $2::text) from generate_series(1, $1::int)`,
      [rows, text],
    );
  const leader = new Sealer(warden, createLogger({ log: { level: 'fatal' as 'error', pretty: false } }, 'test'));
  const signing = await new TestSealer(warden).signing();
  return { sql, warden, admin, flood, seal: () => leader.round(signing, { isSignDue: false, now: Date.now() }) };
}

const write = (database: Database): Promise<void> =>
  database.withSystem((tx) => record(tx, { kind: 'upload.expired', observer: 'warden', public: {} }));

test('a limited number of rows of the database role of the admin process wait for their seal, whatever their transactions are', async (t) => {
  const { sql, warden, admin, flood, seal } = await setUp(t);
  await t.rejects(flood(most + 1), { code: '53400' }, 'one statement');
  await admin.query('begin');
  await flood(most - 1);
  await flood(1);
  await t.rejects(flood(1), { code: '53400' }, 'one transaction');
  await admin.query('rollback');
  await flood(most);
  await t.rejects(flood(1), { code: '53400' }, 'what was committed');
  await t.rejects(flood(1, 'x'.repeat(65_536)), { code: '23514' }, 'nor are they larger than an operator can ask');
  const asAdmin = new Database({ url: sql.adminUrl, applicationName: 'test', connectionsMax: 1 });
  t.teardown(() => asAdmin.close());
  const call = (): Promise<void> =>
    asAdmin.withSystem((tx) =>
      recordCall(tx, 'operator.asked', {
        operator: 'alice',
        role: 'viewer',
        certificate: 'x',
        operation: 'status',
        params: {},
        allowed: true,
      }),
    );
  await t.rejects(call(), { code: 'unavailable', message: /the record is behind/ }, 'operators hear why');
  await write(warden);
  await seal();
  await t.resolves(call(), 'and go on when some were sealed');

  await flood(
    most -
      Number(
        (await sql.query<{ n: number }>("select count(*)::int as n from ledger_fresh where observer = 'admin'"))[0]?.n,
      ),
  );
  await t.rejects(call(), { code: 'unavailable' });
  await sql.query("insert into ledger_freeze (id, why, text, facts) values (gen_random_uuid(), 'clock', 'x', '{}')");
  await t.resolves(call(), 'a freeze is ended by operators: nothing hinders them then');
  // Without the change that two operators would have signed.
  await sql.query('set session_replication_role = replica');
  await sql.query('update ledger_freeze set released_at = clock_timestamp(), era = 2, change_id = gen_random_uuid()');
  await sql.query('set session_replication_role = origin');
  await t.rejects(call(), { code: 'unavailable' }, 'once it is over, the bound is there again');
});

test('neither plane waits for rows of the database role of the admin process: not because of their age, their number, or their order', async (t) => {
  const { sql, warden, flood, seal } = await setUp(t);
  await flood(1900);
  // Only the owner of the database makes them old.
  await sql.query('alter table ledger_fresh disable trigger ledger_is_insert_only');
  await sql.query("update ledger_fresh set at = at - interval '2 minutes'");
  await sql.query('alter table ledger_fresh enable trigger ledger_is_insert_only');
  await write(warden);
  await writeEntries(sql, null, 999, 'upload.expired');
  const seen = await warden.withSystem((tx) => lookClosely(tx, 1000));
  t.equal(seen.unsealed, 1000, 'counted: what the planes wait for');
  t.ok(seen.unsealedMs < 60_000, `${seen.unsealedMs} ms`);
  t.ok(seen.operatorsUnsealedMs >= 120_000, 'what operators said is told apart');
  const round = await seal();
  t.match(round, { sealed: 1500, isFull: false }, 'all of the planes in the first round, and some of operators');
  t.match(await warden.withSystem(look), { unsealed: 0, unsealedMs: 0, hasFresh: true });
  for (const sealed of [500, 500, 400]) t.match(await seal(), { sealed }, 'the rest follows');
  t.equal(await seal(), undefined);
  t.match(await warden.withSystem(look), { hasFresh: false, operatorsUnsealedMs: 0 });
  const [order] = await sql.query(
    'select count(*)::int as n from (select id < lag(id) over (order by number) as is_odd from ledger_sealed where number <= 1500) o where is_odd',
  );
  t.same(order, { n: 0 }, 'what a round takes has the order in which it was written');
});

test('numbers that were given and not used are no entries that wait', async (t) => {
  const { sql, warden, admin, flood } = await setUp(t);
  await write(warden);
  await admin.query('begin');
  await flood(1500);
  await admin.query('rollback');
  await write(warden);
  t.equal((await warden.withSystem((tx) => lookClosely(tx, 1000))).unsealed, 2);
  await writeEntries(sql, null, 1500, 'upload.expired');
  const full = await warden.withSystem((tx) => lookClosely(tx, 1000));
  t.ok(full.unsealed >= 1000 && full.unsealed <= 1016, `the twin: ${full.unsealed} are as many as may wait`);
});

test('an entry of either queue that cannot be read is set aside, and the other queue continues', async (t) => {
  const { sql, warden, flood, seal } = await setUp(t);
  await flood(20);
  await writeEntries(sql, null, 20, 'upload.expired');
  // Only the owner of the database gets such rows past the checks.
  await sql.query(
    'alter table ledger_fresh drop constraint ledger_fresh_finite, drop constraint ledger_fresh_sealable',
  );
  for (const observer of ['admin', 'warden'])
    await sql.query(
      "insert into ledger_fresh (kind, observer, operator) select 'ledger.odd', $1, string_agg(md5(i::text), '') from generate_series(1, 300) i",
      [observer],
    );
  await flood(20);
  await writeEntries(sql, null, 20, 'upload.expired');
  let sealed = 0;
  for (let i = 0; i < 80 && sealed < 82; i += 1) sealed += (await seal())?.sealed ?? 0;
  t.equal(sealed, 82, 'and an entry about each of the two others');
  t.same(await sql.query('select f.observer from ledger_quarantine q join ledger_fresh f using (id) order by 1'), [
    { observer: 'admin' },
    { observer: 'warden' },
  ]);
  t.match(await warden.withSystem((tx) => lookClosely(tx, 1)), { hasFresh: false, unsealed: 0 });
});
