// Draining one node of a running gateway, and who may order it.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'tap';
import { addOperator } from '../support/operators.ts';
import { SftpClient } from '../support/sftp-client.ts';
import { until } from '../support/until.ts';
import { sha256File, startWorld, type World } from '../support/world.ts';

const patience = { withinMs: 60_000, everyMs: 50 };
const size = 40_000_000;

/** What a TCP client meets. */
const knock = (port: number): Promise<string> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('data', () => {
      resolve('served');
      socket.destroy();
    });
    socket.once('error', (error) => resolve('code' in error ? String(error.code) : error.message));
    socket.once('close', () => resolve('closed'));
  });

type Status = {
  readonly nodes: readonly {
    readonly name: string;
    readonly sessions: number;
    readonly drainingUntil: string | null;
  }[];
};
const nodeOf = async (world: World): Promise<Status['nodes'][number] | undefined> =>
  (await world.cofferctlJson<Status>(['status'])).nodes.find((one) => one.name === 'partner-1');

test('drain: idle sessions end politely, new ones are refused, an upload goes on; at the bound it is cut and can be resumed', async (t) => {
  const world = await startWorld(t);
  const { port } = world.demo.partner;
  const path = join(world.directory, 'big.bin');
  writeFileSync(path, randomBytes(size));
  const [edge] = world.pidsOf('partner-1');
  const order = (...more: readonly string[]): ReturnType<World['cofferctl']> =>
    world.cofferctl(['drain', 'partner-1', '--reason', 'kernel update', ...more]);

  // One client uploads without an end, another one is logged in and idle.
  const sftp = await SftpClient.connect({
    port,
    username: 'acme-batch',
    privateKey: readFileSync(world.keyFile('acme-batch'), 'utf8'),
  });
  const handle = await sftp.open('/deposit/endless.bin', 'w');
  const content = readFileSync(path);
  const blockBytes = 32_768;
  for (let at = 0; at < 20 * 2 ** 20; at += blockBytes)
    await sftp.write(handle, at, content.subarray(at, at + blockBytes));
  const idle = spawn(
    'sftp',
    [...world.sftpArguments('globex-batch')].filter((one) => one !== '-q'),
    { stdio: ['pipe', 'pipe', 'pipe'] },
  );
  let heard = '';
  idle.stderr.on('data', (chunk: Buffer) => (heard += chunk.toString('utf8')));
  const idleGone = new Promise<void>((resolve) => idle.once('close', () => resolve()));
  await until('two sessions', async () => (await nodeOf(world))?.sessions === 2, patience);

  const plan = await order('--within', '15');
  t.equal(plan.code, 0, plan.err);
  t.match(plan.out, /2 open sessions/);
  t.match(plan.out, /1 of them transfer[\s\S]*at most 15 minutes/);
  t.match(plan.out, /acme-batch .* 1 +0/);
  t.match(plan.out, /Nothing was done\. To do it: cofferctl drain partner-1 .*--execute/);
  t.equal((await nodeOf(world))?.drainingUntil, null, 'and nothing was');

  const done = await order('--within', '15', '--execute');
  t.equal(done.code, 0, done.err);
  // OpenSSH's sftp itself waits for its next line.
  await until('word for the idle client', () => heard.includes('connect again'), patience);
  idle.stdin.end();
  await idleGone;
  t.match(heard, /this server is stopping or restarting; connect again/, 'the idle client reads why');
  t.equal(await knock(port), 'ECONNREFUSED', 'no new sessions');
  t.equal(await knock(world.demo.internal.port), 'served', 'the other edge serves');
  const node = await nodeOf(world);
  t.ok(node?.drainingUntil !== null, 'status says that it drains');
  t.equal(node?.sessions, 1, 'and what it waits for');
  t.match((await world.cofferctl(['status'])).out, /everything serves[\s\S]*partner-1 +partner +draining until 20/);
  await sftp.write(handle, 20 * 2 ** 20, content.subarray(20 * 2 ** 20, 21 * 2 ** 20));
  t.same(world.pidsOf('partner-1'), [edge], 'the upload goes on');

  t.match((await order()).out, /already draining[\s\S]*replaces that time/);
  t.equal((await order('--within', '0', '--execute')).code, 0, 'the bound comes nearer');
  await sftp.closed;
  await until('another process', () => ![undefined, edge].includes(world.pidsOf('partner-1')[0]), patience);
  await until('it serves', async () => (await knock(port)) === 'served', patience);
  t.equal((await nodeOf(world))?.drainingUntil, null, 'the next run does not drain');
  const { files } = await world.cofferctlJson<{ files: readonly { path: string; state: string; size: number }[] }>([
    'file',
    'list',
    'acme',
  ]);
  t.same(
    files.map((one) => [one.path, one.state, one.size]),
    [['/deposit/endless.bin', 'partial', 21 * 2 ** 20]],
    'every byte that was acknowledged is kept',
  );
  const again = await world.sftp('acme-batch', [`reput ${path} deposit/endless.bin`]);
  t.equal(again.code, 0, again.err);
  const got = `${path}.got`;
  t.equal((await world.sftp('processor', [`get acme/deposit/endless.bin ${got}`])).code, 0);
  t.equal(await sha256File(got), await sha256File(path), 'resumed, whole');
});

test('an operator, and no viewer, drains a node that exists, for a reason', async (t) => {
  const world = await startWorld(t);
  const [edge] = world.pidsOf('partner-1');
  const orders = ['drain', 'nowhere', '--reason', 'x'];
  for (const args of [orders, [...orders, '--execute']]) {
    const unknown = await world.cofferctl(args);
    t.equal(unknown.code, 3);
    t.match(unknown.err, /there is no node named nowhere: see cofferctl status/);
  }
  t.equal((await world.cofferctl(['drain', 'partner-1'])).code, 2, 'not without a reason');
  t.equal(
    (await world.cofferctl(['drain', 'partner-1', '--reason', 'x', '--within', '1441', '--execute'])).code,
    2,
    'nor for days',
  );

  const viewer = ['drain', 'partner-1', '--reason', 'x', '--identity', await addOperator(world, 'vera', 'viewer')];
  const denied = await world.cofferctl([...viewer, '--execute']);
  t.equal(denied.code, 4);
  t.match(denied.err, /node\.drain needs the role operator; you are viewer/);
  t.equal((await world.cofferctl(viewer)).code, 0, 'a viewer may look');
  t.equal((await nodeOf(world))?.drainingUntil, null, 'and nothing drains');
  const mine = ['drain', 'partner-1', '--reason', 'x', '--operator', 'carol'];
  t.equal((await world.cofferctl([...mine, '--execute'])).code, 0, 'an operator may');
  await until('another process', () => ![undefined, edge].includes(world.pidsOf('partner-1')[0]), patience);
  const { default: pg } = await import('pg');
  const client = new pg.Client({ connectionString: world.databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query("select sensitive from ledger where kind = 'node.drain-ordered'");
    t.match(rows, [{ sensitive: { operator: 'carol', reason: 'x', withinMinutes: 30 } }], 'on the record, once');
  } finally {
    await client.end();
  }
  for (const pid of world.pidsOf('partner-1')) process.kill(pid, 'SIGSTOP');
  try {
    await until('it is silent', async () => (await world.cofferctl(mine)).code === 5, patience);
    const away = await world.cofferctl([...mine, '--execute']);
    t.equal(away.code, 5);
    t.match(away.err, /partner-1 is not connected: there is nothing to drain/);
  } finally {
    for (const pid of world.pidsOf('partner-1')) process.kill(pid, 'SIGCONT');
  }
});
