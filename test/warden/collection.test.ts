// T-35: what no version needs is freed, what no row names is deleted, and what an edge puts beside that is bounded and
// told.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { runtimePaths } from '../../server/config/config.ts';
import { loadConfig } from '../../server/config/load.ts';
import { idOf, type NodeName, type ObjectId } from '../../server/domain/ids.ts';
import { StoreLink } from '../../server/edge/sftp/store-link.ts';
import { objectPath } from '../../server/extents/directory-store.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { Database } from '../../server/postgres/database.ts';
import { countedBytes } from '../../server/store/unsettled.ts';
import type { VersionState } from '../../server/warden/catalogue/tree-queries.ts';
import { settingsOf, type Warden } from '../../server/warden/context/context.ts';
import type { StoreClient } from '../../server/warden/store/store-client.ts';
import { collectUnsettled, searchStrays, watchAllowances } from '../../server/warden/transfers/recovery.ts';
import { collect } from '../../server/warden/transfers/sweeps.ts';
import { createTestDatabase, type Teardown, type TestDatabase, temporaryDirectory } from '../support/database.ts';
import {
  addAccount,
  addContent,
  addCustomer,
  addCustomerKey,
  addFile,
  addFolder,
  addVersion,
} from '../support/rows.ts';
import { startAgainStore, testTicket } from '../support/store.ts';

const partner = idOf<NodeName>('partner-1');
const newObject = (): ObjectId => idOf<ObjectId>(randomBytes(16).toString('hex'));

async function setUp(
  t: Teardown,
  unsettledBytesMax = 2 ** 30,
): Promise<{
  readonly sql: TestDatabase;
  readonly warden: Pick<Warden, 'limits' | 'paths' | 'edges' | 'database' | 'log'> & { readonly store: StoreClient };
  readonly paths: ReturnType<typeof runtimePaths>;
  /** Ends the store and starts it again. */
  readonly restart: () => Promise<void>;
}> {
  const sql = await createTestDatabase(t);
  const given = loadConfig({
    file: undefined,
    env: { COFFERDAM_VAR: temporaryDirectory(t) },
    isRoot: false,
    isTerminal: false,
    projectDirectory: '/',
  });
  const config = { ...given, limits: { ...given.limits, unsettledBytesMax } };
  const paths = runtimePaths(config);
  const { client: store, restart } = await startAgainStore(t, config);
  const database = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 2 });
  t.teardown(() => database.close());
  return {
    sql,
    paths,
    restart,
    warden: {
      ...settingsOf(config),
      store,
      database,
      log: createLogger({ log: { level: 'error', pretty: false } }, 'test'),
    },
  };
}

/** A content with its rows; returns the id of the object. */
async function seedVersion(
  sql: TestDatabase,
  state: VersionState,
  object: ObjectId,
  openedAgoHours: number,
): Promise<void> {
  const customer = await addCustomer(sql, { name: `c-${randomUUID().slice(0, 8)}` });
  await addCustomerKey(sql, { customer });
  const account = await addAccount(sql, { customer });
  const file = await addFile(sql, { customer, folder: await addFolder(sql, { customer }) });
  const content = await addContent(sql, { customer });
  await sql.query(
    "insert into extent (content_id, index, customer_id, object_id, start, bytes, sealed_bytes, digest, node) values ($1, 0, $2, $3, 0, 1, 1, sha256('x'), 'n')",
    [content, customer, object],
  );
  await addVersion(sql, {
    customer,
    file,
    content,
    state,
    extentCount: 1,
    size: 1,
    sha256: createHash('sha256').update('x').digest(),
    account,
    openedAt: `now() - interval '${openedAgoHours} hours'`,
    closedAt: 'now()',
    publishedAt: 'now()',
  });
}

function putObject(objects: string, object: ObjectId, ageMinutes: number): string {
  const path = objectPath(objects, object);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, 'x');
  const time = Date.now() / 1000 - ageMinutes * 60;
  utimesSync(path, time, time);
  return path;
}

