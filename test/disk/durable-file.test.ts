// A file that was written durably is complete under its name or not there, whenever its writer is killed, and it is on
// the disk before its writer goes on.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs, {
  chmodSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import {
  createDurably,
  type DurableFile,
  removeUnfinished,
  replaceDurably,
  replaceDurablyMeanwhile,
} from '../../server/disk/durable-file.ts';
import { ensureOwnSecret } from '../../server/supervisor/own-files.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const module = join(import.meta.dirname, '..', '..', 'server', 'disk', 'durable-file.ts');
type Write = (file: DurableFile) => void | Promise<void>;
const replacing: Readonly<Record<string, Write>> = { replaceDurably, replaceDurablyMeanwhile };
const writing: Readonly<Record<string, Write>> = { createDurably, ...replacing };

/** A directory with nothing in it. */
function place(t: Test): {
  readonly directory: string;
  readonly path: string;
  readonly names: () => readonly string[];
} {
  const directory = join(temporaryDirectory(t), 'place');
  mkdirSync(directory);
  return { directory, path: join(directory, 'file'), names: () => readdirSync(directory).sort() };
}
const modeOf = (path: string): number => statSync(path).mode & 0o7777;
const codeOf = async (work: () => void | Promise<void>): Promise<unknown> => {
  try {
    await work();
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
};

test('a new file has its content and its mode, and nothing stays beside it', async (t) => {
  for (const [name, write] of Object.entries(writing)) {
    const { path, names } = place(t);
    const before = process.umask(0o077);
    await write({ path, content: 'text ä', mode: 0o644 });
    process.umask(before);
    t.equal(readFileSync(path, 'utf8'), 'text ä', name);
    t.equal(modeOf(path), 0o644, `${name}: whatever the umask is`);
    t.same(names(), ['file'], name);
    const bytes = place(t);
    await write({ path: bytes.path, content: Uint8Array.of(0, 255), mode: 0o400 });
    t.same([...readFileSync(bytes.path)], [0, 255], `${name}: bytes`);
    t.equal(modeOf(bytes.path), 0o400);
  }
});

test('creating a file does not touch what already has its name, and replacing does not touch what a link points to', async (t) => {
  const { directory, path, names } = place(t);
  const other = join(directory, 'other');
  writeFileSync(other, 'other', { mode: 0o600 });
  for (const [what, put] of [
    ['a file', () => writeFileSync(path, 'mine')],
    ['a link', () => symlinkSync(other, path)],
    ['a link to nothing', () => symlinkSync(join(directory, 'none'), path)],
    ['a directory', () => mkdirSync(path)],
  ] as const) {
    put();
    const before = statSync(path, { throwIfNoEntry: false })?.ino;
    t.equal(await codeOf(() => createDurably({ path, content: 'new', mode: 0o600 })), 'EEXIST', what);
    t.equal(statSync(path, { throwIfNoEntry: false })?.ino, before, `${what} is what it was`);
    t.same(names(), ['file', 'other'], 'and nothing stays beside it');
    rmSync(path, { recursive: true });
  }
  for (const [name, write] of Object.entries(replacing)) {
    symlinkSync(other, path);
    await write({ path, content: 'new', mode: 0o600 });
    t.equal(readFileSync(path, 'utf8'), 'new', name);
    t.equal(readFileSync(other, 'utf8'), 'other', `${name}: the link itself was replaced`);
    rmSync(path);
    linkSync(other, path);
    await write({ path, content: 'new', mode: 0o600 });
    t.equal(readFileSync(other, 'utf8'), 'other', `${name}: another name of the file keeps its content`);
    rmSync(path);
    mkdirSync(path);
    t.equal(await codeOf(() => write({ path, content: 'new', mode: 0o600 })), 'EISDIR', `${name}: a directory`);
    t.same(names(), ['file', 'other']);
    rmSync(path, { recursive: true });
  }
});

test('what a killed process left beside a file stops nobody, and a link there is not followed', async (t) => {
  const { directory, path, names } = place(t);
  const other = join(directory, 'other');
  writeFileSync(other, 'other');
  for (const [name, write] of Object.entries(replacing)) {
    writeFileSync(`${path}.new`, 'half of');
    chmodSync(`${path}.new`, 0o777);
    await write({ path, content: 'whole', mode: 0o600 });
    t.equal(readFileSync(path, 'utf8'), 'whole', name);
    t.equal(modeOf(path), 0o600);
    symlinkSync(other, `${path}.new`);
    await write({ path, content: 'again', mode: 0o600 });
    t.equal(readFileSync(other, 'utf8'), 'other', `${name}: not through the link`);
    t.equal(readFileSync(path, 'utf8'), 'again');
    t.throws(() => readlinkSync(path), 'the file is no link');
    t.same(names(), ['file', 'other']);
    mkdirSync(`${path}.new`);
    t.ok(await codeOf(() => write({ path, content: 'third', mode: 0o600 })), `${name}: a directory is in the way`);
    t.equal(readFileSync(path, 'utf8'), 'again', 'and the file is the one before');
    rmSync(`${path}.new`, { recursive: true });
  }
});

test('the content is flushed before it gets its name, and the directory after that', async (t) => {
  const steps: string[] = [];
  const { fsyncSync, linkSync: link, renameSync, promises } = fs;
  const kindOf = (file: number): string => (fs.fstatSync(file).isDirectory() ? 'directory' : 'content');
  const handle = await open(import.meta.filename);
  const handles = Object.getPrototypeOf(handle) as FileHandle;
  await handle.close();
  const { sync } = handles;
  const { rename } = promises;
  Object.assign(fs, {
    fsyncSync: (file: number) => [steps.push(kindOf(file)), fsyncSync(file)],
    linkSync: (from: string, to: string) => [steps.push('name'), link(from, to)],
    renameSync: (from: string, to: string) => [steps.push('name'), renameSync(from, to)],
  });
  handles.sync = async function (this: FileHandle) {
    steps.push(kindOf(this.fd));
    await sync.call(this);
  };
  promises.rename = async (from, to) => {
    steps.push('name');
    await rename(from, to);
  };
  syncBuiltinESMExports();
  try {
    for (const [name, write] of Object.entries(writing)) {
      steps.length = 0;
      await write({ path: place(t).path, content: 'x', mode: 0o600 });
      t.same(steps, ['content', 'name', 'directory'], name);
    }
  } finally {
    Object.assign(fs, { fsyncSync, linkSync: link, renameSync });
    handles.sync = sync;
    promises.rename = rename;
    syncBuiltinESMExports();
  }
});

test('what the disk refuses is thrown: a new file is then not there, and a replaced file has its old content or the new one', async (t) => {
  const { fsyncSync } = fs;
  const refusing = async (kind: 'content' | 'directory', work: () => void): Promise<unknown> => {
    fs.fsyncSync = (file: number) => {
      if (fs.fstatSync(file).isDirectory() === (kind === 'directory'))
        throw Object.assign(new Error('the disk refused'), { code: 'EIO' });
      fsyncSync(file);
    };
    syncBuiltinESMExports();
    try {
      return await codeOf(work);
    } finally {
      Object.assign(fs, { fsyncSync });
      syncBuiltinESMExports();
    }
  };
  for (const kind of ['content', 'directory'] as const) {
    const { path, names } = place(t);
    t.equal(await refusing(kind, () => createDurably({ path, content: 'new', mode: 0o600 })), 'EIO', kind);
    t.same(names(), [], `${kind}: whoever was told so finds nothing`);
    createDurably({ path, content: 'old', mode: 0o600 });
    t.equal(await refusing(kind, () => replaceDurably({ path, content: 'new', mode: 0o600 })), 'EIO', kind);
    t.equal(readFileSync(path, 'utf8'), kind === 'content' ? 'old' : 'new');
    t.same(names(), ['file'], kind);
  }
});

test('a reader sees one whole content or the other, also when the writer is killed', async (t) => {
  const { path } = place(t);
  const whole = (letter: string): string => letter.repeat(200_000);
  replaceDurably({ path, content: whole('a'), mode: 0o600 });
  const program = `import { replaceDurably } from ${JSON.stringify(module)};
    for (let i = 0; ; i += 1) {
      replaceDurably({ path: ${JSON.stringify(path)}, content: (i % 2 === 0 ? 'b' : 'a').repeat(200_000), mode: 0o600 });
      if (i === 0) process.stdout.write('begun');
    }`;
  let looks = 0;
  for (let i = 0; i < 5; i += 1) {
    const writer = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(writer.stdout, 'data');
    for (const end = performance.now() + 20 + 7 * i; performance.now() < end; looks += 1) {
      const seen = readFileSync(path, 'utf8');
      if (seen !== whole('a') && seen !== whole('b')) t.fail('half of a content was read');
    }
    writer.kill('SIGKILL');
    await once(writer, 'close');
    const left = readFileSync(path, 'utf8');
    t.ok(left === whole('a') || left === whole('b'), 'whole after the kill');
  }
  t.ok(looks >= 5, 'it was looked at meanwhile');
});

test('of several processes that create one file, one succeeds', async (t) => {
  const { path, names } = place(t);
  const program = (n: number): string => `import { createDurably } from ${JSON.stringify(module)};
    try { createDurably({ path: ${JSON.stringify(path)}, content: '${n}'.repeat(100_000), mode: 0o600 }); process.stdout.write('made'); }
    catch (error) { process.stdout.write(error.code); }`;
  const said = await Promise.all(
    [1, 2, 3].map(async (n) => {
      const child = spawn(process.execPath, ['--input-type=module', '--eval', program(n)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const [[chunk]] = await Promise.all([once(child.stdout, 'data'), once(child, 'close')]);
      return { n, said: String(chunk) };
    }),
  );
  t.same(said.map((one) => one.said).sort(), ['EEXIST', 'EEXIST', 'made']);
  const maker = said.find((one) => one.said === 'made')?.n;
  t.equal(readFileSync(path, 'utf8'), String(maker).repeat(100_000), 'with the content of the one that made it');
  t.same(names(), ['file']);
});

test('what a killed creation left beside a file is removed, and nothing of other creations', async (t) => {
  const { directory, path, names } = place(t);
  const beside = (digit: string): string => `${path}.${digit.repeat(12)}.new`;
  // Killed after the link: the file has two names.
  createDurably({ path, content: 'secret', mode: 0o600 });
  linkSync(path, beside('a'));
  // Killed before the link, long ago; another one is under way; and a file of somebody else.
  writeFileSync(beside('b'), 'secr');
  fs.utimesSync(beside('b'), 1, 1);
  writeFileSync(beside('c'), 'sec');
  writeFileSync(join(directory, 'file.old'), 'x');
  removeUnfinished(path);
  t.same(names(), ['file', 'file.cccccccccccc.new', 'file.old']);
  t.equal(statSync(path).nlink, 1);
  t.equal(readFileSync(path, 'utf8'), 'secret');
  removeUnfinished(join(directory, 'nowhere', 'file'));
});

test('a start that was killed while it made a secret does not keep the next one from starting', (t) => {
  const { path, names } = place(t);
  const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const made = ensureOwnSecret(path, owner, 0o400, () => 'first');
  linkSync(path, `${path}.${'a'.repeat(12)}.new`);
  t.equal(
    ensureOwnSecret(path, owner, 0o400, () => 'second'),
    made,
  );
  t.same(names(), ['file']);
  // The twin: a link of any other name is somebody else's.
  linkSync(path, `${path}.mine`);
  t.throws(() => ensureOwnSecret(path, owner, 0o400, () => 'second'), /second hard link/);
  t.end();
});
