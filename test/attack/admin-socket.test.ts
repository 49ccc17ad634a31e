// T-04: who may reach the admin process, from where, and with what. Beside every refusal, somebody else is accepted in
// the same way.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import type { AdminAddress } from '../../admin-cli/connection/identity.ts';
import { createAuthority } from '../../certs/authority.ts';
import { certs, openssl } from '../support/certs.ts';
import { temporaryDirectory } from '../support/database.ts';
import { issueOperatorCertificate } from '../support/issued.ts';
import { knock, type Shown, Visitor } from '../support/operator.ts';
import { createWorld, type Done, freePorts, project, run, type World } from '../support/world.ts';

const main = join(project, 'server', 'main.ts');

const pair = (directory: string): { readonly cert: string; readonly key: string } => ({
  cert: readFileSync(join(directory, 'cert.pem'), 'utf8'),
  key: readFileSync(join(directory, 'key.pem'), 'utf8'),
});
const operator = (world: World, name: string): Shown => pair(join(world.directory, 'operators', name));
const socketOf = (world: World): string => join(world.directory, 'run', 'admin', 'admin.sock');

function connects(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('close', () => socket.destroy());
    socket.once('connect', () => socket.end());
  });
}

test('with any address that another machine can reach, the start is refused and nothing listens', async (t) => {
  const [port = 0, partner = 0, internal = 0] = await freePorts(3);
  const directory = join(temporaryDirectory(t), 'var');
  const start = (place: string, before: readonly string[] = []): Promise<Done> => {
    const [program = '', ...args] = [...before, process.execPath, main, 'up'];
    const env = {
      COFFERDAM_VAR: directory,
      COFFERDAM_ADMIN_TCP: place,
      COFFERDAM_PARTNER_PORT: `${partner}`,
      COFFERDAM_INTERNAL_PORT: `${internal}`,
    };
    return run(program, args, { env, timeoutMs: 30_000 });
  };
  const expect = async (name: string, done: Done, text: RegExp): Promise<void> => {
    t.equal(done.code, 78, `${name}: ${done.err}`);
    t.match(done.err, text, name);
    t.match(done.err, /operators connect through SSH/, 'what to do instead');
    t.notOk(existsSync(join(directory, 'run')), 'nothing was made');
    for (const one of [port, partner, internal]) t.equal(await connects('127.0.0.1', one), false, 'nothing listens');
  };
  for (const host of ['0.0.0.0', '[::]', '192.0.2.1', '[2001:db8::1]', '[::ffff:0.0.0.0]'])
    await expect(host, await start(`${host}:${port}`), /is no loopback address/);
  // The system's resolver accepts a bare number as an address: a name that resolves to another machine, without a
  // network.
  await expect('a name for elsewhere', await start(`134744072:${port}`), /134744072 resolves to 8\.8\.8\.8/);
  await expect('a name for everywhere', await start(`0:${port}`), /resolves to 0\.0\.0\.0/);
  await expect('a name for nothing', await start(`nowhere.invalid:${port}`), /cannot be resolved/);

  // A hosts file of its own, where the machine allows that.
  const hosts = join(temporaryDirectory(t), 'hosts');
  writeFileSync(hosts, '127.0.0.1 localhost mixed.test\n192.0.2.7 mixed.test\n');
  const private_ = ['unshare', '-m', 'sh', '-c', `mount --bind ${hosts} /etc/hosts && exec "$@"`, 'sh'];
  const isPossible = (await run(private_[0] ?? '', [...private_.slice(1), 'true']).catch(() => undefined))?.code === 0;
  if (isPossible)
    await expect(
      'a name for here and elsewhere',
      await start(`mixed.test:${port}`, private_),
      /mixed\.test resolves to 192\.0\.2\.7/,
    );
  else t.comment('no mount namespace here: mixed names are tried in test/config/load only');

  // The admin process started by a unit of its own, and one whose supervisor wrote nonsense.
  const file = join(temporaryDirectory(t), 'c.json');
  const edges = [{ node: 'p', plane: 'partner', host: '127.0.0.1', port: partner }];
  writeFileSync(
    file,
    JSON.stringify({
      mode: 'development',
      runtimeDirectory: directory,
      edges,
      admin: { tcp: { host: '134744072', port } },
    }),
  );
  await expect(
    'a unit',
    await run(process.execPath, [main, 'admin', '--config', file], { timeoutMs: 30_000 }),
    /resolves to 8\.8\.8\.8/,
  );
  const database = { embedded: true, migrateUrl: null, serverUrl: null, wardenUrl: null, adminUrl: null };
  writeFileSync(
    file,
    JSON.stringify({
      runtimeDirectory: directory,
      edges,
      users: null,
      database,
      admin: { tcp: { host: '0.0.0.0', port } },
    }),
  );
  const whole = await run(process.execPath, [main, 'admin', '--config', file], {
    env: { COFFERDAM_ROLE_CONFIG: '1' },
    timeoutMs: 30_000,
  });
  await expect('a written configuration', whole, /0\.0\.0\.0 is no loopback address/);
});

