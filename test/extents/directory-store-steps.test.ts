// The store on a file system that is slow and that refuses: what is durable when a call resolves, that nothing goes on
// behind its end, and what becomes of an object when anything on its way fails.
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import type { ObjectId } from '../../server/domain/ids.ts';
import { DirectoryStore, objectPath } from '../../server/extents/directory-store.ts';
import { slowFiles } from '../support/slow-files.ts';
import { putObject } from './conformance.ts';

const object = 'ab'.padEnd(32, '0') as ObjectId;
const fault = (code: string): Error => Object.assign(new Error(`${code}: as the test wants`), { code });

async function storeOf(t: Test, mayBeDirect = true) {
  const objects = mkdtempSync(join(tmpdir(), 'objects-'));
  t.teardown(() => rmSync(objects, { recursive: true, force: true }));
  const store = await DirectoryStore.open(objects, mayBeDirect);
  const files = slowFiles(t);
  /** What was done so far, with the paths as they stand below the store, and without what only reads. */
  const lasting = (): readonly string[] =>
    files.done
      .splice(0)
      .map((one) =>
        one
          .replace(`${objects}/`, '')
          .replace(objects, '.')
          .replace(/\.[0-9a-f]{16}$/, '.x'),
      )
      .filter((one) => /^(?:write|truncate|datasync|sync|link|mkdir|rm|unlink)/.test(one));
  const unfinished = (): readonly string[] =>
    existsSync(join(objects, 'new')) ? readdirSync(join(objects, 'new')) : [];
  /** Nothing goes on behind the end of a call, and no file stays open. */
  const isQuiet = (what: string): void =>
    void t.same([files.underWay, files.open], [0, 0], `${what}: all of it has ended`);
  return { objects, store, files, lasting, unfinished, isQuiet };
}

test('bytes, name and directories are durable, in this order, before an object is said to be', async (t) => {
  const { objects, store, lasting, isQuiet } = await storeOf(t);
  rmSync(join(objects, 'new'), { recursive: true, force: true });
  await putObject(store, object, Buffer.alloc(10));
  isQuiet('put');
  const file = `new/${object}.x`;
  const cut = store.isDirect ? [`truncate ${file}`] : [];
  const first = ['mkdir new', 'sync .', `write ${file}`, ...cut, `datasync ${file}`];
  t.same(lasting(), [...first, 'mkdir ab', 'sync .', `link ${file}`, 'sync ab', `rm ${file}`]);
  await store.delete(object);
  lasting();
  await putObject(store, object, Buffer.alloc(4096));
  t.same(
    lasting(),
    [`write ${file}`, `datasync ${file}`, `link ${file}`, 'sync ab', `rm ${file}`],
    'a directory is made durable once, and a whole block needs no cut',
  );
  await store.delete(object);
  isQuiet('deleted');
  t.notOk(existsSync(objectPath(objects, object)));
});

test('an object is durable only when the name of its group is, whoever of several created the group', async (t) => {
  const { objects, store, files, lasting, isQuiet } = await storeOf(t);
  const other = 'ab'.padEnd(32, '1') as ObjectId;
  await putObject(store, 'cd'.padEnd(32, '0') as ObjectId, Buffer.alloc(10));
  lasting();
  let isRefusing = true;
  files.before = (call, path) => {
    if (isRefusing && call === 'sync' && path === objects) throw fault('EIO');
  };
  const both = [object, other] as const;
  const failed = await Promise.allSettled(both.map((one) => putObject(store, one, Buffer.alloc(10))));
  t.same(
    failed.map(({ status }) => status),
    ['rejected', 'rejected'],
    'neither is said to be durable',
  );
  isRefusing = false;
  lasting();
  await Promise.all(both.map((one) => putObject(store, one, Buffer.alloc(10))));
  t.equal(lasting().filter((one) => one === 'sync .').length, 1, 'the name is made durable once more, for both');
  isQuiet('put');
});

test('writes and reads that do a part only are continued', async (t) => {
  const { objects, store, files } = await storeOf(t, false);
  files.before = (call, _path, args) => {
    if (call === 'read') args[2] = Math.min(args[2] as number, 1000);
    if (call === 'write') args[2] = Math.min(args[2] as number, 300);
  };
  const data = Buffer.from(Array.from({ length: 2500 }, (_, i) => i));
  await putObject(store, object, data);
  t.ok(readFileSync(objectPath(objects, object)).equals(data));
  t.ok((await store.read(object, 0, Buffer.alloc(3000))).equals(data));
});

test('an object is a new file: it is written neither into one that stands there nor through a link', async (t) => {
  const { objects, store, files, isQuiet } = await storeOf(t);
  const victim = join(objects, 'victim');
  for (const plant of [symlinkSync, linkSync]) {
    writeFileSync(victim, 'as it was');
    files.before = (call, path) => {
      if (call === 'open' && path.includes('/new/')) plant(victim, path);
    };
    await t.rejects(putObject(store, object, Buffer.alloc(10)), { code: 'EEXIST' });
    isQuiet('refused');
    t.equal(readFileSync(victim, 'utf8'), 'as it was');
    for (const name of readdirSync(join(objects, 'new'))) unlinkSync(join(objects, 'new', name));
  }
});

