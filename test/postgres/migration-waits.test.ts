// What a migration waits for has a bound and a name, and whoever waits may give up: nothing stays of what was not
// finished.
import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { type Test, test } from 'tap';
import { advisoryLocks } from '../../server/postgres/advisory-locks.ts';
import { createDatabase, migrate } from '../../server/postgres/migrate.ts';
import { watchMigration } from '../../server/postgres/migration-watch.ts';
import {
  createEmptyDatabase,
  migrations,
  startTestServer,
  temporaryDirectory,
  testPasswords,
} from '../support/database.ts';
import { until } from '../support/until.ts';

const project = join(import.meta.dirname, '..', '..');
const patienceMs = 60_000;
const shortMs = 1500;
/** The additional table is in no expected catalogue. */
const one = { waitMs: shortMs, isCompared: false };

async function connect(t: Test, url: string, name: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: name });
  client.on('error', () => {});
  await client.connect();
  t.teardown(() => client.end());
  return client;
}

/** The migrations of this tree and one more, on a database that has those of this tree. */
async function oneMore(t: Test, text: string): Promise<{ readonly url: string; readonly directory: string }> {
  const url = await createEmptyDatabase(t);
  await migrate(url, migrations, testPasswords);
  const directory = join(temporaryDirectory(t), 'm');
  cpSync(migrations, directory, { recursive: true });
  writeFileSync(join(directory, '9000_one_more.sql'), text);
  return { url, directory };
}

const applied = async (client: pg.Client): Promise<boolean> =>
  (await client.query("select 1 from schema_migration where name like '9000%'")).rowCount === 1;