test('what no version needs is collected, and what one needs never is', async (t) => {
  const { sql, warden, paths } = await setUp(t);
  const states = {
    published: newObject(),
    discarded: newObject(),
    freshPartial: newObject(),
    oldPartial: newObject(),
    withdrawn: newObject(),
  };
  const files = Object.fromEntries(
    Object.entries(states).map(([name, object]) => [name, putObject(paths.objects, object, 60)]),
  );
  await seedVersion(sql, 'published', states.published, 48);
  await seedVersion(sql, 'discarded', states.discarded, 1);
  await seedVersion(sql, 'partial', states.freshPartial, 1);
  await seedVersion(sql, 'partial', states.oldPartial, 48);
  await seedVersion(sql, 'withdrawn', states.withdrawn, 48);
  await collect(warden);
  await collect(warden);
  for (const [name, isKept] of [
    ['published', true],
    ['withdrawn', true],
    ['freshPartial', true],
    ['discarded', false],
    ['oldPartial', false],
  ] as const)
    t.equal(existsSync(files[name] ?? ''), isKept, `${name}: ${isKept ? 'kept' : 'collected'}`);
  t.same(await sql.query('select object_id from doomed_object'), [], 'nothing is left half-deleted');
  t.equal(
    (await sql.query("select 1 from ledger where kind = 'upload.expired'")).length,
    1,
    'the expiry is on the record',
  );
});

/** Puts an object as an edge does. */
async function putAsEdge(paths: ReturnType<typeof runtimePaths>, object: ObjectId, bytes = 1000): Promise<void> {
  const put = new StoreLink(paths.storeSocket(partner)).put(testTicket(object));
  try {
    for (let at = 0; at < bytes; at += 262_144) await put.write([Buffer.alloc(Math.min(262_144, bytes - at), 7)]);
    await put.end();
  } finally {
    put.abort();
  }
}

/** The extent of this object lies in its row: whatever is in the store under its name, no row names it. */
async function keepInRow(sql: TestDatabase, object: ObjectId): Promise<void> {
  await sql.query('set session_replication_role = replica');
  await sql.query("update extent set inline = 'x' where object_id = $1", [object]);
  await sql.query('set session_replication_role = origin');
}

/** An extent that was begun. */
async function issue(sql: TestDatabase, object: ObjectId): Promise<void> {
  await sql.query('set session_replication_role = replica');
  await sql.query(
    'insert into pending_extent (object_id, customer_id, content_id, index, upload_id) values ($1, gen_random_uuid(), gen_random_uuid(), 0, gen_random_uuid())',
    [object],
  );
  await sql.query('set session_replication_role = origin');
}

test('strays of earlier runs are deleted, and what was issued is taken back; young and known ones stay', async (t) => {
  const { sql, warden, paths } = await setUp(t);
  const known = newObject();
  await seedVersion(sql, 'published', known, 1);
  const [issued, begun] = [newObject(), newObject()];
  for (const object of [issued, begun]) await issue(sql, object);
  const inRow = newObject();
  await seedVersion(sql, 'published', inRow, 1);
  await keepInRow(sql, inRow);
  const files = {
    inRow: putObject(paths.objects, inRow, 60),
    known: putObject(paths.objects, known, 60),
    issued: putObject(paths.objects, issued, 60),
    old: putObject(paths.objects, newObject(), 60),
    young: putObject(paths.objects, newObject(), 1),
    begun: putObject(paths.objects, begun, 1),
  };
  await searchStrays(warden);
  const left = () => Object.entries(files).flatMap(([name, path]) => (existsSync(path) ? [name] : []));
  t.same(left(), ['known', 'young', 'begun']);
  t.same(await sql.query('select object_id from pending_extent'), [{ object_id: begun }], 'nobody can seal it now');
  utimesSync(files.young, 1, 1);
  await searchStrays(warden);
  t.same(left(), ['known', 'young', 'begun'], 'what was searched is left alone until the run is old enough');
});

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test('what an edge left shortly before a restart of the store is deleted soon after the time for it is over', async (t) => {
  const { sql, warden, paths, restart } = await setUp(t);
  const ageMs = 2000;
  const objects = { sealed: newObject(), unknown: newObject(), issued: newObject(), interrupted: newObject() };
  for (const object of Object.values(objects)) await putAsEdge(paths, object);
  await seedVersion(sql, 'published', objects.sealed, 1);
  for (const object of [objects.issued, objects.interrupted]) await issue(sql, object);
  await restart();
  const from = performance.now();
  const left = () =>
    Object.entries(objects).flatMap(([name, object]) => (existsSync(objectPath(paths.objects, object)) ? [name] : []));
  await searchStrays(warden, { ageMs });
  t.same(left(), Object.keys(objects), 'all are young');
  await sql.query('delete from pending_extent where object_id = $1', [objects.interrupted]);
  await pause(ageMs / 2);
  // The allow twin: of the present run, and young when the earlier ones are not any more.
  const present = newObject();
  await putAsEdge(paths, present);
  await issue(sql, present);
  while (left().length > 1 && performance.now() - from < 2 * ageMs) {
    await pause(50);
    await searchStrays(warden, { ageMs });
    if (performance.now() - from < 1.4 * ageMs)
      t.ok(existsSync(objectPath(paths.objects, present)), 'what is young stays');
  }
  t.same(left(), ['sealed'], `within ${Math.round(performance.now() - from)} ms, and what has a row stays`);
  t.same(await sql.query('select object_id from pending_extent'), [{ object_id: present }], 'it can still be sealed');
  t.match((await warden.store.room()).held, [{ node: partner, bytes: countedBytes(1000) }], 'and is counted');
});

