// T-24, T-37: edges beside each other on one machine, of the same plane and of the other one. Each tries, as its own
// system user, by plain system calls and without Node's permission model, to reach another edge's connections and to
// change sealed objects in every possible way.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { test } from 'tap';
import { type Config, runtimePaths } from '../../server/config/config.ts';
import { loadConfig } from '../../server/config/load.ts';
import { directoriesOf } from '../../server/config/owned-paths.ts';
import { nameOf } from '../../server/config/system-users.ts';
import { serverSettings } from '../../server/postgres/embedded.ts';
import { buildWall, layOut, type Wall } from '../../server/supervisor/layout.ts';
import { type Teardown, temporaryDirectory } from '../support/database.ts';
import { type Try, tryAs } from '../support/wall-probe.ts';
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

/** An object, written as the store writes it. */
async function writeObjectAs(user: string, path: string, text: string): Promise<void> {
  const program = `process.initgroups('${user}', '${user}'); process.setgid('${user}'); process.setuid('${user}'); const fs = require('node:fs'); fs.mkdirSync(require('node:path').dirname(process.argv[1]), { recursive: true, mode: 0o2750 }); fs.writeFileSync(process.argv[1], process.argv[2], { mode: 0o440, flag: 'wx' })`;
  const done = await run(process.execPath, ['-e', program, path, text]);
  if (done.code !== 0) throw new Error(done.err);
}

/** A socket as its role leaves it: with the group of its directory. */
async function listenAt(t: Teardown, path: string): Promise<void> {
  const server = createServer((socket) => socket.destroy()).listen(path);
  await once(server, 'listening');
  chmodSync(path, 0o660);
  t.teardown(() => void server.close());
}

test("no edge reaches another edge's connections or process, or changes an object", { skip }, async (t) => {
  const { config, wall, userOf } = machine(t);
  const paths = runtimePaths(config);
  const nameOfRole = (role: 'warden' | 'store'): string => nameOf('/etc/passwd', wall[role].uid);
  const all = [...nodes.map(userOf), nameOfRole('warden'), nameOfRole('store')];
  t.equal(new Set(all).size, all.length, 'a user each');
  const object = join(paths.objects, 'ab', 'ab'.repeat(16));
  await writeObjectAs(nameOfRole('store'), object, 'sealed');
  const control = paths.storeControlSocket;
  for (const path of [...nodes.flatMap((node) => [paths.wardenSocket(node), paths.storeSocket(node)]), control])
    await listenAt(t, path);
  const neighbour = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], {
    stdio: 'ignore',
    ...wall.edgeOf('p2'),
  });
  t.teardown(() => neighbour.kill());
  const pid = neighbour.pid ?? 0;
  const around = (socket: string): readonly Try[] => [
    { do: 'delete', path: socket },
    { do: 'write', path: dirname(socket) },
    { do: 'chmod', path: dirname(socket) },
  ];
  for (const node of nodes) {
    const others = nodes.filter((one) => one !== node);
    const what: readonly Try[] = [
      ...others.flatMap((other) =>
        [paths.wardenSocket(other), paths.storeSocket(other)].flatMap((socket): readonly Try[] => [
          { do: 'connect', path: socket },
          ...around(socket),
        ]),
      ),
      ...(others.includes('p2') ? [{ do: 'signal', pid } as const, { do: 'memory', pid } as const] : []),
      { do: 'connect', path: control },
      { do: 'list', path: dirname(control) },
      ...around(control),
      // An edge cannot open its own place to others: not even a compromised edge lets its neighbours in.
      ...around(paths.wardenSocket(node)),
      ...around(paths.storeSocket(node)),
      { do: 'overwrite', path: object },
      { do: 'delete', path: object },
      { do: 'chmod', path: object },
      { do: 'rename', path: object, to: `${object}.taken` },
      { do: 'link', path: object, to: join(paths.objects, 'ab', 'cd'.repeat(16)) },
      { do: 'symlink', path: '/nowhere', to: join(paths.objects, 'ab', 'cd'.repeat(16)) },
      { do: 'write', path: dirname(object) },
      { do: 'write', path: paths.objects },
      { do: 'write', path: paths.store },
    ];
    const seen = await tryAs(userOf(node), what);
    for (const one of seen)
      t.match(one.outcome, /^refused E(?:ACCES|PERM)$/, `${node} may not: ${JSON.stringify(one)}`);
    t.equal(seen.length, node === 'p2' ? 36 : 38);
    const own: readonly Try[] = [
      { do: 'connect', path: paths.wardenSocket(node) },
      { do: 'connect', path: paths.storeSocket(node) },
      { do: 'list', path: dirname(object) },
      { do: 'read', path: object },
    ];
    for (const one of await tryAs(userOf(node), own))
      t.equal(one.outcome, 'possible', `${node} may: ${JSON.stringify(one)}`);
  }
  t.equal(readFileSync(object, 'utf8'), 'sealed', 'the object is as it was');
  const outcomes = async (user: string, what: readonly Try[]): Promise<readonly string[]> =>
    (await tryAs(user, what)).map(({ outcome }) => outcome);
  t.same(
    await outcomes(nameOfRole('warden'), [
      { do: 'connect', path: control },
      { do: 'read', path: object },
      { do: 'overwrite', path: object },
      { do: 'delete', path: object },
    ]),
    ['possible', ...Array(3).fill('refused EACCES')],
    'the warden asks the store, and touches no object itself',
  );
  t.same(
    await outcomes(nameOfRole('store'), [
      { do: 'connect', path: paths.wardenSocket('p1') },
      { do: 'list', path: dirname(paths.masterKey) },
      { do: 'write', path: dirname(paths.wardenSocket('p1')) },
    ]),
    Array(3).fill('refused EACCES'),
    'the store reaches no warden and no key',
  );
  t.same(
    await outcomes(nameOfRole('store'), [
      { do: 'write', path: paths.objects },
      { do: 'delete', path: object },
    ]),
    ['possible', 'possible'],
    'the store writes and deletes objects',
  );
});

