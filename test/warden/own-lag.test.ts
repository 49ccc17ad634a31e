// How late the record is, by what the warden itself knows: the database's columns say that nothing waits, and still
// nothing is served.
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { type Test, test } from 'tap';
import { createLogger } from '../../server/observability/logger.ts';
import { advisoryLocks } from '../../server/postgres/advisory-locks.ts';
import { Database } from '../../server/postgres/database.ts';
import { checkpointSigner } from '../../server/warden/keys/checkpoint-signer.ts';
import { createKeyRing } from '../../server/warden/keys/key-ring.ts';
import { createBirths } from '../../server/warden/ledger/born.ts';
import { record } from '../../server/warden/ledger/entries/record.ts';
import { LedgerGuard } from '../../server/warden/ledger/guard.ts';
import { Ledger } from '../../server/warden/ledger/ledger.ts';
import { FileWitness } from '../../server/warden/ledger/witness/file-witness.ts';
import { Delivery, type Witness } from '../../server/warden/ledger/witness/witness.ts';
import { createTestDatabase, temporaryDirectory } from '../support/database.ts';
import { ledgerConfig } from '../support/ledger-config.ts';
import { until } from '../support/until.ts';

const patience = { withinMs: 40_000 };
const stopMs = 3000;

async function setUp(t: Test, { hasOtherLeader = false } = {}) {
  const sql = await createTestDatabase(t);
  const directory = temporaryDirectory(t);
  mkdirSync(join(directory, 'witness'));
  const config = ledgerConfig(directory, { sealEveryMs: 25, witnessAlarmMs: 1000, witnessStopMs: stopMs });
  const births = createBirths(config.limits);
  const database = new Database({
    url: sql.wardenUrl,
    applicationName: 'test',
    connectionsMax: 1,
    drafts: () => births.begin(),
  });
  t.teardown(() => database.close());
  const leader = new pg.Client({ connectionString: sql.migrateUrl });
  await leader.connect();
  t.teardown(() => leader.end());
  if (hasOtherLeader) await leader.query('select pg_advisory_lock($1)', [advisoryLocks.sealerLeadership]);
  const guard = new LedgerGuard();
  const file = new FileWitness('local', true, join(directory, 'witness'));
  const takes = { notes: true };
  const witness: Witness = {
    name: 'local',
    isRequired: true,
    keep: async (note) => {
      if (!takes.notes) throw new Error('the disk is full');
      await file.keep(note);
    },
    newest: () => file.newest(),
  };
  const log = createLogger({ log: { level: 'fatal' as 'error', pretty: false } }, 'test');
  const ledger = new Ledger({
    config,
    url: sql.wardenUrl,
    keys: createKeyRing(config),
    guard,
    births,
    witnesses: [witness],
    log,
  });
  await ledger.start();
  t.teardown(() => ledger.stop());
  const write = (kind: 'extent.stored' | 'file.published' = 'extent.stored'): Promise<void> =>
    database.withSystem((tx) =>
      record(tx, { kind, observer: 'warden', public: kind === 'extent.stored' ? { digest: 'x' } : {} }),
    );
  const asOwner = async (...statements: readonly string[]): Promise<void> => {
    await sql.query('set session_replication_role = replica');
    for (const one of statements) await sql.query(one);
    await sql.query('set session_replication_role = origin');
  };
  const isLate = (): boolean => guard.state.is === 'closed' && guard.state.why === 'late';
  const alarms = () => sql.query<{ text: string }>("select text from alert where kind = 'ledger.late'");
  return { sql, births, guard, takes, leader, write, asOwner, isLate, alarms };
}

test('another process leads, and the oldest row has a time in the future: the age of our own entry closes the guard', async (t) => {
  const { births, guard, leader, write, asOwner, isLate, alarms } = await setUp(t, { hasOtherLeader: true });
  const planted = `insert into ledger_fresh (id, at, kind, observer) overriding system value values (-1, clock_timestamp() + interval '30 days', 'self-test.written', 'warden')`;
  await asOwner(planted);
  await write();
  t.same(guard.state, { is: 'open' });
  await until('nothing is served', isLate, patience);
  t.match(guard.state, { text: /^the newest entries have no seal for \d+ s$/ });
  await until('an alarm is there', async () => (await alarms()).length === 1, patience);
  await asOwner('delete from ledger_fresh where id < 0');
  await leader.query('select pg_advisory_unlock_all()');
  await until('twin: sealed, and it goes on by itself', () => births.size === 0 && guard.state.is === 'open', patience);
});