test('a search is carried out in parts, and ends when the warden is stopped', async (t) => {
  const { warden, paths } = await setUp(t);
  const files = Array.from({ length: 40 }, () => putObject(paths.objects, newObject(), 60));
  const left = () => files.filter((path) => existsSync(path)).length;
  await searchStrays({ ...warden, mayGoOn: () => false });
  t.equal(left(), 40, 'nothing is begun');
  await searchStrays(warden, { withinMs: 0 });
  t.equal(left(), 40, 'nor without time');
  let groups = 0;
  const mayGoOn = (): boolean => {
    groups += 1;
    return groups % 10 !== 0;
  };
  for (let seen = 40; left() > 0; seen = left()) {
    t.ok(left() <= seen);
    await searchStrays({ ...warden, mayGoOn });
  }
  t.ok(groups >= 256, 'and all of it is done in the end');
});

test('what stands in the store and is no object is told, and stops nothing', async (t) => {
  const { sql, warden, paths } = await setUp(t);
  mkdirSync(join(paths.objects, 'ab', 'a directory'), { recursive: true });
  writeFileSync(join(paths.objects, 'ab', 'a name'), '');
  writeFileSync(join(paths.objects, 'ff'), '');
  const stray = putObject(paths.objects, idOf<ObjectId>(`ab${newObject().slice(2)}`), 60);
  await searchStrays(warden);
  t.notOk(existsSync(stray));
  t.match(await sql.query("select subject, text, facts from alert where kind = 'store.stray' order by subject"), [
    { subject: 'objects/ab', text: /2 entries that are not objects/, facts: { foreign: 2 } },
    { subject: 'objects/ff', text: /cannot be read \(ENOTDIR\)/, facts: { fault: 'ENOTDIR' } },
  ]);
});

test('an object that no upload took is deleted after a while, and its extent can be sealed no more', async (t) => {
  const { sql, warden, paths } = await setUp(t);
  const objects = { sealed: newObject(), issued: newObject(), unknown: newObject(), inRow: newObject() };
  for (const object of Object.values(objects)) await putAsEdge(paths, object);
  await seedVersion(sql, 'published', objects.sealed, 1);
  await issue(sql, objects.issued);
  // A taken edge put it, and sealed the extent with bytes of its own all the same.
  await seedVersion(sql, 'published', objects.inRow, 1);
  await keepInRow(sql, objects.inRow);
  const left = () =>
    Object.entries(objects).flatMap(([name, object]) => (existsSync(objectPath(paths.objects, object)) ? [name] : []));
  await collectUnsettled(warden);
  t.same(left(), ['sealed', 'issued', 'unknown', 'inRow'], 'young ones stay');
  await collectUnsettled(warden, 0);
  t.same(left(), ['sealed'], 'a row keeps its object');
  t.same(await sql.query('select object_id from pending_extent'), [], 'what was issued is taken back');
  t.same(await warden.store.unsettled(0), [], 'and the store counts none of them');
  t.match((await warden.store.room()).held, [{ node: partner, bytes: 0 }]);
});

test('an edge that puts more than uploads take is refused by the store, and told of; the other one is served', async (t) => {
  const { sql, warden, paths } = await setUp(t, 1_000_000);
  const first = newObject();
  await putAsEdge(paths, first, 800_000);
  await watchAllowances(warden);
  const alerts = () => sql.query("select subject, severity, text from alert where kind = 'node.over-allowance'");
  t.same(await alerts(), []);
  await putAsEdge(paths, newObject(), 150_000);
  await watchAllowances(warden);
  t.match(await alerts(), [{ subject: 'partner-1/store', severity: 'critical', text: /what exceeds that is refused/ }]);
  await t.rejects(putAsEdge(paths, newObject(), 100_000), {
    code: 'over-limit',
    message: 'no space for new files at the moment',
  });
  const other = new StoreLink(paths.storeSocket('internal-1')).put(
    testTicket(newObject(), { node: idOf<NodeName>('internal-1') }),
  );
  await other.write([Buffer.alloc(100_000)]);
  t.match(await other.end(), { sealedBytes: 100_000 });
  await warden.store.settle([first]);
  await putAsEdge(paths, newObject(), 100_000);
});
