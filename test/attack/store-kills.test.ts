// T-31, T-37: the store is killed at any moment under uploads of real clients: nothing that was acknowledged is lost or
// altered, what was under way fails or can be resumed, everything serves again by itself, and what was not finished is
// gone.
import { createHash, randomBytes, randomInt } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { type Config, runtimePaths } from '../../server/config/config.ts';
import { filesOf } from '../support/lone-store.ts';
import { holdsSoon } from '../support/until.ts';
import { sha256File, startWorld, type World } from '../support/world.ts';

const rounds = 8;
const clients = 3;
/** From what is kept in a row to several objects. */
const sizes = [60_000, 70_000, 2_000_000, 17_000_000, 40_000_000] as const;
/** Longer than a round takes: some kills fall behind it. */
const roundMs = 1500;
const sha256 = (content: Buffer): string => createHash('sha256').update(content).digest('hex');
const killMs = (): number => randomInt(20, roundMs);
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

type Sent = { readonly name: string; readonly path: string; readonly sha: string };

function file(world: World, name: string, bytes: number): Sent {
  const content = randomBytes(bytes);
  const path = join(world.directory, 'sent', name);
  writeFileSync(path, content);
  return { name, path, sha: sha256(content) };
}

/** Kills the store, and returns when another one serves. */
async function kill(t: Test, world: World): Promise<void> {
  const [before] = world.pidsOf('store');
  const from = world.log.length;
  world.kill('store');
  t.ok(await world.logged(/store serves/, from), 'another store serves by itself');
  t.not(world.pidsOf('store')[0], before);
}

/** What our own side reads of these files is what was sent. */
async function areWhole(t: Test, world: World, files: readonly Sent[]): Promise<void> {
  const got = join(world.directory, 'got');
  mkdirSync(got);
  const read = await world.sftp(
    'processor',
    files.map(({ name }) => `get acme/deposit/${name} ${got}/`),
  );
  t.equal(read.code, 0, read.err);
  for (const { name, sha } of files) t.equal(await sha256File(join(got, name)), sha, `${name} is what was sent`);
}

test('the store is killed under uploads: nothing acknowledged is lost, and everything goes on by itself', async (t) => {
  const world = await startWorld(t);
  const { objects } = runtimePaths(
    JSON.parse(readFileSync(join(world.directory, 'run', 'config.json'), 'utf8')) as Config,
  );
  mkdirSync(join(world.directory, 'sent'));
  const others = ['warden', 'partner-1', 'internal-1', 'admin'] as const;
  const before = others.map((role) => world.pidsOf(role)[0]);
  const acknowledged: Sent[] = [];
  const cut: Sent[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const putting = Array.from({ length: clients }, async (_, i) => {
      const sent = file(world, `r${round}-${i}`, sizes[randomInt(sizes.length)] ?? 1);
      const put = await world.sftp('acme-batch', [`put ${sent.path} deposit/${sent.name}`]);
      if (put.code === 0) acknowledged.push(sent);
      else {
        cut.push(sent);
        t.match(put.err, /(?:Failure|not available|write|close|lost|stays incomplete)/i, 'its client is told');
      }
    });
    await pause(killMs());
    await kill(t, world);
    await Promise.all(putting);
  }
  // One upload that a kill certainly meets.
  const endless = file(world, 'endless', 100_000_000);
  const writing = world.sftp('acme-batch', [`put ${endless.path} deposit/endless`]);
  t.ok(await holdsSoon(() => filesOf(objects).unfinished.length > 0), 'an object is being written');
  await kill(t, world);
  const ended = await writing;
  t.not(ended.code, 0, 'what was under way fails');
  t.notMatch(ended.err, /timed out|Connection closed/i, 'and its connection goes on');
  cut.push(endless);
  t.same(
    others.map((role) => world.pidsOf(role)[0]),
    before,
    'no other process ended',
  );
  t.ok(await holdsSoon(() => filesOf(objects).unfinished.length === 0), 'what was not finished is gone');
  for (const sent of cut) {
    const again = await world.sftp('acme-batch', [`reput ${sent.path} deposit/${sent.name}`]);
    const anew = again.code === 0 ? again : await world.sftp('acme-batch', [`put ${sent.path} deposit/${sent.name}`]);
    t.equal(anew.code, 0, `${sent.name} is resumed: ${again.err} ${anew.err}`);
    if (sent === endless) t.equal(again.code, 0, `with what was stored of it: ${again.err}`);
  }
  t.comment(`${acknowledged.length} uploads acknowledged, ${cut.length} cut`);
  t.ok(acknowledged.length > 0, 'some were acknowledged');
  await areWhole(t, world, [...acknowledged, ...cut]);
  t.equal((await world.cofferctl(['status'])).code, 0, 'and everything serves');
});

