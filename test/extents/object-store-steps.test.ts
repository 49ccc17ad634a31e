// The store on a file system that is slow and that refuses: what is durable when a call resolves, that nothing goes on
// behind its end, and what becomes of a copy when anything on its way fails.
import { createHash, randomBytes } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import type { NodeName, ObjectId } from '../../server/domain/ids.ts';
import {
  deleteObject,
  discardStaged,
  freeBytes,
  listIncoming,
  objectPath,
  publishObject,
  removeIncoming,
  removeStray,
  type StorePaths,
  stageObject,
} from '../../server/extents/object-store.ts';
import { slowFiles } from '../support/slow-files.ts';

const node = 'partner-1' as NodeName;
const object = 'ab'.padEnd(32, '0') as ObjectId;
const fault = (code: string): Error => Object.assign(new Error(`${code}: as the test wants`), { code });

function storeOf(t: Test) {
  const root = mkdtempSync(join(tmpdir(), 'cofferdam-store-'));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  const paths: StorePaths = { incoming: (name) => join(root, 'incoming', name), objects: join(root, 'objects') };
  mkdirSync(paths.incoming(node), { recursive: true });
  mkdirSync(paths.objects);
  const source = join(paths.incoming(node), object);
  const put = (data: Buffer): void => writeFileSync(source, data);
  const files = slowFiles(t);
  const stage = (data: Buffer) => {
    put(data);
    return stageObject(paths, node, object, data.length);
  };
  /** What was done so far, with the paths as they stand below the store, and without what only reads. */
  const lasting = (): readonly string[] =>
    files.done
      .splice(0)
      .map((one) => one.replace(`${root}/`, '').replace(/\.[0-9a-f]{16}$/, '.x'))
      .filter((one) => /^(?:write|datasync|sync|link|mkdir|rm|unlink)/.test(one));
  const copies = (): readonly string[] =>
    existsSync(join(paths.objects, 'new')) ? readdirSync(join(paths.objects, 'new')) : [];
  /** Nothing goes on behind the end of a call, and no file stays open. */
  const isQuiet = (what: string): void =>
    void t.same([files.underWay, files.open], [0, 0], `${what}: all of it has ended`);
  return { paths, source, files, put, stage, lasting, copies, isQuiet };
}

test('a copy is durable when it is staged; its name and the directory of its name are when it is published', async (t) => {
  const { paths, stage, lasting, isQuiet } = storeOf(t);
  const staged = await stage(Buffer.alloc(10));
  isQuiet('staged');
  const copy = `objects/new/${object}.x`;
  t.same(lasting(), ['mkdir objects/new', 'sync objects', `write ${copy}`, `datasync ${copy}`]);
  await publishObject(paths, staged);
  isQuiet('published');
  t.same(lasting(), ['mkdir objects/ab', 'sync objects', `link ${copy}`, 'sync objects/ab']);
  const again = await stage(Buffer.alloc(10));
  t.same(
    lasting(),
    ['mkdir objects/new', `write ${copy}`, `datasync ${copy}`],
    'a directory that exists is durable already',
  );
  await publishObject(paths, again);
  isQuiet('published again');
  t.same(lasting(), ['mkdir objects/ab', 'sync objects/ab'], 'a name that exists may not be durable yet');
});

test('what is removed is gone when the call resolves', async (t) => {
  const { paths, source, stage, copies, isQuiet } = storeOf(t);
  const staged = await stage(Buffer.alloc(10));
  await publishObject(paths, staged);
  await discardStaged(staged);
  t.same(copies(), []);
  isQuiet('the staged name');
  await removeIncoming(paths, node, object);
  t.notOk(existsSync(source));
  isQuiet('the incoming file');
  await deleteObject(paths, object);
  t.notOk(existsSync(objectPath(paths.objects, object)));
  isQuiet('the object');
});

test('an object is copied in portions of 1 MiB at most, and a small one takes no more memory than it has bytes', async (t) => {
  const { paths, files, stage, isQuiet } = storeOf(t);
  for (const [bytes, wanted] of [
    [10, [[10, 10]]],
    [1_048_576, [[1_048_576, 1_048_576]]],
    [
      1_048_577,
      [
        [1_048_576, 1_048_576],
        [1_048_576, 1],
      ],
    ],
  ] as const) {
    const reads: (readonly [number, number])[] = [];
    files.before = (call, _path, args) => {
      if (call === 'read') reads.push([(args[0] as Buffer).length, args[2] as number]);
    };
    const data = randomBytes(bytes);
    const staged = await stage(data);
    t.same(reads, wanted, `${bytes} bytes: the memory, and what is asked for`);
    isQuiet(`${bytes} bytes`);
    t.ok(staged.digest.equals(createHash('sha256').update(data).digest()));
    await publishObject(paths, staged);
    await deleteObject(paths, object);
  }
});

test('reads and writes that do a part only are continued', async (t) => {
  const { paths, files, stage } = storeOf(t);
  files.before = (call, _path, args) => {
    if (call === 'read') args[2] = Math.min(args[2] as number, 1000);
    if (call === 'write') args[2] = Math.min(args[2] as number, 300);
  };
  const data = randomBytes(2500);
  const staged = await stage(data);
  t.ok(readFileSync(staged.path).equals(data));
  t.ok(staged.digest.equals(createHash('sha256').update(data).digest()));
  await publishObject(paths, staged);
  await publishObject(paths, staged);
  t.ok(readFileSync(objectPath(paths.objects, object)).equals(data), 'compared in parts, too, it is the same');
});

