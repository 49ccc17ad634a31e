// The store on a directory: what is copied, under which name and mode; what is refused, and that a refusal leaves
// nothing behind; lists that are bounded.
import { createHash, randomBytes } from 'node:crypto';
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import type { NodeName, ObjectId } from '../../server/domain/ids.ts';
import {
  deleteObject,
  discardStaged,
  type Found,
  freeBytes,
  listIncoming,
  listObjects,
  listStaged,
  objectPath,
  publishObject,
  removeIncoming,
  removeStray,
  type StorePaths,
  stageObject,
} from '../../server/extents/object-store.ts';

const node = 'partner-1' as NodeName;
const id = (n: number): ObjectId => n.toString(16).padStart(32, 'a') as ObjectId;

type Store = {
  readonly paths: StorePaths;
  readonly incoming: (object: ObjectId, data: Buffer) => string;
  readonly copies: () => readonly string[];
};
function storeOf(t: Test): Store {
  const root = mkdtempSync(join(tmpdir(), 'cofferdam-store-'));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  const paths: StorePaths = { incoming: (name) => join(root, 'incoming', name), objects: join(root, 'objects') };
  mkdirSync(paths.incoming(node), { recursive: true });
  mkdirSync(paths.objects);
  return {
    paths,
    incoming: (object, data) => {
      const path = join(paths.incoming(node), object);
      writeFileSync(path, data);
      return path;
    },
    copies: () => (existsSync(join(paths.objects, 'new')) ? readdirSync(join(paths.objects, 'new')) : []),
  };
}

test('an object is copied as a whole, published under its name once, and deleted', async (t) => {
  const { paths, incoming, copies } = storeOf(t);
  for (const bytes of [1, 1_048_575, 1_048_576, 1_048_577, 3_000_001]) {
    const data = randomBytes(bytes);
    const object = id(bytes);
    const source = incoming(object, data);
    const staged = await stageObject(paths, node, object, bytes);
    t.equal(staged.object, object);
    t.ok(staged.digest.equals(createHash('sha256').update(data).digest()), `${bytes} bytes: the digest`);
    t.ok(readFileSync(staged.path).equals(data), 'a copy of the same bytes');
    t.not(statSync(staged.path).ino, statSync(source).ino, 'in a file of its own');
    t.equal(statSync(staged.path).mode & 0o777, 0o440, 'that nobody writes');
    t.match(staged.path, new RegExp(`/objects/new/${object}\\.[0-9a-f]{16}$`));
    t.ok(existsSync(source), 'and the source is still there');
    await publishObject(paths, staged);
    const path = objectPath(paths.objects, object);
    t.equal(path, join(paths.objects, object.slice(0, 2), object));
    t.equal(statSync(path).ino, statSync(staged.path).ino);
    t.equal(statSync(join(paths.objects, object.slice(0, 2))).mode & 0o777, 0o750 & ~process.umask());
    await discardStaged(staged);
    await discardStaged(staged);
    t.same(copies(), []);
    t.ok(readFileSync(path).equals(data), 'the published name stays');
    await removeIncoming(paths, node, object);
    await removeIncoming(paths, node, object);
    t.notOk(existsSync(source));
    await deleteObject(paths, object);
    await deleteObject(paths, object);
    t.notOk(existsSync(path));
  }
});

test('a name that exists: the same bytes are the same object, other bytes are a conflict, and the existing object stays', async (t) => {
  const { paths, incoming } = storeOf(t);
  const object = id(1);
  const stage = async (data: Buffer) => {
    incoming(object, data);
    return stageObject(paths, node, object, data.length);
  };
  await publishObject(paths, await stage(Buffer.from('the first')));
  await publishObject(paths, await stage(Buffer.from('the first')));
  for (const other of ['the other', 'the first and more', 'the'])
    await t.rejects(publishObject(paths, await stage(Buffer.from(other))), {
      code: 'conflict',
      message: 'this object is already stored with different content; send the file again',
    });
  t.equal(readFileSync(objectPath(paths.objects, object), 'utf8'), 'the first');
  rmSync(objectPath(paths.objects, object));
  symlinkSync('/etc/hostname', objectPath(paths.objects, object));
  await t.rejects(publishObject(paths, await stage(Buffer.from('x'))), { code: 'ELOOP' }, 'a link is not followed');
});

test('an object that cannot be copied leaves no copy', async (t) => {
  const { paths, incoming, copies } = storeOf(t);
  const object = id(2);
  const refused = (bytes: number, message: RegExp, why: string): Promise<unknown> =>
    t.rejects(stageObject(paths, node, object, bytes), { code: 'invalid', message }, why);
  await refused(1, /missing or cannot be opened/, 'nothing there');
  const source = incoming(object, Buffer.alloc(10));
  for (const bytes of [9, 11]) await refused(bytes, /the declared size/, `${bytes} of 10 bytes`);
  linkSync(source, `${source}.link`);
  await refused(10, /a single link/, 'another name for the same file');
  rmSync(`${source}.link`);
  rmSync(source);
  symlinkSync('/etc/hostname', source);
  await refused(statSync('/etc/hostname').size, /missing or cannot be opened/, 'a symbolic link');
  rmSync(source);
  mkdirSync(source);
  await refused(statSync(source).size, /a regular file/, 'a directory');
  t.same(copies(), []);
  rmSync(source, { recursive: true });
  incoming(object, Buffer.alloc(10));
  const copied = await stageObject(paths, node, object, 10);
  t.equal(copies().length, 1, 'the twin: as it should be, it is taken');
  rmSync(objectPath(paths.objects, object), { force: true });
  writeFileSync(join(paths.objects, object.slice(0, 2)), 'a file where a directory should be');
  await t.rejects(publishObject(paths, copied), { code: /EEXIST|ENOTDIR/ });
});

