// T-24, T-37: edges beside each other on one machine, of the same plane and of the other one. Each tries, as its own
// system user, by plain system calls and without Node's permission model, to reach another edge's objects and
// connection in every possible way.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'tap';
import { type Config, runtimePaths } from '../../server/config/config.ts';
import { loadConfig } from '../../server/config/load.ts';
import { directoriesOf } from '../../server/config/places.ts';
import { nameOf } from '../../server/config/system-users.ts';
import { serverSettings } from '../../server/postgres/embedded.ts';
import { buildWall, layOut, type Wall } from '../../server/supervisor/layout.ts';
import { type Teardown, temporaryDirectory } from '../support/database.ts';
import { type Tried, type Try, tryAs } from '../support/wall-probe.ts';
import { project, run } from '../support/world.ts';

const nodes = ['p1', 'p2', 'i1'] as const;
const skip = process.getuid?.() === 0 ? false : 'without root all roles share one user';

function machine(t: Teardown): {
  readonly config: Config;
  readonly wall: Wall;
  readonly userOf: (node: string) => string;
} {
  const directory = join(temporaryDirectory(t), 'var');
  const file = `${directory}.json`;
  writeFileSync(
    file,
    JSON.stringify({
      mode: 'development',
      runtimeDirectory: directory,
      edges: nodes.map((node, i) => ({
        node,
        plane: node === 'i1' ? 'internal' : 'partner',
        host: '127.0.0.1',
        port: 2100 + i,
      })),
      database: { embedded: true },
    }),
  );
  const config = loadConfig({ file, env: {}, isRoot: true, isTerminal: false, projectDirectory: project });
  const wall = buildWall(config);
  layOut(config, wall);
  return { config, wall, userOf: (node) => nameOf('/etc/passwd', wall.edgeOf(node).uid) };
}

/** What the edge wrote, written as the edge itself would. */
async function writeAs(user: string, path: string, text: string): Promise<void> {
  const program = `process.initgroups('${user}', '${user}'); process.setgid('${user}'); process.setuid('${user}'); require('node:fs').writeFileSync(process.argv[1], process.argv[2], { mode: 0o640 })`;
  const done = await run(process.execPath, ['-e', program, path, text]);
  if (done.code !== 0) throw new Error(done.err);
}

test("no edge reaches another edge's objects, connection or process", { skip }, async (t) => {
  const { config, wall, userOf } = machine(t);
  const paths = runtimePaths(config);
  t.equal(new Set(nodes.map(userOf)).size, nodes.length, 'a user each');
  const object = 'ab'.repeat(16);
  for (const node of nodes) {
    await writeAs(userOf(node), join(paths.incoming(node), object), node);
    const path = paths.wardenSocket(node);
    const server = createServer((socket) => socket.destroy()).listen(path);
    await once(server, 'listening');
    // As the warden leaves it: it has the group of the directory.
    chmodSync(path, 0o660);
    t.teardown(() => server.close());
  }
  const neighbour = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], {
    stdio: 'ignore',
    ...wall.edgeOf('p2'),
  });
  t.teardown(() => neighbour.kill());
  const pid = neighbour.pid ?? 0;
  for (const node of nodes) {
    const mine = paths.incoming(node);
    const seen: Tried[] = [];
    for (const other of nodes.filter((one) => one !== node)) {
      const theirs = paths.incoming(other);
      const what: readonly Try[] = [
        { do: 'list', path: theirs },
        { do: 'read', path: join(theirs, object) },
        { do: 'overwrite', path: join(theirs, object) },
        { do: 'write', path: theirs },
        { do: 'rename', path: join(mine, object), to: join(theirs, object) },
        { do: 'rename', path: join(theirs, object), to: join(mine, 'taken') },
        { do: 'link', path: join(theirs, object), to: join(mine, 'linked') },
        { do: 'link', path: join(mine, object), to: join(theirs, 'linked') },
        { do: 'delete', path: join(theirs, object) },
        { do: 'chmod', path: theirs },
        { do: 'connect', path: paths.wardenSocket(other) },
        { do: 'delete', path: paths.wardenSocket(other) },
        { do: 'write', path: join(paths.wardenSocket(other), '..') },
        ...(other === 'p2' ? [{ do: 'signal', pid } as const, { do: 'memory', pid } as const] : []),
      ];
      seen.push(...(await tryAs(userOf(node), what)));
    }
    for (const one of seen)
      t.match(one.outcome, /^refused E(?:ACCES|PERM)$/, `${node} may not: ${JSON.stringify(one)}`);
    t.equal(seen.length, node === 'p2' ? 26 : 28);
    const own: readonly Try[] = [
      { do: 'list', path: mine },
      { do: 'read', path: join(mine, object) },
      { do: 'write', path: mine },
      { do: 'connect', path: paths.wardenSocket(node) },
    ];
    for (const one of await tryAs(userOf(node), own))
      t.equal(one.outcome, 'possible', `${node} may: ${JSON.stringify(one)}`);
    // An edge cannot open its own directory to others: not even a compromised edge lets its neighbours in.
    const open = await tryAs(userOf(node), [{ do: 'chmod', path: mine }]);
    t.match(open[0]?.outcome, /^refused EPERM$/, 'and lets nobody in');
  }
  for (const node of nodes) {
    t.equal(readFileSync(join(paths.incoming(node), object), 'utf8'), node, 'what each wrote is as it was');
    const asWarden = await tryAs(nameOf('/etc/passwd', wall.warden.uid), [
      { do: 'read', path: join(paths.incoming(node), object) },
      { do: 'delete', path: join(paths.incoming(node), object) },
    ]);
    t.same(
      asWarden.map((one) => one.outcome),
      ['possible', 'possible'],
      'the warden takes it over and deletes it',
    );
  }
});

