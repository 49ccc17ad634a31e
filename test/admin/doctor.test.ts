// The findings of doctor, each at fault and in order: the database, files and users, listeners, operators, the record.
import { chmodSync, chownSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'tap';
import { connectionFinding, databaseFindings } from '../../server/admin/doctor/database.ts';
import type { Finding } from '../../server/admin/doctor/finding.ts';
import { ledgerFindings } from '../../server/admin/doctor/ledger.ts';
import { expectedListeners, listenerFindings, type Owner, reachOf } from '../../server/admin/doctor/listeners.ts';
import { spaceFindings } from '../../server/admin/doctor/machine.ts';
import { cipherFindings, nodeFindings } from '../../server/admin/doctor/nodes.ts';
import { peopleFindings } from '../../server/admin/doctor/people.ts';
import type { PeopleFacts } from '../../server/admin/doctor/people-queries.ts';
import type { Sockets } from '../../server/admin/doctor/sockets.ts';
import { fileFindings, groupsFindings, programFinding } from '../../server/admin/doctor/wall.ts';
import type { NodeRow } from '../../server/admin/node/node-queries.ts';
import { type Config, runtimePaths } from '../../server/config/config.ts';
import { loadConfig } from '../../server/config/load.ts';
import { directoriesOf, secretsOf } from '../../server/config/owned-paths.ts';
import { defaultShares, type Shares } from '../../server/config/shares.ts';
import { connectionsOf } from '../../server/postgres/connection-limits.ts';
import { buildWall, layOut } from '../../server/supervisor/layout.ts';
import { temporaryDirectory } from '../support/database.ts';
import { project } from '../support/world.ts';

function configIn(directory: string, more: object = {}): Config {
  const file = `${directory}.json`;
  const edges = [
    { node: 'p', plane: 'partner', host: '192.0.2.2', port: 2022 },
    { node: 'i', plane: 'internal', host: '::', port: 2023 },
  ];
  writeFileSync(
    file,
    JSON.stringify({
      mode: 'development',
      runtimeDirectory: directory,
      edges,
      database: { migrateUrl: 'postgresql://x@127.0.0.1/x' },
      ...more,
    }),
  );
  return loadConfig({ file, env: {}, isRoot: process.getuid?.() === 0, isTerminal: false, projectDirectory: project });
}
const verdicts = (findings: readonly Finding[]): readonly string[] =>
  findings.map((one) => `${one.verdict} ${one.check}`);

test('version, settings, leases, ciphers, space: at fault and in order', async (t) => {
  const well = {
    versionNumber: 150_004,
    version: '15.4',
    settings: {
      fsync: 'on',
      full_page_writes: 'on',
      synchronous_commit: 'on',
      default_transaction_isolation: 'read committed',
    },
    patientRoles: [],
    oldSnapshots: [],
    demoAccounts: 0,
    connectionsMax: 200,
    connectionsOfSuperusers: 3,
  };
  t.ok(databaseFindings(well).every((one) => one.verdict === 'ok'));
  t.match(databaseFindings(well)[0], { check: 'database version', text: 'PostgreSQL 15.4' });
  t.match(databaseFindings({ ...well, versionNumber: 140_013, version: '14.13' })[0], {
    verdict: 'fault',
    text: /15 or newer is needed/,
  });
  for (const [name, value] of [
    ['fsync', 'off'],
    ['synchronous_commit', 'local'],
    ['default_transaction_isolation', 'serializable'],
  ] as const)
    t.match(
      databaseFindings({ ...well, settings: { ...well.settings, [name]: value } }).find(
        (one) => one.check === 'database settings',
      ),
      { verdict: 'fault', next: new RegExp(`alter system reset ${name};`) },
      name,
    );

  const node: NodeRow = {
    name: 'p',
    plane: 'partner',
    lastSeenAt: new Date(),
    alive: true,
    startedAt: null,
    sessions: 1,
    drainingUntil: null,
    lagMs: 200,
    nativeCipher: true,
  };
  t.match(nodeFindings([node], 750), [{ verdict: 'ok', text: 'renewed its lease 200 ms ago; 1 open sessions' }]);
  t.match(nodeFindings([{ ...node, lagMs: 751 }], 750), [{ verdict: 'warning', text: /751 ms ago.*late/ }]);
  t.match(nodeFindings([{ ...node, alive: false, lagMs: 4000 }], 750), [{ verdict: 'fault' }]);
  t.match(cipherFindings([node]), [{ verdict: 'ok' }]);
  t.match(cipherFindings([node, { ...node, name: 'q', nativeCipher: false }]), [
    { verdict: 'warning', text: /^q run without it/ },
  ]);
  t.match(cipherFindings([{ ...node, nativeCipher: null }]), [{ verdict: 'warning', text: /do not say/ }]);
  t.same(
    cipherFindings([{ ...node, alive: false, nativeCipher: false }]),
    [],
    'nothing is said of a node that does not serve',
  );

  const gib = 2 ** 30;
  const space = { freeBytes: 100 * gib, inodes: 1000, freeInodes: 900 };
  t.same(verdicts(spaceFindings(space, '/s', gib)), ['ok disk', 'ok inodes']);
  t.same(verdicts(spaceFindings({ ...space, freeBytes: 2 * gib }, '/s', gib)), ['warning disk', 'ok inodes']);
  t.same(verdicts(spaceFindings({ ...space, freeBytes: 0 }, '/s', gib)), ['fault disk', 'ok inodes']);
  t.same(verdicts(spaceFindings({ ...space, freeInodes: 40 }, '/s', gib)), ['ok disk', 'warning inodes']);
  t.same(verdicts(spaceFindings({ ...space, freeInodes: 9 }, '/s', gib)), ['ok disk', 'fault inodes']);
  t.same(
    verdicts(spaceFindings({ ...space, inodes: 0, freeInodes: 0 }, '/s', gib)),
    ['ok disk', 'ok inodes'],
    'made as needed',
  );
});

test('the connections of the server: enough for one warden, for two, for the admin process; the runbook says the same', async (t) => {
  const of = (connectionsMax: number, shares = defaultShares as Shares, forwards = 0): Finding =>
    connectionFinding({ connectionsMax, connectionsOfSuperusers: 3 }, shares, forwards);
  const { warden, admin } = connectionsOf(defaultShares, 0);
  t.equal(connectionsOf(defaultShares, 3).warden, warden + 2, 'forwards share theirs');
  t.match(of(200), {
    verdict: 'ok',
    text: `max_connections is 200: a warden takes up to ${warden}, the admin process up to ${admin}; there is room for 4 wardens`,
  });
  t.match(of(3 + admin + 2 * warden), { verdict: 'ok', text: /room for 2 wardens/ });
  t.match(of(2 + admin + 2 * warden), {
    verdict: 'warning',
    text: /too few for a second warden/,
    next: new RegExp(`max_connections to ${3 + admin + 2 * warden} or more`),
  });
  t.match(of(2 + admin + warden), { verdict: 'fault', text: /too few for one warden/ });
  const wide = {
    ...defaultShares,
    warden: { ...defaultShares.warden, transactions: { ...defaultShares.warden.transactions, total: 100 } },
  };
  t.match(of(200, wide), { verdict: 'warning' });
  const busy = {
    ...defaultShares,
    admin: { ...defaultShares.admin, transactions: { ...defaultShares.admin.transactions, total: 60 } },
  };
  t.match(of(150, busy), { verdict: 'fault', text: /and its role may have 60/ });
  const text = readFileSync(join(project, 'docs', 'operations', 'installation.md'), 'utf8');
  t.ok(
    text.includes(`a warden takes up to ${warden}, the admin process up to ${admin}`),
    'the page has the numbers of the code',
  );
  t.ok(text.includes(`so ${3 + admin + 2 * warden} is the least that two wardens should have`));
});

test('every path of the table: its mode, its owner, and what is wrong with it', async (t) => {
  const directory = join(temporaryDirectory(t), 'var');
  const config = configIn(directory);
  const wall = buildWall(config);
  layOut(config, wall);
  const isRoot = process.getuid?.() === 0;
  const idOf = (owner: string): number =>
    owner === 'warden' ? wall.warden.uid : owner === 'admin' ? wall.admin.uid : (process.getuid?.() ?? 0);
  const write = (path: string, owner: string): void => {
    mkdirSync(dirname(path), { recursive: true });
    rmSync(path, { force: true });
    writeFileSync(path, 'secret\n', { mode: 0o400 });
    chmodSync(path, 0o400);
    if (isRoot) chownSync(path, idOf(owner), idOf(owner));
  };
  const secrets = secretsOf(runtimePaths(config));
  for (const { path, owner } of secrets) write(path, String(owner));
  t.same(verdicts(fileFindings(config)), ['ok files of the wall'], 'as it was laid out');
  t.ok(secrets.length > 10 && directoriesOf(config).length > 10);

  for (const { path, owner } of secrets)
    for (const mode of [0o404, 0o440, 0o644, 0o422, 0o401]) {
      chmodSync(path, mode);
      t.match(fileFindings(config), [
        { verdict: 'fault', check: `file ${path}`, next: new RegExp(`^chmod 0400 ${path}; then replace`) },
      ]);
      write(path, String(owner));
    }
  for (const { path, mode } of directoriesOf(config)) {
    chmodSync(path, mode | 0o002);
    t.match(
      fileFindings(config),
      [{ verdict: 'fault', check: `file ${path}`, text: /wider than/ }],
      `${path} for everybody to write in`,
    );
    chmodSync(path, mode & ~0o100);
    if (isRoot) t.match(fileFindings(config), [{ verdict: 'warning', check: `file ${path}`, text: /narrower than/ }]);
    chmodSync(path, mode);
  }
  if (isRoot) {
    const edge = wall.edgeOf('p');
    for (const path of [secrets[0]?.path ?? '', join(directory, 'run', 'admin'), join(directory, 'store', 'objects')]) {
      const was = statSync(path);
      chownSync(path, edge.uid, was.gid);
      t.match(fileFindings(config), [
        { verdict: 'fault', check: `file ${path}`, text: /^belongs to cofferdam-edge-1, not to/, next: /^chown / },
      ]);
      chownSync(path, was.uid, was.gid);
    }
    chownSync(join(directory, 'run', 'i'), wall.warden.uid, edge.gid);
    t.match(
      fileFindings(config),
      [{ verdict: 'fault', text: /has the group cofferdam-edge-1, not cofferdam-edge-2/ }],
      'the other edge could connect',
    );
    chownSync(join(directory, 'run', 'i'), wall.warden.uid, wall.edgeOf('i').gid);
    chmodSync(join(directory, 'run', 'i'), 0o2750);
  }
  rmSync(secrets.find((one) => one.isRequired)?.path ?? '');
  t.match(fileFindings(config), [{ verdict: 'fault', text: 'is missing' }], 'a key that is gone');
  write(secrets.find((one) => one.isRequired)?.path ?? '', 'warden');
  const optional = secrets.find((one) => !one.isRequired)?.path ?? '';
  rmSync(optional);
  t.same(verdicts(fileFindings(config)), ['ok files of the wall'], 'what only some installations have may be missing');
});

test('groups: whoever is in one too many could write where another role is trusted', (t) => {
  const users = { edges: { p: 'edge-p', i: 'edge-i' }, warden: 'w', store: 's', admin: 'a', database: 'd' };
  const config = { ...configIn(join(temporaryDirectory(t), 'var')), users, mode: 'production' as const };
  const passwd = [...Object.values(users.edges), 'w', 'a', 'd', 'other', 's'].map(
    (name, i) => `${name}:x:${i + 1}:${i + 1}::/nonexistent:/bin/false`,
  );
  const groups = [
    'edge-p:x:1:',
    'edge-i:x:2:',
    'w:x:3:',
    'a:x:4:',
    'd:x:5:',
    'other:x:6:',
    'cofferdam-objects:x:11:edge-p,edge-i',
    's:x:7:',
    'docker:x:8:other',
    'cofferdam-database:x:9:w,a,d,postgres',
  ];
  const look = (more: (lines: readonly string[]) => readonly string[], own = passwd) =>
    groupsFindings(config, (path) => `${(path === '/etc/passwd' ? own : more(groups)).join('\n')}\n`);
  t.match(
    look((lines) => lines),
    [{ verdict: 'ok', check: 'groups of the wall' }],
  );
  for (const [from, to, text] of [
    ['edge-p:x:1:', 'edge-p:x:1:edge-i', 'edge-i is in the group edge-p'],
    ['edge-p:x:1:', 'edge-p:x:1:other', 'other is in the group edge-p'],
    ['edge-p:x:1:', 'edge-p:x:1:w', 'w is in the group edge-p'],
    ['s:x:7:', 's:x:7:w', 'w is in the group s'],
    ['w:x:3:', 'w:x:3:s', 's is in the group w'],
    ['docker:x:8:other', 'docker:x:8:other,edge-p', 'edge-p is in the group docker'],
    ['w:x:3:', 'w:x:3:edge-p', 'edge-p is in the group w'],
    ['a:x:4:', 'a:x:4:w', 'w is in the group a'],
    [
      'cofferdam-database:x:9:w,a,d,postgres',
      'cofferdam-database:x:9:w,a,edge-i',
      'edge-i is in the group cofferdam-database',
    ],
    [
      'cofferdam-objects:x:11:edge-p,edge-i',
      'cofferdam-objects:x:11:edge-p,edge-i,w',
      'w is in the group cofferdam-objects',
    ],
  ] as const)
    t.match(
      look((lines) => lines.map((line) => (line === from ? to : line))),
      [{ verdict: 'fault', text, next: /^gpasswd --delete/ }],
      text,
    );
  const two = (lines: readonly string[]): readonly string[] => [
    ...lines.map((line) => line.replace('edge-p,edge-i', 'edge-p,edge-i,edge-x')),
    'edge-x:x:12:w',
  ];
  t.equal(look(two).length, 2, 'in production no other installation is expected');
  const beside = groupsFindings({ ...config, mode: 'development' }, (path) =>
    (path === '/etc/passwd' ? passwd : two(groups)).join('\n'),
  );
  t.match(beside, [{ verdict: 'ok' }], 'in development one may stand beside it');
  const shared = passwd.map((line) => line.replace('edge-i:x:2:2:', 'edge-i:x:2:1:'));
  t.match(
    look((lines) => lines, shared),
    [{ verdict: 'fault', text: 'edge-i is in the group edge-p' }],
    'as its first group, too',
  );
  t.end();
});

test('the program: only its owner may change it', async (t) => {
  const directory = join(temporaryDirectory(t), 'program');
  const loaded = ['.cofferdam-stripped', '.cofferdam-native'];
  for (const name of ['server', 'scripts', 'migrations', ...loaded.map((one) => `node_modules/${one}`)])
    mkdirSync(join(directory, name), { recursive: true });
  for (const name of ['server/main.ts', 'scripts/stripped.mjs', 'migrations/grants.sql'])
    writeFileSync(join(directory, name), '');
  t.match(programFinding(directory, false), { verdict: 'ok' });
  chmodSync(join(directory, 'migrations', 'grants.sql'), 0o666);
  t.match(programFinding(directory, false), {
    verdict: 'fault',
    text: /grants\.sql can be changed/,
    next: /^chown -R root: /,
  });
  chmodSync(join(directory, 'migrations', 'grants.sql'), 0o644);
  for (const name of loaded) {
    chmodSync(join(directory, 'node_modules', name), 0o777);
    t.match(
      programFinding(directory, false),
      { verdict: 'fault', text: new RegExp(`${name} can be changed`) },
      'what stands there runs in roles',
    );
    chmodSync(join(directory, 'node_modules', name), 0o755);
    t.match(programFinding(directory, false), { verdict: 'ok' }, 'the twin');
  }
  t.match(
    programFinding(directory, true),
    { verdict: 'fault' },
    'this very process may write: it is a role that could',
  );
});

test('listeners: SFTP ports, loopback, and nothing else', async (t) => {
  const directory = join(temporaryDirectory(t), 'var');
  const config = configIn(directory, { metrics: { wardenPort: 9101, edgePorts: [9102] } });
  const addresses = ['192.0.2.2', '198.51.100.9', '2001:db8::2', 'fe80::1'];
  const expected = expectedListeners(config, 'postgresql://a:b@127.0.0.1:5433/x');
  t.same(
    expected.map((one) => `${one.host} ${one.port} ${one.isPublic}`),
    ['192.0.2.2 2022 true', ':: 2023 true', '127.0.0.1 9101 false', '127.0.0.1 9102 false', '127.0.0.1 5433 false'],
  );
  const ours: Owner = ({ uid }) => (uid === 107 ? 'a process of the user cofferdam-edge' : undefined);
  const look = (...rows: readonly (readonly [string, number, number])[]): readonly Finding[] => {
    const sockets: Sockets = {
      tcp: rows.map(([address, port, uid]) => ({ address, port, uid, state: 'listening', inode: 1, holders: [] })),
      unix: [],
      addresses,
    };
    return listenerFindings(sockets, config, expected, ours, []);
  };
  t.match(look(['192.0.2.2', 2022, 107]), [
    { verdict: 'ok', text: "edge p, SFTP of the partner plane: this host's networks: 192.0.2.2" },
  ]);
  t.match(look(['::', 2023, 107]), [{ verdict: 'ok', text: /192\.0\.2\.2, 198\.51\.100\.9, 2001:db8::2, fe80::1$/ }]);
  t.match(look(['127.0.0.1', 9101, 108], ['127.0.0.1', 9102, 107], ['127.0.0.1', 5433, 0]), [
    { verdict: 'ok', text: 'warden, metrics: loopback only' },
    { verdict: 'ok', text: 'edge p, metrics: loopback only' },
    { verdict: 'ok', text: 'database: loopback only' },
  ]);
  for (const [row, what] of [
    [['0.0.0.0', 2022, 107], 'a wider address than configured'],
    [['198.51.100.9', 2022, 107], 'another address'],
    [['0.0.0.0', 9101, 108], 'metrics for everybody, whoever holds it'],
    [['::', 5433, 0], 'the database for everybody'],
    [['0.0.0.0', 31337, 107], 'a stray one'],
    [['2001:db8::2', 31337, 107], 'on IPv6'],
  ] as const)
    t.match(look([...row]), [{ verdict: 'fault', next: new RegExp(`^ss -ltnpe 'sport = :${row[1]}'`) }], what);
  if (config.users !== null)
    t.match(
      look(['192.0.2.2', 2022, 0]),
      [{ verdict: 'fault', text: /^held by the user root, not by edge p/ }],
      'somebody else in its place',
    );
  t.match(look(['127.0.0.1', 31337, 107]), [{ verdict: 'warning', text: /loopback only$/ }], 'a stray one on loopback');
  t.same(look(['0.0.0.0', 22, 0], ['127.0.0.1', 25, 0]), [], "the host's own listeners are not the product's");

  t.equal(reachOf('::1', addresses), 'loopback only');
  t.equal(reachOf('0.0.0.0', addresses), "this host's networks: 192.0.2.2, 198.51.100.9");
  t.match(reachOf('203.0.113.1', addresses), /no interface has now/);
  const socket = (path: string, mode: number | null): readonly Finding[] =>
    listenerFindings(
      { tcp: [], unix: [{ path, mode, uid: mode === null ? null : 0 }], addresses },
      config,
      expected,
      ours,
      ['p'],
    );
  t.match(socket(`${directory}/run/admin/admin.sock`, 0o140660), [
    { verdict: 'ok', text: /mode 0660, owner root/ },
    { verdict: 'warning' },
  ]);
  t.match(socket(`${directory}/run/p/warden.sock`, null)[0], {
    verdict: 'ok',
    text: /for edge p only.*closed to the admin process/,
  });
  t.match(socket(`${directory}/run/admin/other.sock`, 0o140777)[0], {
    verdict: 'fault',
    text: /no part of the product/,
  });
  t.match(socket(`${directory}/run/admin/admin.sock`, 0o140660)[1], {
    check: 'listener of edge p',
    text: /not visible/,
  });
});

test('operators, emergencies and seals: what is at fault, and what to type', (t) => {
  const well: PeopleFacts = { operators: 3, officers: 3, unreviewed: [], brokenSeals: 0, missingBudgets: [] };
  const verdicts = (facts: PeopleFacts, isProduction = true) =>
    peopleFindings(facts, isProduction).map((one) => `${one.check} ${one.verdict}`);
  t.same(verdicts(well), ['operators ok', 'break-glass ok', 'seals ok', 'budgets ok']);
  t.same(verdicts({ ...well, officers: 2 })[0], 'operators warning');
  t.same(verdicts({ ...well, officers: 2 }, false)[0], 'operators ok', 'a first look has two');
  t.same(verdicts({ ...well, officers: 1 }, false)[0], 'operators fault');
  t.match(peopleFindings({ ...well, operators: 0, officers: 0 }, true)[0], {
    verdict: 'fault',
    next: /cofferctl bootstrap/,
  });
  t.match(peopleFindings({ ...well, unreviewed: [{ id: 'i', operator: 'carol' }] }, true), [
    { verdict: 'ok' },
    { check: 'break-glass', verdict: 'fault', next: /cofferctl break-glass review i/ },
    { verdict: 'ok' },
    { verdict: 'ok' },
  ]);
  t.match(peopleFindings({ ...well, brokenSeals: 2 }, true).at(-2), {
    check: 'seals',
    verdict: 'fault',
    text: /^2 rows/,
  });
  const missing = { scope: 'account', name: 'north', customer: 'acme', direction: 'in' } as const;
  t.match(peopleFindings({ ...well, missingBudgets: [missing] }, true).slice(3), [
    {
      check: 'budgets',
      verdict: 'fault',
      text: /^the budget of account north at customer acme for direction in is missing/,
      next: /^cofferctl budget set --account north --customer acme --direction in /,
    },
  ]);
  t.end();
});

test('months that are due and stay, and a verification that is bad or silent, are reported with what to do', (t) => {
  const base = {
    freeze: null,
    unsealedMs: 0,
    unwitnessedMs: 0,
    late: null,
    entries: 1,
    checkpointAt: null,
    archiving: [],
    setAside: [],
    verified: null,
    fullyVerified: null,
    standingBad: null,
  };
  type Given = Parameters<typeof ledgerFindings>;
  const of = (check: string, more: object, hours: number | null = 24, mode = 'production') =>
    ledgerFindings(
      {
        limits: { witnessAlarmMs: 1, witnessStopMs: 2 },
        runtimeDirectory: '/r',
        mode,
        ledger: { witnesses: [], verifiedWithinHours: hours, fullyVerifiedWithinHours: hours === null ? null : 26 },
      } as unknown as Given[0],
      { ...base, ...more } as unknown as Given[1],
    ).find((one) => one.check === check);
  const ago = (hours: number): string => new Date(Date.now() - hours * 3_600_000).toISOString();
  const due = { month: '2026-07', dueSince: ago(1), step: 'stated', why: 'why', lookedAt: ago(0), failedAt: null };
  const late = { at: ago(0), text: 'text', behind: 'far: it answered 507', stopMs: 2 };
  t.match(of('record', { late, unwitnessedMs: 3 }), {
    verdict: 'fault',
    text: /nothing is served: .* \(far: it answered 507\)/,
  });
  t.match(of('witnesses', { late, unwitnessedMs: 3 }), { verdict: 'fault', text: 'behind: far: it answered 507' });
  t.match(of('record', {}), { verdict: 'ok' }, 'twin: nobody is behind');
  t.match(of('archives', {}), { verdict: 'ok' });
  t.match(of('archives', { archiving: [due] }), { verdict: 'ok', text: /months are being archived/ });
  t.match(of('archives', { archiving: [{ ...due, dueSince: ago(25) }] }), {
    verdict: 'warning',
    text: /2026-07 has been due for archiving .* why/,
  });
  t.match(of('archives', { archiving: [{ ...due, failedAt: ago(0) }] }), { verdict: 'warning' });
  const said = { at: ago(1), host: 'h', verdict: 'good', heads: 1, entries: 1, text: 'text', run: 'full', since: null };
  t.match(of('verification', { verified: said }), { verdict: 'ok' });
  t.match(of('verification', { verified: { ...said, at: ago(25) } }), { verdict: 'fault', text: /for 25 h/ });
  t.match(
    of('verification', { verified: said, standingBad: { ...said, verdict: 'bad' } }),
    { verdict: 'fault', text: /does not verify.*no later full run/ },
    'a good run of what is new withdraws nothing',
  );
  t.match(of('verification', { verified: { ...said, verdict: 'incomplete' } }), {
    verdict: 'warning',
    text: /^not complete/,
  });
  t.match(of('full verification', { fullyVerified: { ...said, verdict: 'incomplete' } }), { verdict: 'warning' });
  t.match(of('verification', { verified: { ...said, verdict: 'failed' } }), { verdict: 'fault' });
  t.match(of('verification', {}), { verdict: 'fault', text: /never/ });
  t.match(of('verification', {}, null), { verdict: 'warning' });
  const since = { head: 41, entry: 7, at: ago(2), fullAt: ago(3) };
  t.match(of('verification', { verified: { ...said, run: 'since', since } }), {
    verdict: 'ok',
    text: /behind head 41/,
  });
  t.match(of('full verification', { verified: said }), {
    verdict: 'fault',
    text: /no run .* has read the whole record yet/,
  });
  t.match(of('full verification', { fullyVerified: { ...said, at: ago(25) } }), { verdict: 'ok' });
  t.match(of('full verification', { fullyVerified: { ...said, at: ago(27) } }), {
    verdict: 'fault',
    text: /whole record for 27 h/,
  });
  t.equal(of('full verification', {}, null), undefined, 'where none is set up');
  t.match(of('verification', {}, null, 'development'), { verdict: 'ok' });
  t.end();
});

test('a witness that is not required does not count as one elsewhere, neither here nor where a configuration is read', (t) => {
  const status = {
    freeze: null,
    unsealedMs: 0,
    unwitnessedMs: 0,
    late: null,
    entries: 1,
    checkpointAt: null,
    archiving: [],
    setAside: [],
    verified: null,
    fullyVerified: null,
    standingBad: null,
  } as unknown as Parameters<typeof ledgerFindings>[1];
  const said = (mode: Config['mode'], witnesses: readonly object[]): string => {
    const env = { COFFERDAM_VAR: '/srv/c', COFFERDAM_LEDGER: JSON.stringify({ witnesses }) };
    const config = loadConfig({ file: undefined, env, isRoot: false, isTerminal: false, projectDirectory: project });
    const found = ledgerFindings({ ...config, mode }, status).find((one) => one.check === 'witnesses');
    return `${found?.verdict} ${found?.text}`;
  };
  const here = { name: 'here', type: 'file', directory: '/srv/c/witness' };
  const there = { name: 'there', type: 'file', directory: '/mnt/witness' };
  t.equal(said('production', [here, there]), 'ok here (file), there (file)');
  t.match(
    said('production', [here, { ...there, isRequired: false }]),
    /^warning .*whoever has this machine has them too/,
  );
  t.match(said('development', [here, { ...there, isRequired: false }]), /^ok .*on this machine/);
  t.match(said('production', [{ ...there, directory: '/mnt/../srv/c/witness' }]), /^warning/);
  t.end();
});
