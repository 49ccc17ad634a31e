// An edge while its warden is away.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { sha256File, startWorld } from '../support/world.ts';

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test('without the warden an edge stops sending and keeps its sessions; when it is back, the transfer continues', async (t) => {
  const world = await startWorld(t);
  const path = join(world.directory, 'file');
  const size = 120_000_000;
  writeFileSync(path, randomBytes(size));
  t.equal((await world.sftp('acme-batch', [`put ${path} deposit/file`])).code, 0);
  const got = join(world.directory, 'got');
  const args = world.sftpArguments('processor');
  // 16 MB/s, so that the pause falls into the middle.
  const child = spawn('sftp', [...args.slice(0, -1), '-l', '128000', '-b', '-', args.at(-1) ?? ''], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  child.stdin.end(`get acme/deposit/file ${got}\n`);
  const done = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const received = (): number => statSync(got, { throwIfNoEntry: false })?.size ?? 0;
  for (let waited = 0; received() < 20_000_000 && waited < 20_000; waited += 50) await sleep(50);
  const [warden] = world.pidsOf('warden');
  if (warden === undefined) throw new Error('no warden');
  process.kill(warden, 'SIGSTOP');
  let before = -1;
  // What was under way still arrives; then nothing does, long before the file is complete.
  for (let waited = 0; received() !== before && waited < 10_000; waited += 1500) {
    before = received();
    await sleep(1500);
  }
  const paused = received();
  await sleep(1500);
  t.equal(received(), paused, `nothing more arrives (${paused} of ${size} bytes)`);
  t.ok(paused < size, 'in the middle of the file');
  t.equal(child.exitCode, null, 'the session is kept');
  process.kill(warden, 'SIGCONT');
  t.equal(await done, 0, 'the transfer goes on to its end');
  t.equal(await sha256File(got), await sha256File(path), 'with the right bytes');
});
