// T-35: what an edge leaves in its directory of the store is counted. When it is too much, that edge begins no new
// files, an alarm says so, and what no upload waits for is removed. The other edges continue.
import { mkdirSync, readFileSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { type Config, defaultLimits, runtimePaths } from '../../server/config/config.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { Database } from '../../server/postgres/database.ts';
import { Incoming } from '../../server/warden/transfers/incoming-allowance.ts';
import { createTestDatabase, temporaryDirectory } from '../support/database.ts';
import { startWorld } from '../support/world.ts';

const mib = 1024 * 1024;
const object = (n: number): string => n.toString(16).padStart(32, '0');
const bytes = (length: number): Buffer => Buffer.alloc(length, 7);

async function setUp(t: Test) {
  const sql = await createTestDatabase(t);
  const database = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 2 });
  t.teardown(() => database.close());
  const directory = temporaryDirectory(t);
  const config = {
    runtimeDirectory: directory,
    storeDirectory: join(directory, 'store'),
    limits: { ...defaultLimits, incomingBytesMax: 2 * mib },
  } as Config;
  const log = createLogger({ log: { level: 'fatal' as 'error', pretty: false } }, 'test');
  const incoming = new Incoming({ paths: runtimePaths(config), limits: config.limits, database, log });
  const place = (node: string): string => runtimePaths(config).incoming(node);
  for (const node of ['partner-1', 'internal-1']) mkdirSync(place(node), { recursive: true });
  const put = (name: string, length: number, ageMs = 0): void => {
    writeFileSync(join(place('partner-1'), name), bytes(length));
    const at = (Date.now() - ageMs) / 1000;
    utimesSync(join(place('partner-1'), name), at, at);
  };
  const verdict = async (node: string): Promise<string> => {
    await incoming.look(node);
    return incoming.require(node).then(
      () => 'may begin',
      (error: Error & { readonly code?: string }) => `${error.code}: ${error.message}`,
    );
  };
  const alarms = async (): Promise<readonly string[]> =>
    (
      await sql.query<{ line: string }>(
        "select severity || ' ' || subject || ': ' || text as line from alert where kind = 'node.over-allowance'",
      )
    ).map(({ line }) => line);
  /** An extent that was begun: its row exists before its file. */
  const issued = async (name: string): Promise<void> => {
    await sql.query('set session_replication_role = replica');
    await sql.query(
      'insert into pending_extent (object_id, customer_id, content_id, index, upload_id) values ($1, gen_random_uuid(), gen_random_uuid(), 0, gen_random_uuid())',
      [name],
    );
    await sql.query('set session_replication_role = origin');
  };
  return { put, place, verdict, alarms, issued };
}

const refused = 'over-limit: no space for new files at the moment; nothing was stored';

test('more bytes than an edge may have in the store', async (t) => {
  const { put, place, verdict, alarms } = await setUp(t);
  put(object(1), mib);
  t.equal(await verdict('partner-1'), 'may begin');
  t.same(await alarms(), []);
  put(object(2), 2 * mib);
  t.equal(await verdict('partner-1'), refused);
  t.equal(await verdict('internal-1'), 'may begin', 'the other one is served');
  const [alarm, ...more] = await alarms();
  t.match(
    alarm,
    /^critical partner-1\/incoming: partner-1 exceeds its limit in the incoming directory \(0\.0 GiB that no upload waits for, in 2 files\)/,
  );
  t.same(more, []);
  rmSync(join(place('partner-1'), object(2)));
  t.equal(await verdict('partner-1'), 'may begin', 'as soon as there is less');
  writeFileSync(join(place('partner-1'), object(3)), '');
  truncateSync(join(place('partner-1'), object(3)), 1024 * mib);
  t.equal(await verdict('partner-1'), 'may begin', 'what a file takes counts, not what it says');
});

test('what no upload waits for is removed when it is old enough', async (t) => {
  const { put, verdict, alarms } = await setUp(t);
  put(object(1), 2 * mib, 120_000);
  put(object(2), 2 * mib, 120_000);
  t.equal(await verdict('partner-1'), 'may begin');
  t.same(await alarms(), [], 'nothing is left to tell');
});

test('what is no object stops nobody: it has an alarm of its own, and may stay forever', async (t) => {
  const { place, verdict } = await setUp(t);
  const odd = join(place('partner-1'), 'a directory');
  mkdirSync(odd);
  writeFileSync(join(odd, 'anything'), bytes(1));
  t.equal(await verdict('partner-1'), 'may begin');
});

test('what cannot be counted is too much', async (t) => {
  const { place, verdict, alarms } = await setUp(t);
  rmSync(place('partner-1'), { recursive: true });
  writeFileSync(place('partner-1'), '');
  t.equal(await verdict('partner-1'), refused);
  t.match(await alarms(), [/its files cannot be counted/]);
  rmSync(place('partner-1'));
  mkdirSync(place('partner-1'));
  t.equal(await verdict('partner-1'), 'may begin');
});

test('what uploads wait for is counted elsewhere: files that are never closed take nothing from others', async (t) => {
  const { put, verdict, alarms, issued } = await setUp(t);
  for (const n of [1, 2, 3]) {
    await issued(object(n));
    put(object(n), mib);
  }
  t.equal(await verdict('partner-1'), 'may begin');
  t.same(await alarms(), []);
  put(object(2), 20 * mib);
  t.equal(await verdict('partner-1'), refused, 'more than an extent is no extent');
});

test('a whole gateway', async (t) => {
  const world = await startWorld(t, { limits: { incomingBytesMax: mib } });
  const file = join(world.directory, 'file');
  writeFileSync(file, bytes(300_000));
  t.equal((await world.sftp('acme-batch', [`put ${file} deposit/before`])).code, 0);
  const store = join(world.directory, 'run', 'config.json');
  const { storeDirectory } = JSON.parse(readFileSync(store, 'utf8')) as Config;
  const left = join(storeDirectory, 'incoming', 'partner-1', object(1));
  writeFileSync(left, bytes(2 * mib));
  // Examined again after five seconds.
  const meets = async (pattern: RegExp | null): Promise<boolean> => {
    for (const end = Date.now() + 60_000; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 500))) {
      const done = await world.sftp('acme-batch', [`put ${file} deposit/f${Date.now()}`]);
      if (pattern === null ? done.code === 0 : done.code !== 0 && pattern.test(done.err)) return true;
    }
    return false;
  };
  t.ok(await meets(/no space for new files|Failure/), 'its edge begins no new file');
  t.match((await world.cofferctl(['alert', 'list'])).out, /partner-1 exceeds its limit in the incoming directory/);
  const own = await world.sftp('processor', [`put ${file} acme/collect/answer`]);
  t.equal(own.code, 0, `the other plane goes on: ${own.err}`);
  rmSync(left);
  t.ok(await meets(null), 'until there is less');
});
