// A freeze that a warden found stands as it was found, whatever became of its row, of the era and of the disk,
// until it is released.
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
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
  const memory = join(directory, 'memory');
  mkdirSync(memory);
  return {
    config,
    keys: createKeyRing(config),
    memory,
    memoryFile: join(memory, 'memory.json'),
    witness: join(directory, 'witness'),
  };
}

async function run(t: Test, { config, keys, memoryFile, witness }: ReturnType<typeof machine>, sql: TestDatabase) {
  const births = createBirths(config.limits);
  const database = new Database({
    url: sql.wardenUrl,
    applicationName: 'test',
    connectionsMax: 1,
    drafts: () => births.begin(),
  });
  const guard = new LedgerGuard();
  const witnesses = [new FileWitness('local', true, witness)];
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
  await sql.query('begin');
  await sql.query('set local session_replication_role = replica');
  for (const one of statements) await sql.query(one);
  await sql.query('commit');
}
const freezes = (sql: TestDatabase): Promise<readonly { why: string; text: string }[]> =>
  sql.query('select why, text from ledger_freeze');
const lift = [
  'delete from ledger_freeze',
  "delete from alert where kind = 'ledger.frozen'",
  "delete from ledger_fresh where kind = 'ledger.frozen'",
];

/** An entry is taken out between its commit and its seal, and the warden that wrote it freezes the record. */
async function missed(sql: TestDatabase, warden: Awaited<ReturnType<typeof run>>): Promise<void> {
  await sql.query('begin');
  await sql.query('lock table ledger_state in access exclusive mode');
  await warden.write();
  await sql.query('set local session_replication_role = replica');
  await sql.query("delete from ledger_fresh where kind = 'extent.stored'");
  await sql.query('commit');
  await until('it is frozen', async () => (await freezes(sql)).length === 1);
}

test('an era that is set back for a moment does not end a freeze', async (t) => {
  const sql = await createTestDatabase(t);
  const here = machine(t);
  const first = await run(t, here, sql);
  await first.seal();
  await missed(sql, first);
  await first.stop();

  const second = await run(t, here, sql);
  t.match(second.guard.state, { is: 'closed', why: 'frozen' }, 'twin: it stands after a restart');
  await asOwner(sql, ...lift, 'update ledger_state set era = era - 1');
  await until('it is written again', async () => (await freezes(sql)).length === 1);
  await asOwner(sql, ...lift, 'update ledger_state set era = era + 1');
  await until('it is written once more', async () => (await freezes(sql)).length === 1);
  await delay(500);
  t.match(second.guard.state, { is: 'closed', why: 'frozen' }, 'nobody released it');
  t.equal((await freezes(sql)).length, 1, 'its row is written again');
  t.not(JSON.parse(readFileSync(here.memoryFile, 'utf8')).freeze, null, 'it is remembered');
  await second.stop();
});

test('a freeze goes on in an era that somebody began, and stays in it when that era is taken back', async (t) => {
  const sql = await createTestDatabase(t);
  const here = machine(t);
  const warden = await run(t, here, sql);
  await warden.seal();
  await missed(sql, warden);
  const remembered = (): number => JSON.parse(readFileSync(here.memoryFile, 'utf8')).freeze.facts.era;
  const inRow = async (): Promise<number | undefined> =>
    (await sql.query<{ era: number }>("select (facts ->> 'era')::int as era from ledger_freeze"))[0]?.era;
  const era = remembered();
  t.equal(await inRow(), era, 'the era in which it was found');
  await asOwner(sql, 'update ledger_state set era = era + 1');
  await until('the row has the later era', async () => (await inRow()) === era + 1);
  t.equal(remembered(), era + 1, 'a release has to end the later one');
  await asOwner(
    sql,
    'update ledger_state set era = era - 1',
    `update ledger_freeze set facts = facts || '{"era": ${era}}'`,
  );
  await until('the row has it again', async () => (await inRow()) === era + 1);
  t.equal(remembered(), era + 1);
  t.match(warden.guard.state, { is: 'closed', why: 'frozen' });
  await warden.stop();
});

test('a freeze that met a full disk is written into the memory when there is room', async (t) => {
  const sql = await createTestDatabase(t);
  const here = machine(t);
  const first = await run(t, here, sql);
  await first.seal();
  // A full disk, as far as this file is concerned: the draft beside it cannot be made.
  mkdirSync(`${here.memoryFile}.new`);
  await missed(sql, first);
  rmSync(`${here.memoryFile}.new`, { recursive: true });
  await delay(500);
  t.not(
    JSON.parse(readFileSync(here.memoryFile, 'utf8')).freeze,
    null,
    'the freeze is in the file as soon as there is room',
  );
  await first.stop();
  await asOwner(sql, ...lift);
  const second = await run(t, here, sql);
  t.match(second.guard.state, { is: 'closed', why: 'frozen' }, 'and stands after a restart');
  await second.stop();
});

test('what the memory cannot take is named', async (t) => {
  const sql = await createTestDatabase(t);
  const here = machine(t);
  const first = await run(t, here, sql);
  await first.seal();
  mkdirSync(`${here.memoryFile}.new`);
  await first.write();
  await until('closed', () => first.guard.state.is === 'closed');
  const { state } = first.guard;
  rmSync(`${here.memoryFile}.new`, { recursive: true });
  t.match(state, { text: /memory/ }, 'the sentence says what cannot be written');
  await until('open', () => first.guard.state.is === 'open');
  await first.stop();
});

test('a freeze that this warden found is not passed off as another one', async (t) => {
  const sql = await createTestDatabase(t);
  const here = machine(t);
  const first = await run(t, here, sql);
  await first.seal();
  await missed(sql, first);
  const [found] = await freezes(sql);
  await asOwner(
    sql,
    "update ledger_freeze set why = 'clock', text = 'the clock jumped by 34 s'",
    "delete from alert where kind = 'ledger.frozen'",
  );
  await delay(2000);
  t.match(first.guard.state, { text: found?.text }, 'a warden that runs says what it found');
  await first.stop();
  const second = await run(t, here, sql);
  await delay(1000);
  const alerts = await sql.query<{ text: string }>("select text from alert where kind = 'ledger.frozen'");
  t.match(second.guard.state, { text: found?.text }, 'so does one that starts');
  t.not(alerts.length, 0, 'and it is an alarm that the database says something else');
  await second.stop();
});