test('no directory of the installation is written by two parties that do not trust each other', { skip }, async (t) => {
  const { config, wall, userOf } = machine(t);
  const paths = runtimePaths(config);
  mkdirSync(join(paths.objects, 'ab'), { mode: 0o755 });
  const directories = directoriesOf(config).map(({ path }) => path);
  const roles: readonly (readonly [string, string])[] = [
    ...nodes.map((node) => [`edge ${node}`, userOf(node)] as const),
    ...(['warden', 'admin', 'database'] as const).map((role) => [role, nameOf('/etc/passwd', wall[role].uid)] as const),
  ];
  const writers = new Map<string, string[]>(directories.map((path) => [path, []]));
  for (const [role, user] of roles)
    for (const one of await tryAs(
      user,
      directories.map((path) => ({ do: 'write', path }) as const),
    ))
      if (one.outcome === 'possible' && 'path' in one) writers.get(one.path)?.push(role);
  const runtime = config.runtimeDirectory;
  const expected = new Map<string, string[]>([
    ...nodes.flatMap((node) => [
      [`${runtime}/run/${node}`, ['warden']] as [string, string[]],
      [paths.incoming(node), [`edge ${node}`, 'warden']] as [string, string[]],
    ]),
    [paths.objects, ['warden']],
    [`${runtime}/run/admin`, ['admin']],
    [`${runtime}/run/bootstrap`, ['warden']],
    [`${runtime}/run/record`, ['warden']],
    [`${runtime}/secrets/warden`, ['warden']],
    [`${runtime}/postgres`, ['database']],
    [`${runtime}/run/postgres`, ['database']],
    ...config.ledger.witnesses.flatMap((one) =>
      one.type === 'file' ? [[one.directory, ['warden']] as [string, string[]]] : [],
    ),
    [config.ledger.archiveDirectory, ['warden']],
  ]);
  for (const path of directories) t.same(writers.get(path), expected.get(path) ?? [], path);
  t.equal(
    statSync(`${runtime}/secrets/warden`).uid,
    0,
    'where secrets stand is the starter’s: what root puts there stays',
  );
});

test("PostgreSQL's socket can be reached by those that have a password for it, and by nobody else", {
  skip,
}, async (t) => {
  const { config, wall, userOf } = machine(t);
  const path = join(runtimePaths(config).postgresSocketDirectory, '.s.PGSQL.5432');
  const nameOfRole = (role: 'warden' | 'admin' | 'database'): string => nameOf('/etc/passwd', wall[role].uid);
  // Made as the database makes it, by its user and with the mode of its settings.
  const program = `process.initgroups('${nameOfRole('database')}', ${wall.database.gid}); process.setgid(${wall.database.gid}); process.setuid(${wall.database.uid}); require('node:net').createServer((one) => one.destroy()).listen(process.argv[1], () => { require('node:fs').chmodSync(process.argv[1], Number.parseInt(process.argv[2], 8)); console.log('up'); })`;
  const server = spawn(process.execPath, ['-e', program, path, serverSettings.unix_socket_permissions], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => server.kill());
  await once(server.stdout, 'data');
  for (const user of [...nodes.map(userOf), 'nobody'])
    t.match(await tryAs(user, [{ do: 'connect', path }]), [{ outcome: 'refused EACCES' }], `${user} may not`);
  for (const role of ['warden', 'admin', 'database'] as const)
    t.match(await tryAs(nameOfRole(role), [{ do: 'connect', path }]), [{ outcome: 'possible' }], `the ${role} may`);
});