test('while the store is away, small files are taken, large ones wait or are refused, and files are read', async (t) => {
  const world = await startWorld(t);
  mkdirSync(join(world.directory, 'sent'));
  const [large, small, later] = [
    file(world, 'large', 3_000_000),
    file(world, 'small', 20_000),
    file(world, 'later', 3_000_000),
  ];
  t.equal((await world.sftp('acme-batch', [`put ${large.path} deposit/large`])).code, 0);
  const [store = 0] = world.pidsOf('store');
  process.kill(store, 'SIGSTOP');
  t.teardown(() => {
    for (const pid of world.pidsOf('store')) process.kill(pid, 'SIGCONT');
  });
  const got = join(world.directory, 'read');
  t.equal((await world.sftp('processor', [`get acme/deposit/large ${got}`])).code, 0, 'reading needs no store');
  t.equal(await sha256File(got), large.sha);
  // Longer than a reading of the free space is fresh.
  await pause(1500);
  t.equal(
    (await world.sftp('acme-batch', [`put ${small.path} deposit/small`])).code,
    0,
    'and neither does a small file',
  );
  t.equal((await world.sftp('acme-batch', ['df deposit'])).code, 0, 'nor does `df`');
  const waiting = world.sftp('acme-batch', [`put ${later.path} deposit/later`]);
  await pause(1000);
  process.kill(store, 'SIGCONT');
  const done = await waiting;
  t.equal(done.code, 0, `a store that hesitates loses nothing: ${done.err}`);
  await areWhole(t, world, [large, small, later]);
});

test('a warden that starts while the store is away serves logins, small files and reading', async (t) => {
  const world = await startWorld(t);
  mkdirSync(join(world.directory, 'sent'));
  const [large, small] = [file(world, 'large', 3_000_000), file(world, 'small', 20_000)];
  t.equal((await world.sftp('acme-batch', [`put ${large.path} deposit/large`])).code, 0);
  const [store = 0] = world.pidsOf('store');
  process.kill(store, 'SIGSTOP');
  t.teardown(() => {
    for (const pid of world.pidsOf('store')) process.kill(pid, 'SIGCONT');
  });
  const [warden = 0] = world.pidsOf('warden');
  process.kill(warden, 'SIGKILL');
  t.ok(await holdsSoon(() => world.pidsOf('warden').some((pid) => pid !== warden)), 'a warden starts again');
  const got = join(world.directory, 'read');
  const read = async (): Promise<boolean> =>
    (await world.sftp('processor', [`get acme/deposit/large ${got}`])).code === 0;
  t.ok(await holdsSoon(read), 'files are read');
  t.equal(await sha256File(got), large.sha);
  const refused = await world.sftp('acme-batch', [`put ${small.path} deposit/small`]);
  t.match(refused.err, /dest open "\/deposit\/small": Failure/, 'a floor that nobody knows is not passed');
  process.kill(store, 'SIGCONT');
  const put = async (): Promise<boolean> =>
    (await world.sftp('acme-batch', [`put ${small.path} deposit/small`])).code === 0;
  t.ok(await holdsSoon(put), 'with the store everything is taken again');
  await areWhole(t, world, [large, small]);
});