test('a source that changes while it is copied: no more than was declared is taken, and less is refused', async (t) => {
  const { source, files, stage, copies, isQuiet } = storeOf(t);
  files.before = (call, path) => {
    if (call === 'read' && path === source) appendFileSync(source, 'and more');
  };
  const longer = await stage(Buffer.from('as declared'));
  t.equal(readFileSync(longer.path, 'utf8'), 'as declared');
  await discardStaged(longer);
  files.before = (call, path) => {
    if (call === 'read' && path === source) truncateSync(source, 5);
  };
  await t.rejects(stage(Buffer.from('as declared')), {
    code: 'invalid',
    message: 'the object is shorter than declared',
  });
  isQuiet('refused');
  t.same(copies(), []);
});

test('a copy is a new file: it is written neither into one that stands there nor through a link', async (t) => {
  const { paths, files, stage, isQuiet } = storeOf(t);
  const victim = join(paths.objects, 'victim');
  for (const plant of [symlinkSync, linkSync]) {
    writeFileSync(victim, 'as it was');
    files.before = (call, path) => {
      if (call === 'open' && path.includes('/new/')) plant(victim, path);
    };
    await t.rejects(stage(Buffer.alloc(10)), { code: 'EEXIST' });
    isQuiet('refused');
    t.equal(readFileSync(victim, 'utf8'), 'as it was');
  }
});

test('a copy that fails leaves nothing and says why: a full store, and anything else as it is', async (t) => {
  const { files, stage, copies, isQuiet } = storeOf(t);
  const failing = { code: 'EIO', call: 'write' };
  files.before = (call, path) => {
    if (call === failing.call && path.includes('/new')) throw fault(failing.code);
  };
  for (const call of ['mkdir', 'open', 'write', 'datasync']) {
    failing.call = call;
    for (const code of ['ENOSPC', 'EDQUOT']) {
      failing.code = code;
      await t.rejects(
        stage(Buffer.alloc(10)),
        { code: 'over-limit', message: 'the store is full', cause: { code } },
        `${call}: ${code}`,
      );
      isQuiet(`${call}: ${code}`);
    }
    failing.code = 'EIO';
    await t.rejects(stage(Buffer.alloc(10)), { code: 'EIO' }, `${call}: EIO`);
    t.same(copies(), [], `${call} leaves no copy`);
    isQuiet(`${call}: EIO`);
  }
});

test('a name that cannot be given is no name that exists, and a directory that cannot be made durable is no success', async (t) => {
  const { paths, files, stage, isQuiet } = storeOf(t);
  const staged = await stage(Buffer.alloc(10));
  await publishObject(paths, staged);
  for (const call of ['link', 'sync', 'mkdir']) {
    files.before = (one) => {
      if (one === call) throw fault('EIO');
    };
    await t.rejects(publishObject(paths, staged), { code: 'EIO' }, call);
    isQuiet(call);
  }
  files.before = () => undefined;
  const other = await stage(Buffer.alloc(10, 1));
  await t.rejects(publishObject(paths, other), { code: 'conflict' });
  isQuiet('a conflict');
});

test('a list leaves out what vanished meanwhile; what cannot be looked at makes it no whole list', async (t) => {
  const { paths, source, files, put } = storeOf(t);
  const names = ['1', '2', '3'];
  for (const name of names) writeFileSync(`${source}.${name}`, '');
  const gone: string[] = [];
  files.before = (call, path) => {
    if (call !== 'lstat' || gone.length > 0) return;
    gone.push(path.slice(-1));
    unlinkSync(path);
  };
  const { found, ...whole } = await listIncoming(paths, node, 10);
  t.same(whole, { isWhole: true, fault: null });
  t.same(
    found.map(({ name }) => name.slice(-1)).sort(),
    names.filter((name) => !gone.includes(name)),
    'the first one vanished',
  );
  for (const { name } of found) unlinkSync(join(paths.incoming(node), name));
  put(Buffer.alloc(1));
  for (const refusing of ['lstat', 'opendir'])
    for (const [thrown, told] of [
      [fault('EACCES'), 'EACCES'],
      [new Error('without a code'), 'unknown error'],
      ['a text', 'unknown error'],
    ] as const) {
      files.before = (call) => {
        if (call === refusing) throw thrown;
      };
      t.same(await listIncoming(paths, node, 10), { found: [], isWhole: false, fault: told }, `${refusing}: ${thrown}`);
    }
});

test('what cannot be removed as a file is removed as an empty directory, and only then', async (t) => {
  const { paths, files, put, source, isQuiet } = storeOf(t);
  const directory = join(paths.incoming(node), 'empty');
  const remove = (name: string): Promise<void> =>
    removeStray(paths, { node }, { name, kind: 'other', ageMs: 0, bytes: 0 });
  for (const code of ['EISDIR', 'EPERM']) {
    mkdirSync(directory);
    files.before = (call) => {
      if (call === 'unlink') throw fault(code);
    };
    await remove('empty');
    isQuiet(code);
    t.notOk(existsSync(directory), `${code}, as systems say it`);
  }
  mkdirSync(directory);
  files.before = (call) => {
    if (call === 'unlink') throw fault('EACCES');
  };
  await t.rejects(remove('empty'), { code: 'EACCES' });
  t.ok(existsSync(directory), 'what may not be removed stays');
  files.before = () => undefined;
  put(Buffer.alloc(1));
  await remove(object);
  isQuiet('a file');
  t.notOk(existsSync(source));
});

test('free is what everybody may use, and not what is kept for the superuser', async (t) => {
  const { paths, files } = storeOf(t);
  files.before = (call) => (call === 'statfs' ? { bsize: 4096, blocks: 100, bfree: 50, bavail: 30 } : undefined);
  t.equal(await freeBytes(paths.objects), 122_880);
});
