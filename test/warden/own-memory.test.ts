// What a warden remembers outside the database and its witnesses: what it signed last, and a freeze that it found.
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
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

function machine(t: Test) {
  const directory = temporaryDirectory(t);
  mkdirSync(join(directory, 'witness'));
  const config = ledgerConfig(directory, { sealEveryMs: 20, witnessStopMs: 600_000, witnessAlarmMs: 600_000 });
  return {
    config,
    keys: createKeyRing(config),
    memoryFile: join(directory, 'memory.json'),
    witness: join(directory, 'witness'),
  };
}

/** A warden of this machine on that database, with a witness in that directory. */
async function run(
  t: Test,
  { config, keys, memoryFile }: ReturnType<typeof machine>,
  sql: TestDatabase,
  witness: string,
) {
  const births = createBirths(config.limits);
  const database = new Database({
    url: sql.wardenUrl,
    applicationName: 'test',
    connectionsMax: 1,
    drafts: () => births.begin(),
  });
  const guard = new LedgerGuard();
  const witnesses = [new FileWitness('local', false, witness)];
  const ledger = new Ledger({ config, url: sql.wardenUrl, keys, guard, births, witnesses, memoryFile, log });
  let isStopped = false;
  const stop = async (): Promise<void> => {
    if (isStopped) return;
    isStopped = true;
    await ledger.stop();
    await database.close();
  };
  t.teardown(stop);
  await ledger.start();
  const write = (): Promise<void> =>
    database.withSystem((tx) => record(tx, { kind: 'extent.stored', observer: 'warden', public: { digest: 'x' } }));
  const seal = async (): Promise<void> => {
    await write();
    await until('sealed', () => births.size === 0);
  };
  return { guard, births, write, seal, stop };
}

async function asOwner(sql: TestDatabase, ...statements: readonly string[]): Promise<void> {
  await sql.query('set session_replication_role = replica');
  for (const one of statements) await sql.query(one);
  await sql.query('set session_replication_role = origin');
}
const freezes = (sql: TestDatabase): Promise<readonly { why: string; text: string }[]> =>
  sql.query('select why, text from ledger_freeze');

test('a freeze whose row, alarm and entry are removed stands again, also after a restart', async (t) => {
  const sql = await createTestDatabase(t);
  const here = machine(t);
  const first = await run(t, here, sql, here.witness);
  await first.seal();
  t.same(first.guard.state, { is: 'open' });
  await sql.query('begin');
  await sql.query('lock table ledger_state in access exclusive mode');
  const written = first.write();
  await written;
  await asOwner(sql, "delete from ledger_fresh where kind = 'extent.stored'");
  await sql.query('commit');
  await until('it is frozen', async () => (await freezes(sql)).length === 1);
  const [freeze] = await freezes(sql);
  t.match(freeze, { why: 'diverged', text: /\(extent\.stored\) that this warden wrote is neither waiting nor sealed/ });
  const lift = [
    'delete from ledger_freeze',
    "delete from alert where kind = 'ledger.frozen'",
    "delete from ledger_fresh where kind = 'ledger.frozen'",
  ];
  await asOwner(sql, ...lift);
  await until('it is written again', async () => (await freezes(sql)).length === 1);
  await first.stop();
  await asOwner(sql, ...lift);

  const second = await run(t, here, sql, here.witness);
  t.match(second.guard.state, { is: 'closed', why: 'frozen', text: freeze?.text });
  t.match(await freezes(sql), [{ why: 'diverged', text: freeze?.text }]);
  t.equal((await sql.query("select 1 from alert where kind = 'ledger.frozen'")).length, 1, 'and said again');
  await second.stop();
});

test('a database and a witness that are both behind what was signed last: frozen as behind; twin: neither is', async (t) => {
  const sql = await createTestDatabase(t);
  const here = machine(t);
  const first = await run(t, here, sql, here.witness);
  for (let i = 0; i < 3; i += 1) await first.seal();
  await first.stop();
  t.equal(statSync(here.memoryFile).mode & 0o777, 0o600);
  const again = await run(t, here, sql, here.witness);
  t.same(again.guard.state, { is: 'open' }, 'twin: an orderly restart');
  await again.seal();
  await again.stop();

  // The same installation as it was at the beginning.
  const old = await createTestDatabase(t);
  const [installation] = await sql.query<{ id: string }>('select id from installation');
  await asOwner(old, `update installation set id = '${installation?.id}'`);
  const empty = temporaryDirectory(t);
  const behind = await run(t, here, old, empty);
  t.match(behind.guard.state, {
    is: 'closed',
    why: 'frozen',
    text: /^this warden, before it was started, has a checkpoint of \d+ heads, era 1/,
  });
  t.match(await freezes(old), [{ why: 'behind' }]);
  t.same(readdirSync(empty), [], 'nothing was signed');
  await behind.stop();
});

test('an invalid memory keeps the record closed', async (t) => {
  const sql = await createTestDatabase(t);
  const here = machine(t);
  writeFileSync(here.memoryFile, '{"note": 1}');
  await t.rejects(run(t, here, sql, here.witness), { code: 'corrupt', message: /is not what a warden writes there/ });
  t.equal(readFileSync(here.memoryFile, 'utf8'), '{"note": 1}', 'and is left to whoever looks');
});

test('a freeze that no warden found is alarmed and named', async (t) => {
  const sql = await createTestDatabase(t);
  const here = machine(t);
  const warden = await run(t, here, sql, here.witness);
  await warden.seal();
  const alerts = () =>
    sql.query<{ text: string; severity: string }>("select text, severity from alert where kind = 'ledger.frozen'");
  t.same(await alerts(), [], 'twin: nothing is frozen');
  await sql.query(
    "insert into ledger_freeze (id, why, text, facts) values (gen_random_uuid(), 'clock', 'as somebody likes', '{}')",
  );
  await until('frozen', () => warden.guard.state.is === 'closed');
  await until('it is said', async () => (await alerts()).length === 1);
  t.match(await alerts(), [
    {
      severity: 'critical',
      text: 'nothing is served: the database holds a freeze that this warden did not find; another warden did, or somebody wrote it there: as somebody likes',
    },
  ]);
  await warden.stop();
});
