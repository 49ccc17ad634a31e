// Every stop ends: of a server that does not react, of a keeper whose server is just being started again, of a pool of
// which something is never given back.
import { chownSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'tap';
import type { Config } from '../../server/config/config.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { Database } from '../../server/postgres/database.ts';
import { type EmbeddedOptions, startEmbedded } from '../../server/postgres/embedded.ts';
import { DatabaseKeeper } from '../../server/supervisor/database-keeper.ts';
import { ensureUser } from '../../server/supervisor/layout.ts';
import { createTestDatabase, type Teardown, temporaryDirectory } from '../support/database.ts';

const log = createLogger({ log: { level: 'error', pretty: false } } as Config, 'supervisor');

function place(t: Teardown): EmbeddedOptions {
  const directory = temporaryDirectory(t);
  const user = process.getuid?.() === 0 ? ensureUser('cofferdam-db', []) : null;
  const socketDirectory = join(directory, 'pg');
  mkdirSync(socketDirectory);
  if (user !== null) for (const one of [directory, socketDirectory]) chownSync(one, user.uid, user.gid);
  return {
    dataDirectory: join(directory, 'data'),
    socketDirectory,
    superuserPassword: 'test',
    user,
    startTimeoutMs: 60_000,
    stopTimeoutMs: 400,
  };
}

const isAlive = (pid: number): boolean =>
  existsSync(`/proc/${pid}`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));

test('a server that does not react is ended by force, and starts again; one that reacts ends in order', async (t) => {
  const options = place(t);
  const still = await startEmbedded(options);
  process.kill(still.pid, 'SIGSTOP');
  await still.stop();
  t.notOk(isAlive(still.pid), 'it has gone');
  const again = await startEmbedded({ ...options, stopTimeoutMs: 60_000 });
  t.ok(isAlive(again.pid), 'what was committed is recovered');
  await again.stop();
  t.notOk(isAlive(again.pid));
  t.notOk(existsSync(join(options.dataDirectory, 'postmaster.pid')), 'in order');
});

test('a keeper that stops while its server is about to start again leaves none behind', async (t) => {
  const options = { ...place(t), stopTimeoutMs: 60_000 };
  const keeper = new DatabaseKeeper(options, log);
  await keeper.start();
  const pidFile = join(options.dataDirectory, 'postmaster.pid');
  const pidOf = (): number => (existsSync(pidFile) ? Number(readFileSync(pidFile, 'utf8').split('\n')[0]) : 0);
  const first = pidOf();
  t.ok(isAlive(first));
  process.kill(first, 'SIGQUIT');
  for (const end = Date.now() + 20_000; isAlive(first) && Date.now() < end; ) await sleep(10);
  await keeper.stop();
  // Longer than the pause before it starts a server again.
  await sleep(1500);
  const left = pidOf();
  if (left !== 0 && isAlive(left)) process.kill(left, 'SIGQUIT');
  t.notOk(left !== 0 && isAlive(left), 'no server runs behind its keeper');
});

test('a pool ends when work is never given back, and what that work did is undone', async (t) => {
  const sql = await createTestDatabase(t);
  const database = new Database({ url: sql.migrateUrl, applicationName: 'never', connectionsMax: 2 });
  await sql.query('create table once (n int)');
  const forever = database.withSystem(async (tx) => {
    await tx.query('insert into once values (1)');
    await new Promise(() => {});
  });
  forever.catch(() => {});
  for (const end = Date.now() + 20_000; Date.now() < end; await sleep(20))
    if (
      (
        await sql.query(
          "select 1 from pg_stat_activity where application_name = 'never' and state = 'idle in transaction'",
        )
      ).length > 0
    )
      break;
  const began = Date.now();
  await database.close();
  t.ok(Date.now() - began < 60_000, 'closing it ends');
  const open = "select 1 from pg_stat_activity where application_name = 'never'";
  for (const end = Date.now() + 20_000; (await sql.query(open)).length > 0 && Date.now() < end; ) await sleep(20);
  t.same(await sql.query(open), [], 'no connection is left');
  t.same(await sql.query('select n from once'), [], 'nothing of it stays');
});

test('its twin: work that ends in time is waited for', async (t) => {
  const sql = await createTestDatabase(t);
  const database = new Database({ url: sql.migrateUrl, applicationName: 'soon', connectionsMax: 2 });
  await sql.query('create table once (n int)');
  let begun = (): void => {};
  const began = new Promise<void>((resolve) => (begun = resolve));
  const work = database.withSystem(async (tx) => {
    begun();
    await sleep(200);
    await tx.query('insert into once values (1)');
  });
  await began;
  await database.close();
  await work;
  t.same(await sql.query('select n from once'), [{ n: 1 }]);
});