test('no directory of the installation is written by two parties that do not trust each other', { skip }, async (t) => {
  const { config, wall, userOf } = machine(t);
  const paths = runtimePaths(config);
  const directories = directoriesOf(config).map(({ path }) => path);
  const roles: readonly (readonly [string, string])[] = [
    ...nodes.map((node) => [`edge ${node}`, userOf(node)] as const),
    ...(['warden', 'store', 'admin', 'database'] as const).map(
      (role) => [role, nameOf('/etc/passwd', wall[role].uid)] as const,
    ),
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
      [dirname(paths.storeSocket(node)), ['store']] as [string, string[]],
    ]),
    [dirname(paths.storeControlSocket), ['store']],
    [paths.objects, ['store']],
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
  const nameOfRole = (role: 'warden' | 'store' | 'admin' | 'database'): string => nameOf('/etc/passwd', wall[role].uid);
  // Made as the database makes it, by its user and with the mode of its settings.
  const program = `process.initgroups('${nameOfRole('database')}', ${wall.database.gid}); process.setgid(${wall.database.gid}); process.setuid(${wall.database.uid}); require('node:net').createServer((one) => one.destroy()).listen(process.argv[1], () => { require('node:fs').chmodSync(process.argv[1], Number.parseInt(process.argv[2], 8)); console.log('up'); })`;
  const server = spawn(process.execPath, ['-e', program, path, serverSettings.unix_socket_permissions], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => server.kill());
  await once(server.stdout, 'data');
  for (const user of [...nodes.map(userOf), nameOfRole('store'), 'nobody'])
    t.match(await tryAs(user, [{ do: 'connect', path }]), [{ outcome: 'refused EACCES' }], `${user} may not`);
  for (const role of ['warden', 'admin', 'database'] as const)
    t.match(await tryAs(nameOfRole(role), [{ do: 'connect', path }]), [{ outcome: 'possible' }], `the ${role} may`);
});