test('lists name what exists, of every kind, up to a bound', async (t) => {
  const { paths, incoming } = storeOf(t);
  t.same(await listStaged(paths, 10), { found: [], isWhole: true, fault: null }, 'a missing directory is an empty one');
  t.same(await listIncoming(paths, 'nobody', 10), { found: [], isWhole: true, fault: null });
  const source = incoming(id(3), Buffer.alloc(5000));
  const future = Date.now() / 1000 + 86_400;
  utimesSync(source, future, future);
  mkdirSync(join(paths.incoming(node), 'a directory'));
  symlinkSync('/etc/hostname', join(paths.incoming(node), 'a link'));
  const { found, isWhole, fault } = await listIncoming(paths, node, 3);
  t.same([isWhole, fault], [true, null], 'as many as fit');
  const byName = new Map(found.map((one) => [one.name, one]));
  t.equal(byName.get(id(3))?.kind, 'file');
  t.equal(byName.get('a directory')?.kind, 'other');
  t.equal(byName.get('a link')?.kind, 'other');
  t.equal(byName.get(id(3))?.bytes, statSync(source).blocks * 512);
  const age = byName.get(id(3))?.ageMs ?? -1;
  t.ok(age > -1000 && age < 60_000, `a time in the future makes nothing young: ${age} ms`);
  utimesSync(source, 1000, 1000);
  const old = (await listIncoming(paths, node, 3)).found.find((one) => one.name === id(3))?.ageMs ?? 0;
  t.ok(Math.abs(old - (Date.now() - 1_000_000)) < 60_000, 'a time in the past counts');
  const less = await listIncoming(paths, node, 2);
  t.same([less.found.length, less.isWhole, less.fault], [2, false, null]);
  t.same(await listIncoming(paths, node, 0), { found: [], isWhole: false, fault: null });
  const file = join(paths.objects, 'ff');
  writeFileSync(file, '');
  t.same(
    await listObjects(paths, 'ff', 10),
    { found: [], isWhole: false, fault: 'ENOTDIR' },
    'what cannot be listed says so',
  );
  t.same((await listObjects(paths, 'fe', 10)).isWhole, true);
  t.throws(() => listObjects(paths, '..', 10));
});

test('a name of any bytes is listed, counted and removed: whoever writes into a directory chooses them', async (t) => {
  const { paths, incoming } = storeOf(t);
  const directory = paths.incoming(node);
  const pathOf = (bytes: readonly number[]): Buffer =>
    Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(bytes)]);
  const names = [[0xff, 0x61], [0xc3, 0xa4], [0x80], [0x0a], [0xed, 0xa0, 0x80]];
  for (const name of names) writeFileSync(pathOf(name), Buffer.alloc(5000));
  const { found, isWhole, fault } = await listIncoming(paths, node, 10);
  t.same([found.length, isWhole, fault], [names.length, true, null]);
  for (const one of found) {
    t.same([one.kind, one.bytes], ['file', statSync(incoming(id(5), Buffer.alloc(5000))).blocks * 512]);
    await removeStray(paths, { node }, one);
  }
  t.same(readdirSync(directory), [id(5)]);
});

test('strays: files, links and empty directories are removed; a directory that is not empty stays and is reported', async (t) => {
  const { paths, incoming } = storeOf(t);
  const stray = (name: string): Found => ({ name, kind: 'other', ageMs: 0, bytes: 0 });
  const path = incoming(id(4), Buffer.alloc(1));
  await removeStray(paths, { node }, stray(id(4)));
  t.notOk(existsSync(path));
  const directory = join(paths.incoming(node), 'empty');
  mkdirSync(directory);
  await removeStray(paths, { node }, stray('empty'));
  t.notOk(existsSync(directory));
  mkdirSync(directory);
  writeFileSync(join(directory, 'x'), '');
  await t.rejects(removeStray(paths, { node }, stray('empty')), { code: 'ENOTEMPTY' });
  await t.rejects(removeStray(paths, { node }, stray('missing')), { code: 'ENOENT' });
  await t.rejects(removeStray(paths, { node }, stray('../x')), 'a name that leads elsewhere');
  mkdirSync(join(paths.objects, 'new'));
  writeFileSync(join(paths.objects, 'new', 'left'), '');
  t.equal((await listStaged(paths, 10)).found.length, 1);
  await removeStray(paths, 'staged', stray('left'));
  t.same((await listStaged(paths, 10)).found, []);
});

test('the free space is what an unprivileged user may write', async (t) => {
  const { paths } = storeOf(t);
  const free = await freeBytes(paths.objects);
  t.ok(Number.isSafeInteger(free) && free > 0, `${free} bytes`);
});
