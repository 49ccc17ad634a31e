import { execFileSync } from 'node:child_process';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'tap';
import { runtimePaths } from '../../server/config/config.ts';
import { loadConfig } from '../../server/config/load.ts';
import { idOf, type NodeName, type ObjectId } from '../../server/domain/ids.ts';
import {
  discardStaged,
  listIncoming,
  objectPath,
  publishObject,
  removeIncoming,
  type StagedObject,
  stageObject,
} from '../../server/extents/object-store.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { Database } from '../../server/postgres/database.ts';
import type { VersionState } from '../../server/warden/catalogue/tree-queries.ts';
import { settingsOf, type Warden } from '../../server/warden/context/context.ts';
import { collectStrays, prefixes } from '../../server/warden/transfers/recovery.ts';
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

const node = idOf<NodeName>('partner-1');
const newObject = (): ObjectId => idOf<ObjectId>(randomBytes(16).toString('hex'));

async function setUp(t: Teardown): Promise<{
  readonly sql: TestDatabase;
  readonly warden: Pick<Warden, 'limits' | 'paths' | 'edges' | 'database' | 'log'>;
  readonly paths: ReturnType<typeof runtimePaths>;
}> {
  const sql = await createTestDatabase(t);
  const config = loadConfig({
    file: undefined,
    env: { COFFERDAM_VAR: temporaryDirectory(t) },
    isRoot: false,
    isTerminal: false,
    projectDirectory: '/',
  });
  const paths = runtimePaths(config);
  for (const directory of [paths.objects, paths.incoming('partner-1'), paths.incoming('internal-1')])
    mkdirSync(directory, { recursive: true });
  const database = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 2 });
  t.teardown(() => database.close());
  return {
    sql,
    paths,
    warden: { ...settingsOf(config), database, log: createLogger({ log: { level: 'error', pretty: false } }, 'test') },
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
  await collect(warden as Warden);
  await collect(warden as Warden);
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

test('strays are removed after a while; young ones and known ones stay', async (t) => {
  const { sql, warden, paths } = await setUp(t);
  const known = newObject();
  await seedVersion(sql, 'published', known, 1);
  const knownFile = putObject(paths.objects, known, 60);
  const oldStray = putObject(paths.objects, newObject(), 60);
  const youngStray = putObject(paths.objects, newObject(), 1);
  const incoming = join(paths.incoming('partner-1'), newObject());
  writeFileSync(incoming, 'x');
  utimesSync(incoming, 1, 1);
  await collectStrays(warden as Warden, prefixes);
  t.same(
    [existsSync(knownFile), existsSync(oldStray), existsSync(youngStray), existsSync(incoming)],
    [true, false, true, false],
  );
});

test('an object is taken over as a copy of exactly what was announced', async (t) => {
  const { paths } = await setUp(t);
  const object = newObject();
  const content = randomBytes(3_000_000);
  const incoming = join(paths.incoming(node), object);
  writeFileSync(incoming, content);
  await t.rejects(
    stageObject(paths, node, object, content.length - 1),
    { code: 'invalid', message: /the declared size/ },
    'another size',
  );
  await t.rejects(
    stageObject(paths, node, newObject(), 1),
    { code: 'invalid', message: /the object is missing or cannot be opened/ },
    'not there',
  );
  const other = join(paths.incoming(node), '..', 'other');
  writeFileSync(other, '0123456789');
  const kinds: readonly (readonly [string, (path: string) => void])[] = [
    ['a link', (path) => symlinkSync(other, path)],
    ['a second name of another file', (path) => linkSync(other, path)],
    ['a pipe', (path) => execFileSync('mkfifo', [path])],
    ['a directory', (path) => mkdirSync(path)],
  ];
  for (const [what, make] of kinds) {
    const odd = newObject();
    make(join(paths.incoming(node), odd));
    await t.rejects(
      stageObject(paths, node, odd, what === 'a directory' ? 4096 : 10),
      { code: 'invalid', message: /not/ },
      what,
    );
    t.notOk(existsSync(objectPath(paths.objects, odd)), 'nothing was stored');
  }
  const staged = await stageObject(paths, node, object, content.length);
  t.notOk(existsSync(objectPath(paths.objects, object)), 'no object yet');
  await publishObject(paths, staged);
  await discardStaged(staged);
  t.equal(staged.digest.toString('hex'), createHash('sha256').update(content).digest('hex'));
  writeFileSync(incoming, 'changed by who kept it open');
  t.ok(readFileSync(objectPath(paths.objects, object)).equals(content), 'the sealed copy is another file');
  t.same(readdirSync(join(paths.objects, 'new')), [], 'one name only');
  await removeIncoming(paths, node, object);
  t.notOk(existsSync(incoming));
});

test('an object that has its name is never replaced: the same bytes are the same object, other bytes are refused', async (t) => {
  const { paths } = await setUp(t);
  const object = newObject();
  const incoming = join(paths.incoming(node), object);
  const first = randomBytes(100_000);
  const second = randomBytes(100_000);
  writeFileSync(incoming, first);
  const before = await stageObject(paths, node, object, first.length);
  const again = await stageObject(paths, node, object, first.length);
  writeFileSync(incoming, second);
  const changed = await stageObject(paths, node, object, second.length);
  t.not(before.path, changed.path, 'each try has a copy of its own');
  t.equal(changed.digest.toString('hex'), createHash('sha256').update(second).digest('hex'));
  await publishObject(paths, before);
  await publishObject(paths, again);
  await t.rejects(publishObject(paths, changed), { code: 'conflict', message: /different content/ });
  for (const one of [before, again, changed]) await discardStaged(one);
  t.ok(readFileSync(objectPath(paths.objects, object)).equals(first), 'the first one stands');
  writeFileSync(incoming, 'short');
  const short = await stageObject(paths, node, object, 5);
  await t.rejects(publishObject(paths, short), { code: 'conflict' });
  t.ok(readFileSync(objectPath(paths.objects, object)).equals(first));
});

test('a copy that cannot be made leaves nothing behind, and says so when that is for want of room', async (t) => {
  const { paths } = await setUp(t);
  const object = newObject();
  writeFileSync(join(paths.incoming(node), object), '0123456789');
  const probe = await open(tmpdir());
  const handles = Object.getPrototypeOf(probe) as Record<'datasync', () => Promise<void>>;
  await probe.close();
  const original = handles.datasync;
  t.teardown(() => {
    handles.datasync = original;
  });
  for (const [fault, code] of [
    ['ENOSPC', 'over-limit'],
    ['EDQUOT', 'over-limit'],
    ['EIO', 'EIO'],
  ] as const) {
    handles.datasync = () => Promise.reject(Object.assign(new Error(fault), { code: fault }));
    await t.rejects(stageObject(paths, node, object, 10), { code }, fault);
    t.same(readdirSync(join(paths.objects, 'new')), [], 'no copy is left');
  }
  handles.datasync = original;
  await stageObject(paths, node, object, 10);
  t.equal(readdirSync(join(paths.objects, 'new')).length, 1, 'the twin: one that was made');
});

/** What is made durable while `work` runs: paths, each with its content at that moment. Only in this process. */
async function madeDurable(
  t: Teardown,
  work: () => Promise<void>,
): Promise<readonly { readonly path: string; readonly names: readonly string[] }[]> {
  const probe = await open(tmpdir());
  const handles = Object.getPrototypeOf(probe) as Record<'sync' | 'datasync', (this: FileHandle) => Promise<void>>;
  await probe.close();
  const seen: { readonly path: string; readonly names: readonly string[] }[] = [];
  for (const name of ['sync', 'datasync'] as const) {
    const original = handles[name];
    t.teardown(() => {
      handles[name] = original;
    });
    handles[name] = async function (this: FileHandle) {
      const path = readlinkSync(`/proc/self/fd/${this.fd}`);
      await original.call(this);
      seen.push({ path, names: (await this.stat()).isDirectory() ? readdirSync(path) : [] });
    };
  }
  await work();
  return seen;
}

test('an object is durable before anybody is told of it: its bytes, its name, and the new directories', async (t) => {
  const { paths } = await setUp(t);
  const object = newObject();
  writeFileSync(join(paths.incoming(node), object), 'content');
  const copies: StagedObject[] = [];
  const first = await madeDurable(t, async () => void copies.push(await stageObject(paths, node, object, 7)));
  const [staged] = copies;
  if (staged === undefined) throw new Error('there is no copy');
  t.same(
    first.map(({ path }) => path),
    [paths.objects, staged.path],
    'the directory of copies, and the copy',
  );
  const second = await madeDurable(t, () => publishObject(paths, staged));
  const directory = join(paths.objects, object.slice(0, 2));
  const last = second.at(-1);
  t.ok(
    second.some(({ path }) => path === paths.objects),
    'the name of its directory',
  );
  t.same([last?.path, last?.names], [directory, [object]], 'and, when it stands there, its own');
  const again = await madeDurable(t, () => publishObject(paths, staged));
  t.match(
    again.at(-1),
    { path: directory, names: [object] },
    'a name that was there already came from somebody who may not have got so far',
  );
});

test('a modification time in the future makes nothing young, and one in the past makes it old', async (t) => {
  const { paths } = await setUp(t);
  const at = { forward: newObject(), back: newObject(), plain: newObject() };
  for (const name of Object.values(at)) writeFileSync(join(paths.incoming(node), name), 'x');
  utimesSync(join(paths.incoming(node), at.forward), 4_000_000_000, 4_000_000_000);
  utimesSync(join(paths.incoming(node), at.back), 1, 1);
  const { found } = await listIncoming(paths, node, 10);
  const ageOf = (name: string): number => found.find((one) => one.name === name)?.ageMs ?? Number.NaN;
  // The clock of the file system is a tick behind.
  t.ok(ageOf(at.forward) > -1000, `${ageOf(at.forward)} ms`);
  t.ok(ageOf(at.plain) > -1000 && ageOf(at.plain) < 600_000, `${ageOf(at.plain)} ms`);
  t.ok(ageOf(at.back) > 1e12, `${ageOf(at.back)} ms`);
});

test('what an edge puts beside its objects stops nobody: it is removed where possible, and reported in any case', async (t) => {
  const { sql, warden, paths } = await setUp(t);
  const at = (name: string): string => join(paths.incoming(node), name);
  const directories = { empty: newObject(), full: newObject() };
  mkdirSync(at(directories.empty));
  mkdirSync(at(directories.full));
  writeFileSync(join(at(directories.full), 'x'), 'x');
  symlinkSync('/etc/passwd', at(newObject()));
  execFileSync('mkfifo', [at('pipe')]);
  writeFileSync(at('no-name-of-an-object'), 'x');
  const ageless = at(newObject());
  writeFileSync(ageless, 'x');
  for (const name of [...Object.values(directories), 'pipe', 'no-name-of-an-object']) utimesSync(at(name), 1, 1);
  execFileSync('touch', ['--no-dereference', '--date=@1', ...readdirSync(paths.incoming(node)).map(at)]);
  const late = at(newObject());
  writeFileSync(late, 'x');
  utimesSync(late, 4_000_000_000, 4_000_000_000);
  const alerts = () =>
    sql.query<{ subject: string; text: string; facts: object }>(
      "select subject, text, facts from alert where kind = 'store.stray'",
    );
  await collectStrays(warden as Warden, prefixes);
  t.same(
    readdirSync(paths.incoming(node)).sort(),
    [directories.full, late.split('/').at(-1)].sort(),
    'all but what could not, and what is young',
  );
  t.match(await alerts(), [{ subject: paths.incoming(node), facts: { foreign: 5, left: 1, removed: 5 } }]);
  t.match((await alerts())[0]?.text, /5 entries that are not objects; 1 entries that cannot be removed/);
  rmSync(at(directories.full), { recursive: true });
  await sql.query('delete from alert');
  await collectStrays(warden as Warden, prefixes);
  t.same(await alerts(), [], 'the twin: nothing is told of a directory that is as it should be');

  // The directory itself: gone, a file, or not accessible.
  for (const make of [
    () => {},
    () => writeFileSync(paths.incoming('internal-1'), ''),
    () => mkdirSync(paths.incoming('internal-1')),
  ]) {
    rmSync(paths.incoming('internal-1'), { recursive: true, force: true });
    make();
    if (existsSync(paths.incoming('internal-1'))) chmodSync(paths.incoming('internal-1'), 0);
    await collectStrays(warden as Warden, prefixes);
  }
  t.match(await alerts(), [{ subject: paths.incoming('internal-1'), text: /cannot be read \(ENOTDIR\)/ }]);
});
