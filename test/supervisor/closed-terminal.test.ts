// A terminal that is closed, or whose operator's connection is lost, stops `npm start` with a drain, like any other
// stop.
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { SftpClient } from '../support/sftp-client.ts';
import { Terminal } from '../support/terminal.ts';
import { createWorld, project, type World } from '../support/world.ts';

const piece = randomBytes(100_000);
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
type Listed = { readonly files: readonly { readonly path: string; readonly size: number; readonly state: string }[] };

/** Processes that name the directory of this installation: its roles and its database. */
function processesOf({ directory }: World): readonly string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const line = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ');
        return line.includes(directory) ? [`${name} ${line}`] : [];
      } catch {
        return [];
      }
    });
}

/** Started as `npm start` does, so that what stands between the terminal and the gateway is tested as well. */
function started(world: World): Terminal {
  const scripts = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8')) as { scripts: { start: string } };
  return new Terminal('sh', ['-c', `exec ${scripts.scripts.start}`], {
    cwd: project,
    env: { ...process.env, ...world.env },
  });
}

test('a terminal that is closed in the middle of a file: everything is drained, and what was acknowledged is stored', async (t) => {
  const world = await createWorld(t, { limits: { drainMs: 4000 } });
  await world.start();
  await world.stop();
  const terminal = started(world);
  t.teardown(() => terminal.kill());
  t.ok(await terminal.shows(/^Cofferdam serves\b/m, 90_000), 'it serves');
  const privateKey = readFileSync(world.keyFile('acme-batch'), 'utf8');
  const client = await SftpClient.connect({ port: world.demo.partner.port, username: 'acme-batch', privateKey });
  const whole = await client.open('deposit/whole', 'w');
  await client.write(whole, 0, piece);
  await client.close(whole);
  const handle = await client.open('deposit/under-way', 'w');
  let acknowledged = 0;
  const writing = (async () => {
    for (;;) {
      await client.write(handle, acknowledged, piece);
      acknowledged += piece.length;
      await sleep(20);
    }
  })();
  let isOver = false;
  const over = writing.catch(() => (isOver = true));
  for (const end = Date.now() + 60_000; acknowledged <= 2_000_000 && !isOver && Date.now() < end; ) await sleep(20);
  const before = acknowledged;
  t.ok(before > 2_000_000, 'a file is under way');
  terminal.close();
  t.equal(await terminal.ended(120_000), 'exit 0', 'a stop in order');
  await over;
  t.ok(acknowledged > before, 'the file was given its time: the gateway drained');
  t.same(processesOf(world), [], 'nothing is left running');
  if (!process.env.DATABASE_URL)
    t.notOk(existsSync(join(world.directory, 'postgres', 'data', 'postmaster.pid')), 'the database ended in order');
  await world.start();
  const { files } = await world.cofferctlJson<Listed>(['file', 'list', 'acme', '--folder', 'deposit']);
  const sizeOf = (name: string): number => files.find((one) => one.path === `/deposit/${name}`)?.size ?? 0;
  t.equal(sizeOf('whole'), piece.length, 'what was closed is there');
  t.ok(
    sizeOf('under-way') >= acknowledged,
    `${acknowledged} bytes were acknowledged, ${sizeOf('under-way')} are stored`,
  );
});

test('a terminal that is closed while the gateway still starts leaves nothing behind', async (t) => {
  const world = await createWorld(t);
  const terminal = started(world);
  t.teardown(() => terminal.kill());
  for (const end = Date.now() + 60_000; processesOf(world).length === 0 && Date.now() < end; ) await sleep(10);
  t.not(processesOf(world).length, 0, 'the database has begun');
  terminal.close();
  t.match(await terminal.ended(120_000), /^exit /, 'it ended by itself');
  t.same(processesOf(world), [], 'nothing is left running');
});
