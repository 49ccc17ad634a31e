// An upload that is cut, and completed by reput.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { sha256File, startWorld, type World } from '../support/world.ts';

type FileRow = {
  readonly path: string;
  readonly state: string;
  readonly size: number;
  readonly sha256: string | null;
  readonly number: number;
};
const size = 120_000_000;
/**
 * An interrupted client closes in order: what follows here must happen before that counts as an end. This is ten times
 * what it takes.
 */
const settleMs = 15_000;

async function fileRows(world: World): Promise<readonly FileRow[]> {
  return (await world.cofferctlJson<{ files: readonly FileRow[] }>(['file', 'list', 'acme', '--folder', 'deposit']))
    .files;
}

/** Starts `put`, and resolves when this many bytes are durable in the gateway. */
async function startPut(
  world: World,
  path: string,
  name: string,
  storedMin: number,
): Promise<{ readonly child: ReturnType<typeof spawn>; readonly gone: Promise<void> }> {
  const args = world.sftpArguments('acme-batch');
  // A slow sender, so that the fault falls into the middle.
  const child = spawn('sftp', [...args.slice(0, -1), '-l', '160000', '-b', '-', args.at(-1) ?? ''], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  child.stdin.on('error', () => {});
  child.stdin.end(`put ${path} deposit/${name}\n`);
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const deadline = Date.now() + 60_000;
  for (;;) {
    const row = (await fileRows(world)).find((one) => one.path === `/deposit/${name}`);
    if (row !== undefined && row.size >= storedMin) return { child, gone };
    if (Date.now() > deadline || child.exitCode !== null)
      throw new Error(`the upload did not get going: ${JSON.stringify(row)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function waitServing(world: World): Promise<void> {
  const deadline = Date.now() + 30_000;
  while ((await world.sftp('acme-batch', ['pwd'], 15_000)).code !== 0)
    if (Date.now() > deadline) throw new Error(`does not serve again: ${world.log.slice(-2000)}`);
}

test('an upload that was cut is never shown as complete, and reput completes it as one version', async (t) => {
  const world = await startWorld(t, { limits: { settleMs } });
  const local = join(world.directory, 'local');
  mkdirSync(local);
  const path = join(local, 'big.bin');
  writeFileSync(path, randomBytes(size));
  const sha256 = await sha256File(path);

  const readersSee = async (): Promise<string> => (await world.sftp('processor', ['ls acme/deposit'])).out;

  const faults: readonly (readonly [string, (child: ReturnType<typeof spawn>) => Promise<void>])[] = [
    ['edge', async () => world.kill('partner-1')],
    ['warden', async () => world.kill('warden')],
    [
      'supervisor',
      async () => {
        await world.stop('SIGKILL');
        await new Promise((resolve) => setTimeout(resolve, 500));
        await world.start();
      },
    ],
    ['client', async (child) => void child.kill('SIGINT')],
  ];
  for (const [what, strike] of faults) {
    const name = `cut-by-${what}.bin`;
    const { child, gone } = await startPut(world, path, name, 20_000_000);
    await strike(child);
    if (what === 'warden') {
      // The session outlives the warden: the transfer continues where it was, or the client is told; in either case
      // nothing incomplete is shown.
      await Promise.race([gone, new Promise((resolve) => setTimeout(resolve, 20_000))]);
      child.kill('SIGKILL');
    }
    await gone;
    await waitServing(world);
    const row = (await fileRows(world)).find((one) => one.path === `/deposit/${name}`);
    const isWhole = row?.size === size && row.sha256 === sha256;
    if (!isWhole) t.notMatch(await readersSee(), new RegExp(name), `${what} cut: readers do not see it`);
    t.ok(row !== undefined && row.size > 0, `${what} cut: what arrived is kept (${row?.size} bytes)`);

    if (!isWhole) {
      const again = await world.sftp('acme-batch', [`reput ${path} deposit/${name}`]);
      t.equal(again.code, 0, `${what} cut: reput completes it: ${again.err}`);
    }
    const complete = (await fileRows(world)).filter(
      (one) => one.path === `/deposit/${name}` && one.state !== 'discarded',
    );
    t.equal(complete.length, 1, 'one version');
    t.equal(complete[0]?.size, size, 'whole');
    t.equal(complete[0]?.sha256, sha256, 'with the right hash');
  }
  // All of them at once: each is published when it has settled.
  for (const [what] of faults) {
    const name = `cut-by-${what}.bin`;
    const deadline = Date.now() + 10 * settleMs;
    while (!(await readersSee()).includes(name) && Date.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 1000));
    const got = await world.sftp('processor', [`get acme/deposit/${name} ${join(local, 'got')}`]);
    t.equal(got.code, 0, got.err);
    t.equal(await sha256File(join(local, 'got')), sha256, `${what} cut: the reader gets what was meant`);
  }
});