test('what somebody else set aside waits, and closes the guard; what is sealed meanwhile is no excuse', async (t) => {
  const { births, sql, guard, write, asOwner, isLate, alarms } = await setUp(t);
  await sql.query(
    `create function aside() returns trigger language plpgsql security definer as $$ begin
       if new.kind = 'file.published' then insert into ledger_quarantine (id, why) values (new.id, 'x'); end if; return new; end $$`,
  );
  await sql.query('create trigger aside after insert on ledger_fresh for each row execute function aside()');
  await write('file.published');
  for (const end = performance.now() + patience.withinMs; !isLate() && performance.now() < end; await delay(100))
    await write().catch(() => {});
  t.ok(isLate(), 'nothing is served');
  await until('an alarm is there', async () => (await alarms()).length === 1, patience);
  await asOwner('delete from ledger_quarantine');
  await until('twin: sealed, and it goes on by itself', () => births.size === 0 && guard.state.is === 'open', patience);
});

test('a required witness accepts nothing, and the column that says since when is kept empty: the guard is closed', async (t) => {
  const { births, sql, guard, takes, write, isLate, alarms } = await setUp(t);
  await write();
  await until('sealed and witnessed', () => births.size === 0, patience);
  t.same(guard.state, { is: 'open' });
  await sql.query(
    'create function empty() returns trigger language plpgsql as $$ begin new.unwitnessed_since := null; return new; end $$',
  );
  await sql.query('create trigger empty before update on ledger_state for each row execute function empty()');
  takes.notes = false;
  await write();
  await until('nothing is served', isLate, patience);
  t.match(guard.state, { text: /^the newest checkpoint has no witness for \d+ s/ });
  await until('an alarm is there', async () => (await alarms()).length === 1, patience);
  takes.notes = true;
  await until('twin: it takes notes again, and it goes on by itself', () => guard.state.is === 'open', patience);
});

test('a witness that accepts each note late is never far behind; one that accepts none is, however often a newer note comes', async (t) => {
  const origin = 'cofferdam/0a5f1a2e-0000-4000-8000-000000000001';
  const signer = checkpointSigner(generateKeyPairSync('ed25519').privateKey, origin);
  const note = (size: number): string =>
    signer.sign({
      origin,
      size,
      root: Buffer.alloc(32, size).toString('base64'),
      era: 1,
      time: '2026-11-29T08:00:00.000Z',
    });
  const quiet = createLogger({ log: { level: 'fatal' as 'error', pretty: false } }, 'test');
  const takes = { notes: true };
  const delivery = new Delivery(
    {
      name: 'slow',
      isRequired: true,
      newest: null,
      keep: async () => {
        await delay(100);
        if (!takes.notes) throw new Error('the disk is full');
      },
    },
    quiet,
  );
  t.equal(delivery.behindMs, 0);
  let most = 0;
  let size = 1;
  const began = performance.now();
  for (; performance.now() - began < 3000; size += 1) {
    delivery.offer(note(size));
    await delay(20);
    most = Math.max(most, delivery.behindMs);
  }
  t.ok(most < 2000, `a hundred milliseconds for each, and not three seconds: ${most}`);
  await until('all is taken', () => delivery.behindMs === 0, patience);
  takes.notes = false;
  const stuck = performance.now();
  for (; performance.now() - stuck < 1500; size += 1) {
    delivery.offer(note(size));
    await delay(20);
  }
  t.ok(delivery.behindMs >= 1400, `since the first one: ${delivery.behindMs}`);
  takes.notes = true;
  await until('twin: it takes them again', () => delivery.behindMs === 0, patience);
  await delivery.stop();
});