/** Local addresses at which somebody listens on this port, as the kernel shows them. */
function listeningAddresses(port: number): readonly string[] {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  return ['tcp', 'tcp6'].flatMap((table) =>
    readFileSync(`/proc/net/${table}`, 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[1]?.endsWith(`:${hex}`) && fields[3] === '0A')
      .map((fields) => fields[1]?.split(':')[0] ?? ''),
  );
}

async function tryEverything(t: Test, world: World, address: AdminAddress, name: string): Promise<void> {
  const directory = join(temporaryDirectory(t), 'made');
  mkdirSync(directory);
  const at = (file: string): string => join(directory, file);
  const authority = join(world.directory, 'certs', 'authority');
  const alice = operator(world, 'alice');
  const refused = async (what: string, shown: Shown): Promise<void> => {
    t.match(await knock(address, shown), /^refused/, `${name}: ${what}`);
    t.match(await knock(address, alice), /^answered .*alice/, `${name}: and alice is heard`);
  };
  await refused('no certificate', {});
  await refused('TLS 1.2', { ...alice, maxVersion: 'TLSv1.2' });
  const self = await openssl(
    ...[
      'req',
      '-x509',
      '-nodes',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-subj',
      '/CN=alice',
      '-days',
      '9',
    ],
    ...['-keyout', at('key.pem'), '-out', at('cert.pem')],
  );
  t.equal(self.code, 0, self.err);
  await refused('a certificate signed by itself', pair(directory));
  const foreign = await issueOperatorCertificate(
    await createAuthority('Cofferdam development authority', 9),
    'alice',
    9,
  );
  await refused("another authority's alice, under the same name", { cert: foreign.certificate, key: foreign.key });
  await refused("the admin process's own certificate", pair(join(world.directory, 'certs', 'admin')));
  const own = pair(authority);
  await refused('the certificate of the authority', own);
  const past = await issueOperatorCertificate({ certificate: own.cert, key: own.key }, 'alice', -0.0005);
  await refused('an expired certificate', { cert: past.certificate, key: past.key });

  const mallory = at('mallory');
  t.equal((await certs('request', '--name', 'alice', '--out', mallory)).code, 0);
  const issued = await certs(
    'operator',
    '--authority',
    authority,
    '--request',
    join(mallory, 'request.pem'),
    '--name',
    'alice',
  );
  t.equal(issued.code, 0, issued.err);
  t.match(
    await knock(address, pair(mallory)),
    /^denied: this certificate belongs to no active operator/,
    `${name}: the key counts, not the name`,
  );

  const first = new Visitor(address, alice);
  t.match(await first.whoami(), /alice/);
  const again = new Visitor(address, { ...alice, ...(first.session === undefined ? {} : { session: first.session }) });
  t.match(await again.whoami(), /alice/);
  t.equal(again.socket.isSessionReused(), false, `${name}: nobody rests on a former handshake`);
  t.equal(again.socket.getProtocol(), 'TLSv1.3');
  for (const one of [first, again]) one.close();
}

test('the socket and a loopback port of each family accept only operators of this installation', async (t) => {
  const [port = 0] = await freePorts(1);
  const world = await createWorld(t, { env: { COFFERDAM_ADMIN_TCP: `127.0.0.1:${port}` } });
  await world.start();
  t.same(listeningAddresses(port), ['0100007F'], '127.0.0.1 and nothing else');
  await tryEverything(t, world, socketOf(world), 'socket');
  await tryEverything(t, world, { host: '127.0.0.1', port }, 'IPv4');
  t.match((await world.cofferctl(['whoami', '--address', `127.0.0.1:${port}`])).out, /alice/);
  t.match((await world.cofferctl(['whoami', '--address', `localhost:${port}`])).out, /alice/);
  for (const [args, code, text] of [
    [['--address', '192.0.2.1:7022'], 2, /forwarded port on this machine/],
    [['--address', '127.0.0.1'], 2, /forwarded port on this machine/],
    [['--address', '127.0.0.1:0'], 2, /forwarded port on this machine/],
    [['--address', 'gateway.example:7022'], 2, /forwarded port on this machine/],
    [['--address', `127.0.0.1:${port}`, '--socket', 'x'], 2, /exclude each other/],
    [['--address', '127.0.0.1:1'], 7, /does not answer on 127\.0\.0\.1:1/],
  ] as const) {
    const done = await world.cofferctl(['whoami', ...args]);
    t.match([done.code, done.err], [code, text]);
  }
  await world.stop();

  world.env.COFFERDAM_ADMIN_TCP = `[::1]:${port}`;
  if (
    !(await new Promise<boolean>((resolve) =>
      connect({ host: '::1', port }).once('error', (error: NodeJS.ErrnoException) =>
        resolve(error.code === 'ECONNREFUSED'),
      ),
    ))
  )
    return t.comment('no IPv6 here');
  await world.start();
  t.same(listeningAddresses(port), ['00000000000000000000000001000000'], '::1 and nothing else');
  await tryEverything(t, world, { host: '::1', port }, 'IPv6');
  t.match((await world.cofferctl(['whoami', '--address', `[::1]:${port}`])).out, /alice/);
  await world.stop();
  delete world.env.COFFERDAM_ADMIN_TCP;
  await world.start();
  t.same(listeningAddresses(port), [], 'no port unless one is configured');
});
