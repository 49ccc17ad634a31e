// T-37: a start as root in directories in which roles wrote. Whatever a compromised role left there, root changes no
// owner of other people's files, reads nothing of them, and waits for nothing.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { replace, writeNew } from '../../certs/files.ts';
import { replaceDurably } from '../../server/disk/durable-file.ts';
import { readPidFile } from '../../server/postgres/embedded.ts';
import { ensureSecret } from '../../server/supervisor/layout.ts';
import { placeDirectory, self } from '../../server/supervisor/own-files.ts';
import { temporaryDirectory } from '../support/database.ts';

const role = { uid: 61_001, gid: 61_001 };
const isRoot = process.getuid?.() === 0;
const skip = isRoot ? false : 'only root could give anything away';

test('a secret is made or adopted, and is never what a role put in its place', { skip }, async (t) => {
  const directory = join(temporaryDirectory(t), 'role');
  mkdirSync(directory);
  chownSync(directory, role.uid, role.gid);
  const victim = join(directory, '..', 'victim');
  writeFileSync(victim, 'root’s own\n', { mode: 0o600 });
  const untouched = (what: string): void => {
    const { uid, gid, mode } = statSync(victim);
    t.same([uid, gid, mode & 0o7777], [0, 0, 0o600], what);
    t.equal(readFileSync(victim, 'utf8'), 'root’s own\n', what);
  };
  const path = join(directory, 'database-password');
  const secret = ensureSecret(path, role);
  t.match(secret, /^[\w-]{32}$/, 'made');
  t.match(statSync(path), { uid: role.uid, gid: role.gid });
  t.equal(statSync(path).mode & 0o7777, 0o400);
  chmodSync(path, 0o644);
  chownSync(path, 0, 0);
  t.equal(ensureSecret(path, role), secret, 'what root put there is adopted');
  t.match(statSync(path), { uid: role.uid, gid: role.gid });
  t.equal(statSync(path).mode & 0o7777, 0o400, 'and closed again');

  const puts: readonly (readonly [string, RegExp, () => void])[] = [
    ['a link', /is a link; nothing was changed/, () => symlinkSync(victim, path)],
    ['a link to nothing', /is a link/, () => symlinkSync(join(directory, '..', 'new'), path)],
    ['a hard link', /has a second hard link/, () => linkSync(victim, path)],
    ['a pipe', /is no plain file/, () => execFileSync('mkfifo', [path])],
    ['a directory', /is no plain file/, () => mkdirSync(path)],
    [
      'a file of a third',
      /belongs to the user 61002/,
      () => [writeFileSync(path, 'x'), chownSync(path, 61_002, 61_002)],
    ],
    [
      'without end',
      /is longer than 4096 bytes/,
      () => [writeFileSync(path, 'x'.repeat(5000)), chownSync(path, role.uid, role.gid)],
    ],
  ];
  for (const [what, message, put] of puts) {
    rmSync(path, { recursive: true, force: true });
    put();
    t.throws(() => ensureSecret(path, role), { code: 'configuration', message }, what);
    untouched(what);
  }
  rmSync(path);
  symlinkSync(victim, path);
  replaceDurably({ path, content: 'postgresql://x', owner: role, mode: 0o400 });
  untouched('what is written anew replaces a link, not what it points to');
  t.match(statSync(path), { uid: role.uid, nlink: 1 });
  renameSync(path, `${path}.old`);
  symlinkSync(victim, path);
  replace({ path, content: 'certificate', mode: 0o400, owner: role });
  untouched('certificates likewise');
  t.match(statSync(path), { uid: role.uid, nlink: 1 });
  rmSync(path);
  writeNew([{ path, content: 'key', mode: 0o400, owner: role }]);
  t.match(statSync(path), { uid: role.uid });
});

test('a directory is reached along a path of the starter’s own, and never through a link', { skip }, async (t) => {
  const top = join(temporaryDirectory(t), 'var');
  placeDirectory(top, top, self(), 0o755);
  placeDirectory(top, join(top, 'run', 'admin'), role, 0o755);
  t.match(statSync(join(top, 'run', 'admin')), role, 'made, with what is above it');
  t.match(statSync(join(top, 'run')), { uid: 0 });
  const victim = join(top, '..', 'victim');
  mkdirSync(victim, { mode: 0o700 });
  symlinkSync(victim, join(top, 'store'));
  t.throws(() => placeDirectory(top, join(top, 'store'), role, 0o777), {
    code: 'configuration',
    message: /is no directory/,
  });
  t.throws(() => placeDirectory(top, join(top, 'store', 'objects'), role, 0o777), {
    code: 'configuration',
    message: /is no directory/,
  });
  t.match(statSync(victim), { uid: 0, gid: 0 });
  t.equal(statSync(victim).mode & 0o777, 0o700);
  chownSync(join(top, 'run'), role.uid, role.gid);
  t.throws(() => placeDirectory(top, join(top, 'run', 'admin'), role, 0o755), {
    code: 'configuration',
    message: /belongs to the user 61001/,
  });
  chownSync(join(top, 'run'), 0, 0);
  chmodSync(join(top, 'run'), 0o775);
  t.throws(() => placeDirectory(top, join(top, 'run', 'admin'), role, 0o755), {
    code: 'configuration',
    message: /open to others/,
  });
  chmodSync(join(top, 'run'), 0o755);
  placeDirectory(top, join(top, 'run', 'admin'), role, 0o755);
});

test('the pid file of the embedded database: a pipe or a link in its place delays nobody', async (t) => {
  const directory = temporaryDirectory(t);
  const path = join(directory, 'postmaster.pid');
  t.equal(readPidFile(path), '');
  execFileSync('mkfifo', [path]);
  t.equal(readPidFile(path), '');
  rmSync(path);
  writeFileSync(join(directory, 'other'), '1\n');
  symlinkSync(join(directory, 'other'), path);
  t.equal(readPidFile(path), '');
  rmSync(path);
  writeFileSync(path, '4711\n/data\n');
  t.equal(readPidFile(path), '4711\n/data\n');
});