test('an object that fails anywhere leaves nothing and says why: a full store, and anything else as it is', async (t) => {
  const { objects, store, files, unfinished, isQuiet } = await storeOf(t);
  const failing = { code: 'EIO', call: 'write' };
  files.before = (call, path) => {
    if (call === failing.call && path.startsWith(objects)) throw fault(failing.code);
  };
  for (const call of ['mkdir', 'open', 'write', ...(store.isDirect ? ['truncate'] : []), 'datasync', 'link', 'sync']) {
    failing.call = call;
    for (const code of ['ENOSPC', 'EDQUOT']) {
      failing.code = code;
      await t.rejects(
        putObject(store, object, Buffer.alloc(10)),
        { code: 'over-limit', message: 'the store is full', cause: { code } },
        `${call}: ${code}`,
      );
      isQuiet(`${call}: ${code}`);
      t.notOk(existsSync(objectPath(objects, object)), `${call}: ${code}`);
    }
    failing.code = 'EIO';
    await t.rejects(putObject(store, object, Buffer.alloc(10)), { code: 'EIO' }, `${call}: EIO`);
    t.same(unfinished(), [], `${call} leaves nothing`);
    isQuiet(`${call}: EIO`);
    t.notOk(existsSync(objectPath(objects, object)), `${call}: and no name`);
  }
  files.before = () => undefined;
  await putObject(store, object, Buffer.alloc(10));
  t.equal(await store.exists(object), 10, 'the twin');
});

test('an object that has its name is counted for as long as it has it, and a fault behind it takes nothing back', async (t) => {
  const { objects, store, files, unfinished } = await storeOf(t);
  await putObject(store, `${object.slice(0, -1)}1` as ObjectId, Buffer.alloc(10));
  const writer = async () => {
    const one = store.begin(object);
    const memory = store.memory(65_536);
    await one.write(memory, 10);
    return one;
  };
  files.before = (call, path) => {
    if (call === 'sync' || (call === 'rm' && path === objectPath(objects, object))) throw fault('EIO');
  };
  const stays = await writer();
  await t.rejects(stays.finish(), { code: 'EIO' });
  t.ok(stays.isNamed, 'its name could not be taken away, and it says so');
  t.equal(await store.exists(object), 10);
  files.before = () => undefined;
  const second = await writer();
  await t.rejects(second.finish(), { code: 'conflict' });
  t.notOk(second.isNamed, 'the name is that of the other');
  t.equal(await store.exists(object), 10, 'and stays');
  await store.delete(object);
  files.before = (call) => {
    if (call === 'sync') throw fault('EIO');
  };
  const removed = await writer();
  await t.rejects(removed.finish(), { code: 'EIO' });
  t.notOk(removed.isNamed, 'nothing remains');
  t.equal(await store.exists(object), undefined);
  files.before = (call, path) => {
    if (call === 'close' && path.includes('/new/')) throw fault('EIO');
  };
  const closes = await writer();
  await closes.finish();
  t.equal(await store.exists(object), 10, 'what is durable is not undone by a file that cannot be closed');
  t.same(unfinished(), [], 'and leaves nothing');
  await (await writer()).abort();
  t.same(unfinished(), [], 'nor does what is given up');
});

test('a list leaves out what vanished meanwhile; what cannot be looked at is a fault', async (t) => {
  const { objects, store, files } = await storeOf(t);
  mkdirSync(join(objects, 'ab'));
  const names = ['1', '2', '3'];
  for (const name of names) writeFileSync(join(objects, 'ab', name), '');
  files.before = (call, path) => {
    if (call === 'lstat' && path.endsWith('/2')) unlinkSync(path);
  };
  const { found, ...whole } = await store.list({ prefix: 'ab' }, null, 10);
  t.same(whole, { next: null, fault: null });
  t.same(
    found.map(({ name }) => name),
    ['1', '3'],
  );
  for (const refusing of ['lstat', 'readdir'])
    for (const [thrown, told] of [
      [fault('EACCES'), 'EACCES'],
      [new Error('without a code'), 'unknown error'],
      ['a text', 'unknown error'],
    ] as const) {
      files.before = (call) => {
        if (call === refusing) throw thrown;
      };
      t.same(
        await store.list({ prefix: 'ab' }, null, 10),
        { found: [], next: null, fault: told },
        `${refusing}: ${thrown}`,
      );
    }
});

test('what cannot be removed as a file is removed as an empty directory, and only then', async (t) => {
  const { objects, store, files } = await storeOf(t);
  const directory = join(objects, 'ab', 'empty');
  for (const code of ['EISDIR', 'EPERM']) {
    mkdirSync(directory, { recursive: true });
    files.before = (call) => {
      if (call === 'unlink') throw fault(code);
    };
    await store.remove({ prefix: 'ab' }, 'empty');
    t.notOk(existsSync(directory), `${code}, as systems say it`);
  }
  mkdirSync(directory);
  files.before = (call) => {
    if (call === 'unlink') throw fault('EACCES');
  };
  await t.rejects(store.remove({ prefix: 'ab' }, 'empty'), { code: 'EACCES' });
  t.ok(existsSync(directory), 'what may not be removed stays');
});

test('whether the page cache is passed by is found out once, and any other fault of the start is told', async (t) => {
  const { objects, files } = await storeOf(t);
  const faults = ['EINVAL', 'EACCES', 'ENOSPC'];
  for (const code of faults) {
    files.before = (call) => {
      if (call === 'write') throw fault(code);
    };
    const opening = DirectoryStore.open(objects);
    if (code === 'EINVAL') t.notOk((await opening).isDirect);
    else await t.rejects(opening, { code: code === 'ENOSPC' ? 'over-limit' : code });
    t.same(readdirSync(join(objects, 'new')), [], `${code}: the probe is gone`);
  }
});

test('free is what everybody may use, and not what is kept for the superuser', async (t) => {
  const { store, files } = await storeOf(t);
  files.before = (call) => (call === 'statfs' ? { bsize: 4096, blocks: 100, bfree: 50, bavail: 30 } : undefined);
  t.equal(await store.freeBytes(), 122_880);
});
