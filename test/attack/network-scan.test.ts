// T-04: from the network, a gateway shows its SFTP ports and nothing else. All TCP ports, IPv4 and IPv6, seen from
// another host.
import { writeFileSync } from 'node:fs';
import { endianness } from 'node:os';
import { join } from 'node:path';
import { test } from 'tap';
import type { Finding } from '../../server/admin/doctor/finding.ts';
import { type NetSocket, parseNetSockets } from '../../server/domain/listening-sockets.ts';
import { temporaryDirectory } from '../support/database.ts';
import { createHosts, gatewayAddresses, type Host, startGateway, whyNoNamespaces } from '../support/namespaces.ts';
import type { Scan } from '../support/scan-ports.ts';
import { type Done, project, run } from '../support/world.ts';

const { four, six } = gatewayAddresses;
const scanner = join(project, 'test', 'support', 'scan-ports.ts');
const stray = join(project, 'test', 'support', 'stray-listener.ts');
const partnerPort = 2022;
const internalPort = 2023;
const strayPort = 31_337;
const metrics = { wardenPort: 9101, edgePorts: [9102, 9103] };

async function scanFrom(host: Host, address: string): Promise<Scan> {
  const done = await host.run(process.execPath, [scanner, address]);
  if (done.code !== 0) throw new Error(`the scanner failed: ${done.err}`);
  return JSON.parse(done.out) as Scan;
}

async function socketsOn(host: Host, tables: readonly string[]): Promise<readonly NetSocket[]> {
  const texts = await Promise.all(tables.map(async (name) => (await host.run('cat', [`/proc/self/net/${name}`])).out));
  return texts.flatMap((text) => parseNetSockets(text, endianness()));
}

test('seen from the network: the SFTP ports and nothing else', async (t) => {
  if (process.getuid?.() !== 0) {
    t.pass('left out', { skip: 'only root can make hosts to scan from' });
    return;
  }
  const why = whyNoNamespaces();
  if (why !== undefined) {
    t.fail(why);
    return;
  }
  const directory = join(temporaryDirectory(t), 'var');
  const { gateway, outside } = createHosts(t);
  const file = `${directory}.json`;
  writeFileSync(
    file,
    JSON.stringify({
      mode: 'development',
      runtimeDirectory: directory,
      edges: [
        { node: 'partner-1', plane: 'partner', host: '::', port: partnerPort },
        { node: 'internal-1', plane: 'internal', host: four, port: internalPort },
      ],
      database: { embedded: true },
      metrics,
      log: { level: 'error' },
      limits: { freeSpaceFloorBytes: 0, selfTestEveryMs: 0 },
    }),
  );
  await startGateway(t, gateway, file);
  const cofferctl = (...args: readonly string[]): Promise<Done> =>
    run(process.execPath, [join(project, 'admin-cli', 'main.ts'), ...args], { env: { COFFERDAM_VAR: directory } });
  const findings = async (): Promise<readonly Finding[]> =>
    (JSON.parse((await cofferctl('doctor', '--json')).out) as { findings: readonly Finding[] }).findings;

  const ssh = 'SSH-2.0-Cofferdam';
  const all = { scanned: 65_535, unanswered: [] };
  const both = [await scanFrom(outside, four), await scanFrom(outside, six)];
  t.same(
    both[0]?.open,
    [
      { port: partnerPort, banner: ssh },
      { port: internalPort, banner: ssh },
    ],
    'IPv4',
  );
  t.match(both[0], { ...all, closed: 65_533 }, 'IPv4: every port answered');
  t.same(both[1]?.open, [{ port: partnerPort, banner: ssh }], 'IPv6');
  t.match(both[1], { ...all, closed: 65_534 }, 'IPv6: every port answered');
  const inside = await scanFrom(gateway, '127.0.0.1');
  t.same(
    inside.open.map((one) => one.port),
    [partnerPort, metrics.wardenPort, ...metrics.edgePorts],
    'the metrics are there, on loopback: the scanner would see them',
  );
  t.same(await socketsOn(gateway, ['udp', 'udp6']), [], 'no datagram socket at all');

  const well = await findings();
  t.same(
    well.filter((one) => one.verdict !== 'ok'),
    [],
    'and doctor finds nothing to say',
  );
  const listeners = well
    .filter((one) => one.check.startsWith('listener ') && !one.check.includes('/'))
    .map((one) => `${one.check}: ${one.text}`);
  t.match(listeners.sort(), [
    `listener 127.0.0.1:${metrics.wardenPort}: warden, metrics: loopback only`,
    `listener 127.0.0.1:${metrics.edgePorts[0]}: edge partner-1, metrics: loopback only`,
    `listener 127.0.0.1:${metrics.edgePorts[1]}: edge internal-1, metrics: loopback only`,
    `listener ${four}:${internalPort}: edge internal-1, SFTP of the internal plane: this host's networks: ${four}`,
    new RegExp(
      `^listener \\[::\\]:${partnerPort}: edge partner-1, SFTP of the partner plane: this host's networks: ${four}, ${six}`,
    ),
  ]);

  // The twin: a stray listener is seen by the scanner, by the table, and by doctor.
  await gateway.start(t, process.execPath, [stray, 'cofferdam-edge-1', 'tcp', '0.0.0.0', String(strayPort)], {
    word: 'listening',
  });
  await gateway.start(t, process.execPath, [stray, 'cofferdam-warden', 'tcp', '127.0.0.1', String(strayPort + 1)], {
    word: 'listening',
  });
  await gateway.start(t, process.execPath, [stray, 'cofferdam-edge-1', 'udp', '0.0.0.0', String(strayPort)], {
    word: 'listening',
  });
  await gateway.start(
    t,
    process.execPath,
    [stray, 'cofferdam-admin', 'unix', join(directory, 'run', 'admin', 'other.sock')],
    {
      word: 'listening',
    },
  );
  t.same(
    (await scanFrom(outside, four)).open,
    [
      { port: partnerPort, banner: ssh },
      { port: internalPort, banner: ssh },
      { port: strayPort, banner: 'stray\n' },
    ],
    'the stray listener is found, the one on loopback is not',
  );
  t.same(
    (await socketsOn(gateway, ['udp', 'udp6'])).map((one) => one.port),
    [strayPort],
  );
  const broken = (await findings()).filter((one) => one.verdict !== 'ok');
  t.match(
    broken.map((one) => `${one.verdict} ${one.check}: ${one.text}`).sort(),
    [
      /^fault listener .*run\/admin\/other\.sock: unix socket, mode 0\d+, owner cofferdam-admin: no part of the product listens there$/,
      `fault listener 0.0.0.0:${strayPort}: a process of the user cofferdam-edge-1, and no SFTP port of the configuration: this host's networks: ${four}`,
      new RegExp(
        `^warning listener 127\\.0\\.0\\.1:${strayPort + 1}: a process of the user cofferdam-warden, in no configuration`,
      ),
    ],
    'and doctor names all three',
  );
  t.ok(
    broken.every((one) => (one.next ?? '').startsWith('ss -l')),
    'with what to type',
  );
  t.equal((await cofferctl('doctor')).code, 1);
});