test('a migration waits for another one, names the holder of its lock, and ends at the bound; a leading sealer is fine', async (t) => {
  const { url, directory } = await oneMore(t, 'create table one_more (id int)');
  const other = await connect(t, url, 'somebody else');
  await other.query('select pg_advisory_lock($1)', [advisoryLocks.migration]);
  const told: string[] = [];
  const tell = (line: string): void => void told.push(line);
  await t.rejects(migrate(url, directory, testPasswords, { ...one, tell }), {
    code: 'unavailable',
    message:
      /another migration of this database did not end within 1.5 s: its lock is held by process \d+ of the server \(somebody else as /,
  });
  t.match(
    told,
    [/waiting for another migration of this database: process \d+ of the server \(somebody else as /],
    'said at once, and not again and again',
  );
  t.notOk(await applied(other));

  await other.query('select pg_advisory_unlock($1)', [advisoryLocks.migration]);
  await other.query('select pg_advisory_lock($1)', [advisoryLocks.sealerLeadership]);
  t.same(
    await migrate(url, directory, testPasswords, one),
    ['9000_one_more.sql'],
    'twin: the lock is free, and a sealer leads',
  );
});

test('a table that somebody holds ends the migration at the bound, with the name of the holder, and nothing of it stays', async (t) => {
  const { url, directory } = await oneMore(
    t,
    'create table one_more (id int); alter table customer add column more int;',
  );
  const other = await connect(t, url, 'a long report');
  await other.query('begin; select 1 from customer limit 1');
  await t.rejects(migrate(url, directory, testPasswords, one), {
    code: 'unavailable',
    message: /a lock of a table was not given within 1.5 s.*held by process \d+ of the server \(a long report as /,
  });
  t.equal(
    (await other.query("select to_regclass('one_more') as x")).rows[0]?.x,
    null,
    'what came before it in the file is undone',
  );
  await other.query('rollback');
  t.same(await migrate(url, directory, testPasswords, one), ['9000_one_more.sql'], 'twin: nobody holds it');
});

test('a migration that is given up stops where it is: while it waits, and in the middle of a statement', async (t) => {
  const { url, directory } = await oneMore(t, 'create table one_more (id int); select pg_sleep(300);');
  const other = await connect(t, url, 'somebody else');
  await other.query('select pg_advisory_lock($1)', [advisoryLocks.migration]);
  const waiting = new AbortController();
  const first = migrate(url, directory, testPasswords, { signal: waiting.signal, tell: () => waiting.abort() });
  await t.rejects(first, { code: 'unavailable', message: /cancelled as requested/ });
  await other.query('select pg_advisory_unlock($1)', [advisoryLocks.migration]);

  const working = new AbortController();
  const second = migrate(url, directory, testPasswords, { signal: working.signal });
  second.catch(() => {});
  const sleeping = "select 1 from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()";
  await until('it sleeps', async () => (await other.query(sleeping)).rowCount !== 0, { withinMs: patienceMs });
  working.abort();
  await t.rejects(second, { code: 'unavailable', message: /cancelled as requested/ });
  t.equal((await other.query("select to_regclass('one_more') as x")).rows[0]?.x, null, 'undone');
  t.notOk(await applied(other));
  writeFileSync(join(directory, '9000_one_more.sql'), 'create table one_more (id int)');
  t.same(
    await migrate(url, directory, testPasswords, one),
    ['9000_one_more.sql'],
    'twin: the next one goes on from there',
  );
});

test('a migration that is given up between two statements stops at the next one', async (t) => {
  const url = await createEmptyDatabase(t);
  const migrating = await connect(t, url, 'migrating');
  const { rows } = await migrating.query<{ pid: number }>('select pg_backend_pid() as pid');
  const given = new AbortController();
  const watch = watchMigration(await connect(t, url, 'watching'), rows[0]?.pid ?? 0, { signal: given.signal });
  given.abort();
  // The first look cancels nothing, because nothing runs.
  await delay(1500);
  await t.rejects(migrating.query('select pg_sleep(60)'), { code: '57014' }, 'what began afterwards is cancelled');
  await watch.stop();
  t.equal((await migrating.query('select pg_sleep(1)')).rowCount, 1, 'twin: nobody watches any more');
});

const ended = (child: ChildProcess): Promise<number | null> =>
  new Promise((resolve) => child.once('close', (code) => resolve(code)));

test('`cofferdam migrate` says for whom it waits, and ends by SIGTERM', async (t) => {
  // A server of its own: the command gives the roles the passwords of its installation, and roles belong to the whole
  // server.
  const serverDirectory = temporaryDirectory(t);
  const server = await startTestServer(serverDirectory);
  t.teardown(() => server.stop());
  await createDatabase(server.url('postgres'), 'gateway');
  const url = server.url('gateway');
  const other = await connect(t, url, 'somebody else');
  await other.query('select pg_advisory_lock($1)', [advisoryLocks.migration]);
  const directory = temporaryDirectory(t);
  const config = join(directory, 'config.json');
  const edges = [{ node: 'partner-1', plane: 'partner', host: '127.0.0.1', port: 0 }];
  writeFileSync(
    config,
    JSON.stringify({
      mode: 'development',
      runtimeDirectory: join(directory, 'var'),
      edges,
      database: { embedded: false },
    }),
  );
  const start = (role: 'migrate' | 'up'): { readonly child: ChildProcess; readonly said: () => string } => {
    const child = spawn(
      process.execPath,
      ['--import', './scripts/stripped.mjs', 'server/main.ts', role, '--config', config],
      {
        cwd: project,
        env: { ...process.env, DATABASE_URL: url },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    let words = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (words += chunk.toString('utf8')));
    return { child, said: () => words };
  };
  const { child, said } = start('migrate');
  const code = ended(child);
  for (
    const end = performance.now() + patienceMs;
    !said().includes('waiting for') && child.exitCode === null;
    await delay(50)
  )
    if (performance.now() > end) break;
  child.kill('SIGTERM');
  t.equal(await code, 1, 'nobody takes it for done');
  t.match(
    said(),
    /cofferdam migrate: waiting for another migration of this database: process \d+ of the server \(somebody else as /,
  );
  t.match(said(), /cancelled as requested/);
  const whole = start('up');
  const wholeCode = ended(whole.child);
  for (
    const end = performance.now() + patienceMs;
    !whole.said().includes('waiting for') && whole.child.exitCode === null;
    await delay(50)
  )
    if (performance.now() > end) break;
  whole.child.kill('SIGTERM');
  t.equal(await wholeCode, 0, `a start of all roles that is given up has stopped as asked: ${whole.said()}`);
  t.match(whole.said(), /waiting for another migration of this database/);
  await other.query('select pg_advisory_unlock($1)', [advisoryLocks.migration]);
  const again = start('migrate');
  t.equal(await ended(again.child), 0, `twin: ${again.said()}`);
  t.match(again.said(), /applied: 0001_accounts\.sql/);
});
