// Starts that cannot succeed, stops, and what a killed supervisor leaves behind.
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'tap';
import { withoutCredentials } from '../../server/supervisor/prepare.ts';
import { temporaryDirectory } from '../support/database.ts';
import { childrenOf, createWorld, type Done, project, run } from '../support/world.ts';

const main = join(project, 'server', 'main.ts');
const cofferdam = (args: readonly string[], env: Record<string, string | undefined> = {}): Promise<Done> =>
  run(process.execPath, [main, ...args], { env, timeoutMs: 30_000 });

test('a gateway that cannot be started says why, once, and starts nothing', async (t) => {
  const directory = join(temporaryDirectory(t), 'var');
  const expect = async (
    name: string,
    args: readonly string[],
    env: Record<string, string | undefined>,
    text: RegExp,
  ): Promise<void> => {
    const done = await cofferdam(args, { COFFERDAM_VAR: directory, ...env });
    t.equal(done.code, 78, `${name}: exit code`);
    t.match(done.err, text, `${name}: text`);
    t.notMatch(done.err, / {4}at /, `${name}: no stack`);
    t.notOk(existsSync(join(directory, 'postgres')), `${name}: no database was made`);
  };
  await expect('an unknown role', ['edges'], {}, /there is no role "edges"/);
  await expect('an unknown option', ['up', '--prot', '1'], {}, /--prot/);
  await expect('a demo on every address', ['up'], { COFFERDAM_HOST: '0.0.0.0' }, /loopback only, not on 0\.0\.0\.0/);
  await expect(
    'several faults',
    ['up'],
    { COFFERDAM_PARTNER_PORT: 'x', COFFERDAM_INTERNAL_PORT: 'y' },
    /2 faults:\n.*COFFERDAM_PARTNER_PORT[\s\S]*COFFERDAM_INTERNAL_PORT/,
  );
  await expect('a missing file', ['up', '--config', '/nowhere.json'], {}, /\/nowhere\.json cannot be read/);
  const occupied = createServer();
  await new Promise<void>((resolve) => occupied.listen(0, '127.0.0.1', resolve));
  t.teardown(() => void occupied.close());
  const { port } = occupied.address() as { port: number };
  await expect(
    'an occupied port',
    ['up'],
    { COFFERDAM_PARTNER_PORT: String(port), COFFERDAM_INTERNAL_PORT: '1' },
    new RegExp(`127\\.0\\.0\\.1:${port} is in use`),
  );
  const file = join(temporaryDirectory(t), 'file');
  writeFileSync(file, '');
  await expect(
    'a directory that cannot be written',
    ['up'],
    { COFFERDAM_VAR: join(file, 'var'), COFFERDAM_PARTNER_PORT: '0' },
    /port number|cannot be written/,
  );
  t.equal((await cofferdam(['--help'])).code, 0);
});

test('secrets that others can read, or that cannot be read, are refused', async (t) => {
  const world = await createWorld(t);
  await world.start();
  await world.stop();
  const key = join(world.directory, 'secrets', 'warden', 'master.key');
  const before = readFileSync(key);
  chmodSync(key, 0o644);
  await t.rejects(world.start(), /master key .* may be read by others \(mode 644\)/);
  t.same(childrenOf(world.pid), [], 'nothing is left running');
  chmodSync(key, 0o400);
  await world.start();
  t.ok(readFileSync(key).equals(before), 'and with its right mode the same key serves');
});

test('a stop leaves nothing behind; neither does a killed supervisor, once it is started again', async (t) => {
  const world = await createWorld(t);
  await world.start();
  const all = ['partner-1', 'internal-1', 'warden', 'store', 'admin'].flatMap((what) => world.pidsOf(what as 'warden'));
  const database = world.pidsOf('postgres');
  t.equal(all.length, 5, 'five roles');
  const isAlive = (pid: number): boolean =>
    existsSync(`/proc/${pid}`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  t.equal(await world.stop('SIGINT'), 0);
  t.same([...all, ...database].filter(isAlive), [], 'every process is gone');
  await world.start();
  const [first] = world.pidsOf('postgres');
  const roles = ['partner-1', 'internal-1', 'warden', 'store', 'admin'].flatMap((what) =>
    world.pidsOf(what as 'warden'),
  );
  await world.stop('SIGKILL');
  const deadline = Date.now() + 20_000;
  while (roles.some(isAlive) && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50));
  t.same(roles.filter(isAlive), [], 'roles end with their supervisor');
  await world.start();
  if (first !== undefined) t.notOk(isAlive(first), 'the database that was left over has stopped');
  t.equal((await world.cofferctl(['status'])).code, 0, 'and everything serves again');
});

test('no credential is left in an address', async (t) => {
  t.equal(
    withoutCredentials('postgresql://u:p@h:1/d?password=x&sslmode=require'),
    'postgresql://h:1/d?sslmode=require',
  );
  t.equal(withoutCredentials('postgres://u@/d?host=/run&user=x'), 'postgres:///d?host=/run');
  t.equal(withoutCredentials('postgresql://h/d'), 'postgresql://h/d');
  t.equal(withoutCredentials(null), null);
});
