// An era that the database shows for one moment, without a release of two operators, gives up no entry and no
// freeze.
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { type Test, test } from 'tap';
import { createLogger } from '../../server/observability/logger.ts';
import { Database } from '../../server/postgres/database.ts';
import { createKeyRing } from '../../server/warden/keys/key-ring.ts';
import { createBirths } from '../../server/warden/ledger/born.ts';
import { record } from '../../server/warden/ledger/entries/record.ts';
import { LedgerGuard } from '../../server/warden/ledger/guard.ts';
import { Ledger } from '../../server/warden/ledger/ledger.ts';
import { FileWitness } from '../../server/warden/ledger/witness/file-witness.ts';
import { createTestDatabase, type TestDatabase, temporaryDirectory } from '../support/database.ts';
import { ledgerConfig } from '../support/ledger-config.ts';
import { until } from '../support/until.ts';

const log = createLogger({ log: { level: 'fatal' as 'error', pretty: false } }, 'test');

async function run(t: Test, sql: TestDatabase) {
  const directory = temporaryDirectory(t);
  mkdirSync(join(directory, 'witness'));
  const config = ledgerConfig(directory, { sealEveryMs: 20, witnessStopMs: 600_000, witnessAlarmMs: 600_000 });
  const keys = createKeyRing(config);
  const memoryFile = join(directory, 'memory.json');
  const births = createBirths(config.limits);
  const database = new Database({
    url: sql.wardenUrl,
    applicationName: 'test',
    connectionsMax: 1,
    drafts: () => births.begin(),
  });
  const guard = new LedgerGuard();
  const witnesses = [new FileWitness('local', true, join(directory, 'witness'))];
  const ledger = new Ledger({ config, url: sql.wardenUrl, keys, guard, births, witnesses, memoryFile, log });
  t.teardown(async () => {
    await ledger.stop();
    await database.close();
  });
  await ledger.start();
  const write = (): Promise<void> =>
    database.withSystem((tx) => record(tx, { kind: 'extent.stored', observer: 'warden', public: { digest: 'x' } }));
  return { guard, births, write, memoryFile };
}

/**
 * What the owner does with two connections of his own: the beat's look waits behind the first lock and sees the next
 * era; the second lock was queued behind that look, so that whatever is asked next sees the era as it was.
 */
async function showEraOnce(
  t: Test,
  sql: TestDatabase,
  meanwhile: readonly string[],
  before: () => Promise<void> = async () => {},
): Promise<void> {
  const connect = async (): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: sql.migrateUrl });
    await client.connect();
    t.teardown(() => client.end());
    await client.query('set session_replication_role = replica');
    return client;
  };
  const [first, second] = [await connect(), await connect()];
  const waiting = async (): Promise<number> =>
    (await first.query("select 1 from pg_locks where relation = 'ledger_state'::regclass and not granted")).rows.length;
  await first.query('begin');
  await first.query('lock table ledger_state in access exclusive mode');
  await before();
  await first.query('update ledger_state set era = era + 1');
  for (const one of meanwhile) await first.query(one);
  await until('the beat looks', async () => (await waiting()) > 0);
  const back = (async () => {
    await second.query('begin');
    await second.query('lock table ledger_state in access exclusive mode');
    await second.query('update ledger_state set era = era - 1');
    await second.query('commit');
  })();
  await until('the second lock is queued', async () => (await waiting()) > 1);
  await first.query('commit');
  await back;
}

test('an entry that is deleted while the era is another one for a moment is missed', async (t) => {
  const sql = await createTestDatabase(t);
  const warden = await run(t, sql);
  await warden.write();
  await until('sealed', () => warden.births.size === 0);
  t.same(warden.guard.state, { is: 'open' });
  await showEraOnce(t, sql, ["delete from ledger_fresh where kind = 'extent.stored'"], () => warden.write());
  await delay(5000);
  t.equal((await sql.query("select 1 from ledger where kind = 'extent.stored'")).length, 1, 'the second entry is gone');
  t.equal((await sql.query('select 1 from ledger_freeze')).length, 1, 'and that is a freeze');
  t.match(warden.guard.state, { is: 'closed', why: 'frozen' });
});

test('a freeze that a warden found is not over because the era is another one for a moment', async (t) => {
  const sql = await createTestDatabase(t);
  const warden = await run(t, sql);
  await warden.write();
  await until('sealed', () => warden.births.size === 0);
  await sql.query('begin');
  await sql.query('lock table ledger_state in access exclusive mode');
  await warden.write();
  await sql.query('set session_replication_role = replica');
  await sql.query("delete from ledger_fresh where kind = 'extent.stored'");
  await sql.query('commit');
  await until('frozen', async () => (await sql.query('select 1 from ledger_freeze')).length === 1);
  t.match(warden.guard.state, { is: 'closed', why: 'frozen' });
  await showEraOnce(t, sql, [
    'delete from ledger_freeze',
    "delete from alert where kind = 'ledger.frozen'",
    "delete from ledger_fresh where kind = 'ledger.frozen'",
  ]);
  await until(
    'the freeze stands again, or nobody knows of it',
    async () => warden.guard.state.is === 'open' || (await sql.query('select 1 from ledger_freeze')).length === 1,
  );
  await delay(5000);
  t.match(warden.guard.state, { is: 'closed', why: 'frozen' });
  t.not(JSON.parse(readFileSync(warden.memoryFile, 'utf8')).freeze, null, 'the memory still has it');
  t.equal((await sql.query("select 1 from ledger where kind = 'ledger.frozen'")).length, 1);
});
