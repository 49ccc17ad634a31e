// The store on a directory conforms, on the file systems of this machine, with and without the page cache; what stands
// where, with which mode; what others may have put there; and a full disk.
import { execFileSync } from 'node:child_process';
import {
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
import type { ObjectId } from '../../server/domain/ids.ts';
import { DirectoryStore, objectPath } from '../../server/extents/directory-store.ts';
import type { ObjectWriter } from '../../server/extents/object-store.ts';
import { conforms, newObject, putObject } from './conformance.ts';

function directoryOf(t: Test, below = tmpdir()): string {
  const objects = mkdtempSync(join(below, 'objects-'));
  t.teardown(() => rmSync(objects, { recursive: true, force: true }));
  return objects;
}

test('a directory conforms: as this file system takes it, and with the page cache', async (t) => {
  for (const below of new Set([tmpdir(), '/var/tmp']))
    for (const mayBeDirect of [true, false]) {
      const objects = directoryOf(t, below);
      const store = await DirectoryStore.open(objects, mayBeDirect);
      if (!mayBeDirect) t.notOk(store.isDirect);
      await t.test(`${below}, ${store.isDirect ? 'past the page cache' : 'through the page cache'}`, (t) =>
        conforms(t, store, () => DirectoryStore.open(objects, mayBeDirect)),
      );
    }
});

const mounts = [
  ['ext4', ['mkfs.ext4', '-q', '-F']],
  ['xfs', ['mkfs.xfs', '-q', '-f']],
] as const;

test('other file systems, where this machine can make them', async (t) => {
  for (const [kind, [program, ...args]] of mounts) {
    const directory = directoryOf(t);
    const image = join(directory, 'image');
    const mounted = join(directory, 'mounted');
    mkdirSync(mounted);
    try {
      execFileSync('truncate', ['-s', '320M', image]);
      execFileSync(program, [...args, image], { stdio: 'ignore' });
      execFileSync('mount', ['-o', 'loop', image, mounted], { stdio: 'ignore' });
    } catch {
      t.pass(`${kind} cannot be made or mounted here`);
      continue;
    }
    t.teardown(() => execFileSync('umount', [mounted]));
    const store = await DirectoryStore.open(mounted);
    await t.test(`${kind}, ${store.isDirect ? 'past the page cache' : 'through the page cache'}`, (t) =>
      conforms(t, store, () => DirectoryStore.open(mounted)),
    );
  }
});

test('a full disk: the object is refused in words, and nothing of it remains', async (t) => {
  const directory = directoryOf(t);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', directory], { stdio: 'ignore' });
  } catch {
    t.pass('nothing can be mounted here');
    return;
  }
  t.teardown(() => execFileSync('umount', [directory]));
  const store = await DirectoryStore.open(directory);
  const kept = newObject();
  await putObject(store, kept, Buffer.alloc(500_000, 1));
  const refused = newObject();
  await t.rejects(putObject(store, refused, Buffer.alloc(3_000_000, 2)), {
    code: 'over-limit',
    message: 'the store is full',
  });
  t.equal(await store.exists(refused), undefined);
  t.same(readdirSync(join(directory, 'new')), []);
  t.ok(readFileSync(objectPath(directory, kept)).equals(Buffer.alloc(500_000, 1)), 'what was there is as it was');
  await putObject(store, refused, Buffer.alloc(500_000, 3));
  t.equal(await store.exists(refused), 500_000, 'the twin: what has room is taken');
});

test('an object stands under the first two digits of its id, in a file that nobody writes', async (t) => {
  const objects = directoryOf(t);
  const store = await DirectoryStore.open(objects);
  const object = newObject();
  await putObject(store, object, Buffer.alloc(10));
  const path = objectPath(objects, object);
  t.equal(path, join(objects, object.slice(0, 2), object));
  t.equal(statSync(path).mode & 0o777, 0o440);
  t.equal(statSync(path).nlink, 1, 'one name only');
  t.equal(statSync(join(objects, object.slice(0, 2))).mode & 0o777, 0o750 & ~process.umask());
});

test('what others put into the directory: links are not followed, and everything is listed and removed', async (t) => {
  const objects = directoryOf(t);
  const store = await DirectoryStore.open(objects);
  const object = `ab${newObject().slice(2)}` as ObjectId;
  mkdirSync(join(objects, 'ab'), { recursive: true });
  symlinkSync('/etc/hostname', objectPath(objects, object));
  await t.rejects(store.read(object, 0, Buffer.alloc(10)), { code: 'ELOOP' });
  t.equal(await store.exists(object), undefined, 'a link is no object');
  await t.rejects(putObject(store, object, Buffer.alloc(10)), { code: 'conflict' });
  mkdirSync(join(objects, 'ab', 'empty'));
  mkdirSync(join(objects, 'ab', 'full'));
  writeFileSync(join(objects, 'ab', 'full', 'x'), '');
  execFileSync('mkfifo', [join(objects, 'ab', 'pipe')]);
  const bytes = [[0xff, 0x61], [0xc3, 0xa4], [0x0a]];
  for (const name of bytes) writeFileSync(Buffer.concat([Buffer.from(`${objects}/ab/`), Buffer.from(name)]), 'x');
  const { found } = await store.list({ prefix: 'ab' }, null, 100);
  t.equal(found.length, 4 + bytes.length);
  t.equal(found.filter((one) => one.kind === 'file').length, bytes.length);
  for (const { name } of found) await store.remove({ prefix: 'ab' }, name).catch(() => {});
  t.same(readdirSync(join(objects, 'ab')), ['full'], 'but for a directory that is not empty');
  await t.rejects(store.remove({ prefix: 'ab' }, 'full'), { code: 'ENOTEMPTY' });
  await t.rejects(store.remove({ prefix: 'ab' }, '../ab'), 'a name that leads elsewhere');
  writeFileSync(join(objects, 'ff'), '');
  t.same(await store.list({ prefix: 'ff' }, null, 10), { found: [], next: null, fault: 'ENOTDIR' });
});

test('a modification time in the future makes nothing young, and one in the past makes it old', async (t) => {
  const objects = directoryOf(t);
  const store = await DirectoryStore.open(objects);
  const name = `ab${newObject().slice(2)}` as ObjectId;
  await putObject(store, name, Buffer.alloc(10));
  const ageMs = async (at: number): Promise<number> => {
    utimesSync(objectPath(objects, name), at, at);
    return (await store.list({ prefix: 'ab' }, null, 10)).found[0]?.ageMs ?? Number.NaN;
  };
  const young = await ageMs(4_000_000_000);
  // The clock of the file system is a tick behind.
  t.ok(young > -1000 && young < 60_000, `${young} ms`);
  const old = await ageMs(1);
  t.ok(old > 1e12, `${old} ms`);
});

test('pieces that cannot be written as they come are refused, and nothing is published', async (t) => {
  const store = await DirectoryStore.open(directoryOf(t, '/var/tmp'));
  const object = newObject();
  const memory = store.memory(8192);
  const faults: readonly (readonly [string, (writer: ObjectWriter) => Promise<void>])[] = [
    ['no room behind the last piece', (writer) => writer.write(memory.subarray(0, 100), 101)],
    ...(store.isDirect
      ? ([
          [
            'a piece follows the last one',
            (writer: ObjectWriter) => writer.write(memory, 5000).then(() => writer.write(memory, 4096)),
          ],
        ] as const)
      : []),
  ];
  for (const [message, write] of faults) {
    const writer = store.begin(object);
    await t.rejects(write(writer), { message });
    await t.rejects(writer.finish(), { message });
    t.equal(await store.exists(object), undefined);
  }
});
