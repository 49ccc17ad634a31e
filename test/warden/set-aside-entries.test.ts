// What the sealer sets aside: a genuine entry of its own warden never is, whatever its row says by then; and what was
// set aside is on the record and shown, also when its alert and its row are removed.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Test, test } from 'tap';
import { ledgerStatus } from '../../server/admin/ledger/status-queries.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { Database } from '../../server/postgres/database.ts';
import { createKeyRing } from '../../server/warden/keys/key-ring.ts';
import { createBirths } from '../../server/warden/ledger/born.ts';
import { record } from '../../server/warden/ledger/entries/record.ts';
import { LedgerGuard } from '../../server/warden/ledger/guard.ts';
import { Ledger } from '../../server/warden/ledger/ledger.ts';
import { FileWitness } from '../../server/warden/ledger/witness/file-witness.ts';
import { createTestDatabase, temporaryDirectory } from '../support/database.ts';
import { ledgerConfig } from '../support/ledger-config.ts';
import { until } from '../support/until.ts';

/** A warden that leads, on one machine with its witness and its memory. */
async function setUp(t: Test) {
  const sql = await createTestDatabase(t);
  const directory = temporaryDirectory(t);
  mkdirSync(join(directory, 'witness'));
  const config = ledgerConfig(directory, { sealEveryMs: 100, witnessStopMs: 600_000, witnessAlarmMs: 600_000 });
  const births = createBirths(config.limits);
  const database = new Database({
    url: sql.wardenUrl,
    applicationName: 'test',
    connectionsMax: 1,
    drafts: () => births.begin(),
  });
  const guard = new LedgerGuard();
  const ledger = new Ledger({
    config,
    url: sql.wardenUrl,
    keys: createKeyRing(config),
    guard,
    births,
    witnesses: [new FileWitness('local', true, join(directory, 'witness'))],
    memoryFile: join(directory, 'memory.json'),
    log: createLogger({ log: { level: 'fatal' as 'error', pretty: false } }, 'test'),
  });
  await ledger.start();
  t.teardown(async () => {
    await ledger.stop();
    await database.close();
  });
  const write = (digest: string): Promise<void> =>
    database.withSystem((tx) => record(tx, { kind: 'extent.stored', observer: 'warden', public: { digest } }));
  const asOwner = async (...statements: readonly string[]): Promise<void> => {
    await sql.query('begin');
    await sql.query('set local session_replication_role = replica');
    for (const one of statements) await sql.query(one);
    await sql.query('commit');
  };
  const sealed = (digest: string) => sql.query("select 1 from ledger_sealed where public->>'digest' = $1", [digest]);
  const saidOf = () =>
    sql.query<{ entry: number; why: string }>(
      `select (sensitive->>'entry')::float8 as entry, sensitive->>'why' as why from ledger_sealed where kind = 'ledger.set-aside'`,
    );
  const shown = () => database.withSystem(async (tx) => (await ledgerStatus(tx, [])).setAside);
  await write('first');
  await until('sealed', () => births.size === 0);
  return { sql, births, guard, write, asOwner, sealed, saidOf, shown };
}

/** Ways to make a round refuse an entry of a warden, and to have its row look as before. */
const ways = [
  ['of another time', "at = at - interval '40 days'", "at = at + interval '40 days'"],
  ['unreadable', "client = at::text, at = '290000-01-01'", 'at = client::timestamptz, client = null'],
] as const;

test('an entry of this warden that its own sealer is made to set aside freezes the record, also when its row is put back', async (t) => {
  for (const [name, change, back] of ways) {
    const { sql, guard, write, asOwner, sealed, saidOf } = await setUp(t);
    // Whoever owns the tables takes the constraint away.
    await sql.query('alter table ledger_fresh drop constraint ledger_fresh_finite');
    // The beat has looked for the entries, and its round waits for this lock.
    await sql.query('begin');
    await sql.query('select 1 from ledger_state for update');
    await write('taken');
    await delay(500);
    await sql.query('set local session_replication_role = replica');
    await sql.query(`update ledger_fresh set ${change} where public->>'digest' = 'taken'`);
    await sql.query('commit');
    for (let rows = 0; rows === 0; rows = (await sql.query('select 1 from ledger_quarantine')).length) await delay(1);
    await asOwner(
      `update ledger_fresh set ${back} where public->>'digest' = 'taken'`,
      "delete from alert where kind = 'ledger.unreadable'",
    );
    await until(`${name}: nothing is served`, () => guard.state.is === 'closed' && guard.state.why === 'frozen');
    const freezes = () => sql.query('select why, text from ledger_freeze');
    await until('the freeze is written', async () => (await freezes()).length === 1);
    t.match(await freezes(), [
      {
        why: 'diverged',
        text: /\(extent\.stored\) that this warden wrote could not be sealed any more and was set aside/,
      },
    ]);
    t.same(await sealed('taken'), [], 'twin: it is in no head');
    t.ok((await saidOf()).length <= 1, 'the entry about it is on the record or waits');
  }
});

test('what somebody else wrote is set aside, and the gateway serves on; that is on the record and shown', async (t) => {
  const { sql, births, guard, write, asOwner, sealed, saidOf, shown } = await setUp(t);
  t.same(await shown(), [], 'twin: nothing was set aside');
  await asOwner(
    `insert into ledger_fresh (id, at, kind, observer) overriding system value values (1000000, now() - interval '40 days', 'self-test.written', 'warden')`,
  );
  await write('second');
  await until('what is beside it is sealed', async () => (await sealed('second')).length === 1);
  await until('it is said', async () => (await saidOf()).length === 1);
  t.match(await saidOf(), [{ entry: 1_000_000, why: /more than 27 days before now/ }]);
  t.match(await shown(), [{ entry: 1_000_000, why: /more than 27 days before now/ }]);
  await until('all is sealed', () => births.size === 0);
  await until('it is served', () => guard.state.is === 'open');
  await asOwner(
    'delete from ledger_quarantine',
    'delete from ledger_fresh where id = 1000000',
    "delete from alert where kind = 'ledger.unreadable'",
  );
  t.equal((await saidOf()).length, 1, 'removed everywhere else, it is on the record');
  t.same(await sql.query('select 1 from ledger_freeze'), [], 'twin: nothing of ours is missed');
});
