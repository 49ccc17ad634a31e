// A record that cannot be examined or sealed stops the service within the bound, whatever holds it up, and says so; a
// shorter wait stops nobody.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { type Test, test } from 'tap';
import { createLogger } from '../../server/observability/logger.ts';
import { Database } from '../../server/postgres/database.ts';
import { createKeyRing } from '../../server/warden/keys/key-ring.ts';
import { record } from '../../server/warden/ledger/entries/record.ts';
import { LedgerGuard } from '../../server/warden/ledger/guard.ts';
import { Ledger } from '../../server/warden/ledger/ledger.ts';
import { FileWitness } from '../../server/warden/ledger/witness/file-witness.ts';
import { createTestDatabase, temporaryDirectory } from '../support/database.ts';
import { ledgerConfig } from '../support/ledger-config.ts';
import { until } from '../support/until.ts';

const patience = { withinMs: 40_000, everyMs: 10 };

async function setUp(t: Test, limits: Readonly<Record<string, number>>) {
  const sql = await createTestDatabase(t);
  const directory = temporaryDirectory(t);
  mkdirSync(join(directory, 'witness'));
  const config = ledgerConfig(directory, { sealEveryMs: 25, ...limits });
  const guard = new LedgerGuard();
  const said: string[] = [];
  const log = createLogger({ log: { level: 'fatal' as 'error', pretty: false } }, 'test');
  log.error = (_facts: unknown, text?: string) => void said.push(text ?? '');
  const witnesses = [new FileWitness('local', true, join(directory, 'witness'))];
  const ledger = new Ledger({ config, url: sql.wardenUrl, keys: createKeyRing(config), guard, witnesses, log });
  await ledger.start();
  t.teardown(() => ledger.stop());
  const database = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 1 });
  t.teardown(() => database.close());
  const holder = new pg.Client({ connectionString: sql.migrateUrl });
  await holder.connect();
  await holder.query('set idle_in_transaction_session_timeout = 0');
  t.teardown(() => holder.end());
  const hold = async (table: string): Promise<void> => {
    await holder.query('begin');
    await holder.query(`lock table ${table} in access exclusive mode`);
  };
  const letGo = (): Promise<unknown> => holder.query('rollback');
  const write = (): Promise<void> =>
    database.withSystem((tx) => record(tx, { kind: 'extent.stored', observer: 'warden', public: { digest: 'x' } }));
  const alarms = () =>
    sql.query<{ severity: string; text: string }>("select severity, text from alert where kind = 'ledger.late'");
  return { sql, guard, said, hold, letGo, write, alarms };
}

for (const table of ['ledger_fresh', 'ledger_sealed', 'ledger_state'])
  test(`somebody holds ${table} for longer than the record may be late: logins stop, an alarm is there, and it heals`, async (t) => {
    const stopMs = 1500;
    const { sql, guard, said, hold, letGo, write, alarms } = await setUp(t, {
      witnessAlarmMs: 500,
      witnessStopMs: stopMs,
    });
    // Waiting entries make the sealer read the sealed ones, too.
    await write();
    await until('it is sealed', async () => (await sql.query('select 1 from ledger_fresh')).length === 0, patience);
    if (table === 'ledger_sealed') {
      await hold(table);
      await write();
    } else await hold(table);
    t.same(guard.state, { is: 'open' }, 'at first nobody minds');
    await until('nothing is served', () => guard.state.is === 'closed', patience);
    t.match(guard.state, { is: 'closed', why: 'late' });
    t.throws(() => guard.require(), { code: 'unavailable' });
    t.match(said.join('\n'), /after 1.5 s nothing more is served/, 'the log says it at once');
    await delay(500);
    t.match(guard.state, { is: 'closed', why: 'late' }, 'and it stays so as long as it is held');
    await letGo();
    await until('it is served again', () => guard.state.is === 'open', patience);
    await until('the alarm is there', async () => (await alarms()).length === 1, patience);
    t.match(await alarms(), [{ severity: 'critical', text: /nothing more is served/ }]);
    await write();
    await until(
      'and it is sealed as before',
      async () => (await sql.query('select 1 from ledger_fresh')).length === 0,
      patience,
    );
  });

test('twin: a lock that is shorter than that stops nobody', async (t) => {
  const { sql, guard, hold, letGo, write, alarms } = await setUp(t, { witnessAlarmMs: 60_000, witnessStopMs: 120_000 });
  const states = new Set<string>();
  const watching = setInterval(() => states.add(guard.state.is), 1);
  t.teardown(() => clearInterval(watching));
  for (const table of ['ledger_fresh', 'ledger_sealed', 'ledger_state']) {
    await hold(table);
    // Longer than a statement of the sealer waits for a lock.
    await delay(2500);
    await letGo();
    await write();
    await until(
      `after ${table} it is sealed`,
      async () => (await sql.query('select 1 from ledger_fresh')).length === 0,
      patience,
    );
  }
  t.same([...states], ['open']);
  t.same(await alarms(), []);
});

test('no statement of the sealer waits for longer than its bound, whatever the server allows', async (t) => {
  const { sql, hold, letGo } = await setUp(t, { witnessAlarmMs: 60_000, witnessStopMs: 120_000 });
  await hold('ledger_state');
  const waits: number[] = [];
  for (const end = performance.now() + 4000; performance.now() < end; await delay(50)) {
    const rows = await sql.query<{ ms: number }>(
      `select (extract(epoch from clock_timestamp() - query_start) * 1000)::float8 as ms from pg_stat_activity
       where application_name = 'cofferdam sealer' and wait_event_type = 'Lock' and datname = current_database()`,
    );
    for (const { ms } of rows) waits.push(ms);
  }
  await letGo();
  t.ok(waits.length > 0, 'it did wait');
  t.ok(Math.max(...waits) < 8000, 'and gave up');
});
