// Paths are made of parts that were parsed: what a row has as the id of an object or as the name of an edge reaches no
// other file.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'tap';
import { runtimePaths } from '../../server/config/config.ts';
import { loadConfig } from '../../server/config/load.ts';
import { idOf, type ObjectId } from '../../server/domain/ids.ts';
import { archivePart, entryPart, filePart, nodePart, objectPart, prefixPart } from '../../server/domain/path-parts.ts';
import { DirectoryStore, objectPath } from '../../server/extents/directory-store.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { Database } from '../../server/postgres/database.ts';
import { collect } from '../../server/warden/transfers/sweeps.ts';
import { createTestDatabase, temporaryDirectory } from '../support/database.ts';
import { startTestStore } from '../support/store.ts';

const object = 'ab'.repeat(16);
const pathsBelow = (directory: string) => {
  const config = loadConfig({
    file: undefined,
    env: { COFFERDAM_VAR: directory },
    isRoot: false,
    isTerminal: false,
    projectDirectory: '/',
  });
  return { config, paths: runtimePaths(config) };
};

test('each parser accepts the names that we make, and nothing that leaves a directory', (t) => {
  for (const [parse, good, bad] of [
    [objectPart, [object], [object.toUpperCase(), `${object}\n`, `${object.slice(1)}`, `../${object.slice(3)}`, '']],
    [prefixPart, ['00', 'ff'], ['..', 'f', '0/', 'fff']],
    [nodePart, ['partner-1', 'n', 'a.b_c'], ['..', '.', '', 'a/b', '../partner-1', 'A', 'partner-1\n', 'x'.repeat(65)]],
    [filePart, ['.scope-1', `${object}.0f`], ['.', '..', '', 'a/b', 'a\n', 'a\0']],
    [entryPart, ['any name\n', '...'], ['.', '..', '', 'a/b', '\0']],
  ] as const) {
    for (const name of good) t.equal(parse(name), name);
    for (const name of bad) t.throws(() => parse(name), { code: 'corrupt' }, JSON.stringify(name));
  }
  t.equal(archivePart('2026-11-01'), 'ledger-2026-11.jsonl.gz');
  for (const month of ['2026-13-01', '2026-11', '../../x-01', '2026-11-01/', ''])
    t.throws(() => archivePart(month), { code: 'corrupt' });
  t.end();
});

test('the store reaches no file except its objects, whatever an id says', async (t) => {
  const directory = temporaryDirectory(t);
  const { paths } = pathsBelow(directory);
  const there = objectPath(paths.objects, idOf<ObjectId>(object));
  mkdirSync(dirname(there), { recursive: true });
  const store = await DirectoryStore.open(paths.objects);
  const secret = join(directory, 'secret.key');
  writeFileSync(secret, 'a key');
  // Each leads from the directory of the store to the secret; the first two characters of an object name its directory.
  for (const id of ['../secret.key', '../../secret.key', '../../../secret.key']) {
    await t.rejects(store.delete(idOf<ObjectId>(id)), { code: 'corrupt' });
    await t.rejects(store.read(idOf<ObjectId>(id), 0, Buffer.alloc(1)), { code: 'corrupt' });
    t.throws(() => store.begin(idOf<ObjectId>(id)), { code: 'corrupt' });
  }
  t.ok(existsSync(secret));
  writeFileSync(there, 'x');
  await store.delete(idOf<ObjectId>(object));
  t.notOk(existsSync(there), 'twin: an object is deleted');
});

test('a doomed object whose id is a path deletes nothing, is named in an alarm, and the others are deleted', async (t) => {
  const sql = await createTestDatabase(t);
  const directory = temporaryDirectory(t);
  const { config, paths } = pathsBelow(directory);
  const database = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 2 });
  t.teardown(() => database.close());
  const secret = join(directory, 'secret.key');
  writeFileSync(secret, 'a key');
  const other = objectPath(paths.objects, idOf<ObjectId>(object));
  mkdirSync(dirname(other), { recursive: true });
  writeFileSync(other, 'x');
  // From the directory `..` of the objects, which the first two characters name, this is the secret.
  const planted = '../secret.key';
  await sql.query('alter table doomed_object drop constraint doomed_object_object_id_check');
  for (const one of [planted, object])
    await sql.query("insert into doomed_object (object_id, since) values ($1, now() - interval '10 days')", [one]);
  await collect({
    store: await startTestStore(t, config),
    limits: config.limits,
    paths,
    database,
    log: createLogger({ log: { level: 'fatal' as 'error', pretty: false } }, 'test'),
  });
  t.ok(existsSync(secret));
  t.notOk(existsSync(other), 'twin: what is an object is deleted');
  t.same(await sql.query('select object_id from doomed_object'), [{ object_id: planted }]);
  t.match(await sql.query("select subject from alert where kind = 'pass.row-failed'"), [
    { subject: new RegExp(planted.replaceAll('.', '\\.')) },
  ]);
});
