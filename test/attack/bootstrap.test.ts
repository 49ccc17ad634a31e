// T-06: root on the machine itself makes the first operators, once, two at a time. There is no page, no port, and no
// default account.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { makeOperators } from '../../server/admin/development-operators.ts';
import { runtimePaths } from '../../server/config/config.ts';
import { loadConfig } from '../../server/config/load.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { Child } from '../../server/supervisor/child.ts';
import { roleCommand } from '../../server/supervisor/commands.ts';
import { prepare } from '../../server/supervisor/prepare.ts';
import { createEmptyDatabase, temporaryDirectory, testPasswords } from '../support/database.ts';
import { type Done, freePorts, project, run } from '../support/world.ts';

const isRoot = process.getuid?.() === 0;

test('bootstrap: root, once, two persons with keys of their own', async (t) => {
  const directory = join(temporaryDirectory(t), 'var');
  const [port] = await freePorts(1);
  const own = process.env.DATABASE_URL ? await createEmptyDatabase(t) : undefined;
  const file = `${directory}.json`;
  writeFileSync(
    file,
    JSON.stringify({
      mode: 'development',
      runtimeDirectory: directory,
      edges: [{ node: 'p1', plane: 'partner', host: '127.0.0.1', port }],
      database: own === undefined ? { embedded: true } : { migrateUrl: own },
      log: { level: 'error' },
    }),
  );
  if (own !== undefined)
    for (const role of ['warden', 'admin'] as const) {
      mkdirSync(join(directory, 'secrets', role), { recursive: true });
      writeFileSync(join(directory, 'secrets', role, 'database-password'), `${testPasswords[role]}\n`, { mode: 0o400 });
    }
  const config = loadConfig({ file, env: {}, isRoot, isTerminal: false, projectDirectory: project });
  const log = createLogger(config, 'supervisor');
  const prepared = await prepare(config, project, log);
  const roles = (['store', 'warden', 'admin'] as const).map(
    (role) => new Child(role, roleCommand(runtimePaths(config), project, prepared.configFile, role), log),
  );
  t.teardown(async () => {
    for (const role of [...roles].reverse()) await role.stop(5000);
    await prepared.database?.stop();
  });
  for (const role of roles) await role.start();

  const ctl = (...args: readonly string[]): Promise<Done> =>
    run(process.execPath, [join(project, 'admin-cli', 'main.ts'), ...args], { env: { COFFERDAM_VAR: directory } });
  const certificate = (name: string): string => join(directory, 'operators', name, 'cert.pem');
  const nobody = await ctl('whoami');
  t.match(
    [nobody.code, nobody.err],
    [4, /belongs to no active operator/],
    'a certificate of the authority alone is nobody',
  );

  for (const [what, args, words, code] of [
    ['one person', [certificate('alice')], /expected: cofferctl bootstrap/, 2],
    ['the same person twice', [certificate('alice'), certificate('alice')], /two persons with a key each/, 2],
    ['a private key', [certificate('alice'), join(directory, 'operators', 'bob', 'key.pem')], /holds a private key/, 2],
    ['no certificate', [certificate('alice'), file], /is not a certificate/, 2],
    ['a file that is not there', [certificate('alice'), '/nowhere'], /no such file/, 2],
  ] as const) {
    const refused = await ctl('bootstrap', ...args);
    t.match([refused.code, refused.err], [code, words], what);
  }
  if (isRoot) {
    // As an ordinary user of the machine: the directory lets nobody else in.
    const stranger = await run('setpriv', [
      '--reuid=65534',
      '--regid=65534',
      '--clear-groups',
      process.execPath,
      '-e',
      `require('node:net').connect(${JSON.stringify(runtimePaths(config).bootstrapSocket)}).on('error', (error) => console.log(error.code)).on('connect', () => console.log('in'))`,
    ]);
    t.equal(stranger.out, 'EACCES\n', 'nobody but root and the warden gets to the socket');
  }
  t.equal((await ctl('whoami')).code, 4, 'and still there is no operator');

  const [first, second] = await Promise.all([
    ctl('bootstrap', certificate('alice'), certificate('bob'), '--json'),
    ctl('bootstrap', certificate('bob'), certificate('carol'), '--json'),
  ]);
  t.same([first?.code, second?.code].sort(), [0, 5], 'of two at once, one');
  const made = (
    JSON.parse((first?.code === 0 ? first : second)?.out ?? '{}') as { operators: { name: string }[] }
  ).operators.map((one) => one.name);
  t.equal(made.length, 2);
  t.match((await ctl('whoami', '--operator', made[0] ?? '')).out, /\(security-officer\)/);
  const listed = JSON.parse((await ctl('operator', 'list', '--operator', made[0] ?? '', '--json')).out) as {
    operators: { name: string; role: string }[];
  };
  t.same(
    listed.operators.map((one) => [one.name, one.role]),
    [...made].sort().map((name) => [name, 'security-officer']),
  );
  const again = await ctl('bootstrap', certificate('alice'), certificate('carol'));
  t.match([again.code, again.err], [5, /this installation has its operators/], 'never again');
  // Not even when both are suspended: being root does not make anybody an operator.
  for (const name of made)
    await ctl('operator', 'suspend', name, '--reason', 'test', '--execute', '--operator', made[0] ?? '');
  t.equal((await ctl('bootstrap', certificate('alice'), certificate('carol'))).code, 5);
  await t.rejects(makeOperators(config, prepared.operators), 'nor by the set-up of a development installation');
});
