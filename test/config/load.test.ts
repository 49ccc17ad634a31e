// The configuration: the demo world without a file, defaults, and all faults at once, each with its reason.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import type { Config } from '../../server/config/config.ts';
import { loadConfig } from '../../server/config/load.ts';
import { onlyLoopback, withResolvedAdmin } from '../../server/config/loopback.ts';
import { defaultShares, linesOf } from '../../server/config/shares.ts';
import { temporaryDirectory } from '../support/database.ts';

const base = { env: {}, isRoot: false, isTerminal: false, projectDirectory: '/srv/x', file: undefined };

test('without a file: the demo world on loopback, frozen', async (t) => {
  const config = loadConfig(base);
  t.ok(config.demo);
  t.same(
    config.edges.map((edge) => `${edge.plane} ${edge.host}:${edge.port}`),
    ['partner 127.0.0.1:2022', 'internal 127.0.0.1:2023'],
  );
  t.ok(Object.isFrozen(config) && Object.isFrozen(config.limits) && Object.isFrozen(config.edges[0]));
});

test('the demo world keeps its witness where the environment says', async (t) => {
  const witnesses = [{ type: 'file', name: 'mount', directory: '/mnt/witness', isRequired: true }];
  t.same(loadConfig({ ...base, env: { COFFERDAM_LEDGER: JSON.stringify({ witnesses }) } }).ledger.witnesses, witnesses);
  t.match(loadConfig(base).ledger.witnesses, [{ name: 'local' }], 'without a word: below its own directory');
  t.throws(() => loadConfig({ ...base, env: { COFFERDAM_LEDGER: '{"witnesses":[]}' } }), /COFFERDAM_LEDGER witnesses/);
});

test('a number of a share is replaced by its name; a line that one holder could use up, or an unknown line, is a fault', async (t) => {
  const load = (shares: unknown): Config => loadConfig({ ...base, env: { COFFERDAM_SHARES: JSON.stringify(shares) } });
  t.match(load({ warden: { logins: { each: 7 } } }).shares.warden.logins, { each: 7, total: 5000, of: 'node' });
  t.throws(
    () => load({ warden: { logins: { each: 5000 } } }),
    /shares\.warden\.logins: each \(5000\) must leave the reserve/,
  );
  t.throws(
    () => load({ admin: { connections: { reserve: 0 } } }),
    /shares\.admin\.connections: reserve must be at least 1/,
  );
  t.throws(() => load({ warden: { calls: { each: 200 } } }), /shares\.edge\.calls: total must be less than/);
  t.throws(() => load({ warden: { loggins: { each: 1 } } }), /COFFERDAM_SHARES warden/);
  t.throws(() => load({ warden: { logins: { of: 'warden' } } }), /COFFERDAM_SHARES warden\.logins/);
  const file = join(temporaryDirectory(t), 'c.json');
  const edges = [{ node: 'p', plane: 'partner', host: '127.0.0.1', port: 2022 }];
  const written = (shares: unknown): Config => {
    writeFileSync(file, JSON.stringify({ mode: 'development', runtimeDirectory: '/srv/x', edges, shares }));
    return loadConfig({ ...base, file });
  };
  t.equal(written({ admin: { calls: { each: 5 } } }).shares.admin.calls.each, 5);
  t.throws(() => written({ admin: { calls: { each: 95 } } }), /shares\.admin\.calls/);
});

test('the reference lists every line of the table of shares with its numbers, and no other line', async (t) => {
  const text = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'operations', 'configuration.md'), 'utf8');
  const listed = [...text.matchAll(/^\| `(?:warden|store|edge|admin)\.[a-z]+` \| [^|]+ \| [\d,]+ \| .*$/gm)].map(
    ([line]) => line,
  );
  const number = (value: number): string => value.toLocaleString('en');
  const expected = linesOf(defaultShares).map(([name, { what, total, each, reserve, waiting, waitMs }]) => {
    const wait = waiting === 0 ? 'none' : `${waiting}, ${waitMs / 1000} s`;
    return `| \`${name}\` | ${what} | ${number(total)} | ${number(each)} | ${number(reserve)} | ${wait} |`;
  });
  t.same(listed, expected);
});

test('all faults are reported together', async (t) => {
  t.throws(
    () =>
      loadConfig({
        ...base,
        env: {
          COFFERDAM_PARTNER_PORT: '99999',
          COFFERDAM_INTERNAL_PORT: 'x',
          COFFERDAM_HOST: '0.0.0.0',
          COFFERDAM_LOG_LEVEL: 'loud',
          COFFERDAM_LIMITS: '{"no":1}',
        },
      }),
    {
      code: 'configuration',
      message:
        /COFFERDAM_LOG_LEVEL[\s\S]*COFFERDAM_PARTNER_PORT[\s\S]*COFFERDAM_INTERNAL_PORT[\s\S]*COFFERDAM_LIMITS[\s\S]*loopback only, not on 0\.0\.0\.0/,
    },
  );
  for (const host of ['0.0.0.0', '::', '192.168.1.1', 'localhost', 'example.com'])
    t.throws(
      () => loadConfig({ ...base, env: { COFFERDAM_HOST: host } }),
      { message: /loopback only/ },
      `demo on ${host}`,
    );
  t.throws(() => loadConfig({ ...base, env: { COFFERDAM_PARTNER_PORT: '2023' } }), { message: /same address/ });
  t.throws(() => loadConfig({ ...base, env: { COFFERDAM_VAR: `/${'x'.repeat(120)}` } }), {
    message: /longer than 107 bytes/,
  });
});

test('the record of the demo world: the setting of the environment is used, and checked', async (t) => {
  const load = (ledger: unknown): Config => loadConfig({ ...base, env: { COFFERDAM_LEDGER: JSON.stringify(ledger) } });
  const siem = {
    name: 'siem',
    format: 'cef',
    destination: { transport: 'tls', host: 'siem.example', port: 6514, ca: '/etc/ca.pem' },
  };
  t.same(load({ forwards: [siem] }).ledger.forwards, [siem]);
  t.match(load({ forwards: [siem] }).ledger.witnesses, [{ type: 'file', name: 'local' }]);
  t.same(loadConfig(base).ledger.forwards, []);
  for (const bad of [
    { ...siem, format: 'json' },
    { ...siem, destination: { transport: 'tcp', host: 'x', port: 0 } },
    { ...siem, colour: 1 },
  ])
    t.throws(() => load({ forwards: [bad] }), { code: 'configuration', message: /COFFERDAM_LEDGER/ });
  const udp = { ...siem, destination: { transport: 'udp', host: 'siem.example', port: 514 } };
  t.throws(() => load({ forwards: [udp] }), {
    code: 'configuration',
    message: /must be unix, tcp or tls; udp loses messages/,
  });
  t.throws(() => load({ forwards: [siem, siem] }), { message: /two are named siem/ });
});

test('files: unknown keys, wrong values and unsafe production are faults', async (t) => {
  const directory = temporaryDirectory(t);
  const load = (content: unknown, isRoot = false): Config => {
    const file = join(directory, 'c.json');
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
    return loadConfig({ ...base, isRoot, file });
  };
  const good = {
    mode: 'development',
    runtimeDirectory: '/srv/c',
    edges: [{ node: 'p', plane: 'partner', host: '10.0.0.1', port: 22 }],
  };
  t.notOk(load(good).demo, 'a file never makes a demo world');
  t.equal(load({ ...good, limits: { loginGraceMs: 5 } }).limits.loginGraceMs, 5);
  t.throws(() => load({ ...good, demo: true }), { code: 'configuration' }, 'not even when it asks for one');
  t.throws(() => load({ ...good, surprise: 1, edges: [{ ...good.edges[0], port: -1, plane: 'public' }] }), {
    message: /surprise[\s\S]*|edges/,
  });
  t.throws(() => load({ ...good, runtimeDirectory: 'relative' }), { message: /absolute/ });
  t.throws(() => load('{'), { message: /JSON/ });
  t.throws(() => loadConfig({ ...base, file: join(directory, 'missing.json') }), { code: 'configuration' });
  t.throws(() => load({ ...good, mode: 'production' }, true), { message: /one system user per role/ });
  const users = { edges: { p: 'a' }, warden: 'b', store: 's', admin: 'c', database: 'd' };
  const second = { ...good.edges[0], node: 'q', port: 23 };
  const both = { ...good, edges: [...good.edges, second] };
  for (const [shared, message] of [
    [{ ...users, edges: { p: 'a', q: 'a' } }, /a is used more than once; roles and edges may not share/],
    [{ ...users, edges: { p: 'a', q: 'b' } }, /b is used more than once/],
    [{ ...users, edges: { p: 'a' } }, /the edge q has no system user/],
    [{ ...users, edges: { p: 'a', q: 'e', r: 'f' } }, /there is no edge r/],
    [{ ...users, edges: { p: 'a', q: 'e' }, admin: 'root' }, /no role may be root/],
  ] as const)
    for (const mode of ['production', 'development'])
      t.throws(() => load({ ...both, mode, users: shared }, true), { message });
  t.same(
    load({ ...both, users: { ...users, edges: { p: 'a', q: 'e' } } }, true).users?.edges,
    { p: 'a', q: 'e' },
    'two edges of one plane',
  );
  t.same(
    load(both, true).users?.edges,
    { p: 'cofferdam-edge-1', q: 'cofferdam-edge-2' },
    'nobody named: each has its own all the same',
  );
  t.throws(() => load({ ...good, mode: 'production', users, database: { embedded: true } }, true), {
    message: /server of its own/,
  });
  const ready = { ...good, mode: 'production', users };
  t.throws(() => load(ready, true), { message: /needs a required witness outside the runtime directory/ });
  const outside = { name: 'mount', type: 'file', directory: '/mnt/witness' };
  t.throws(() => load({ ...ready, ledger: { witnesses: [{ ...outside, isRequired: false }] } }, true), {
    message: /at least one witness must be required/,
  });
  // One witness is required and is here, another one is elsewhere and may fail: nobody waits for the only one that
  // counts.
  const here = { name: 'here', type: 'file', directory: `${good.runtimeDirectory}/witness` };
  const url = 'https://witness.example/';
  for (const elsewhere of [outside, { name: 'far', type: 'https', url }]) {
    t.throws(() => load({ ...ready, ledger: { witnesses: [here, { ...elsewhere, isRequired: false }] } }, true), {
      message: /needs a required witness outside the runtime directory/,
    });
    t.equal(
      load({ ...ready, ledger: { witnesses: [here, elsewhere] } }, true).ledger.witnesses.length,
      2,
      'the twin: it is required',
    );
  }
  for (const directory of [
    good.runtimeDirectory,
    `${good.runtimeDirectory}/`,
    `/mnt/..${good.runtimeDirectory}/witness`,
  ])
    t.throws(() => load({ ...ready, ledger: { witnesses: [{ ...outside, directory }] } }, true), {
      message: /needs a required witness outside the runtime directory/,
    });
  for (const directory of [`${good.runtimeDirectory}-witness`, `${good.runtimeDirectory}/../witness`])
    t.doesNotThrow(
      () => load({ ...ready, ledger: { witnesses: [{ ...outside, directory }] } }, true),
      `${directory} is outside`,
    );
  t.throws(() => load({ ...ready, ledger: { witnesses: [outside, outside] } }, true), {
    message: /two are named mount/,
  });
  t.throws(() => load({ ...ready, ledger: { witnesses: [outside], onlineMonths: 13, retentionMonths: 12 } }, true), {
    message: /shorter than ledger.onlineMonths/,
  });
  t.throws(() => load({ ...ready, ledger: { witnesses: [outside], onlineMonths: 1 } }, true), {
    message: /ledger\.onlineMonths/,
  });
  t.equal(
    load({ ...ready, ledger: { witnesses: [outside], onlineMonths: 2 } }, true).ledger.onlineMonths,
    2,
    'the database keeps two',
  );
  t.throws(() => load({ ...ready, ledger: { witnesses: [{ name: 'w', type: 'https', url: 'http://w' }] } }, true), {
    message: /ledger/,
  });
  const spelled = load({
    ...good,
    runtimeDirectory: '/srv/./y/',
    storeDirectory: '/srv/y/../z//',
    ledger: { archiveDirectory: '/a/b/..' },
  });
  t.match(
    spelled,
    { runtimeDirectory: '/srv/y', storeDirectory: '/srv/z', ledger: { archiveDirectory: '/a' } },
    'each directory in one spelling',
  );
  const loaded = load({ ...ready, ledger: { witnesses: [outside] } }, true);
  t.equal(loaded.mode, 'production');
  t.match(loaded.ledger, { onlineMonths: 13, retentionMonths: 60, witnesses: [{ name: 'mount', isRequired: true }] });
});

test('operators over TCP: on loopback or not at all', async (t) => {
  const demo = (place: string): Config => loadConfig({ ...base, env: { COFFERDAM_ADMIN_TCP: place } });
  t.same(loadConfig(base).admin, { tcp: null }, 'not unless it is asked for');
  const resolved = async (place: string): Promise<unknown> => (await withResolvedAdmin(demo(place))).admin.tcp;
  t.same(await resolved('127.0.0.1:7022'), { host: '127.0.0.1', port: 7022 });
  t.same(await resolved('[::1]:7022'), { host: '::1', port: 7022 });
  t.match(
    await resolved('localhost:7022'),
    { host: /^(?:127\.0\.0\.1|::1)$/, port: 7022 },
    'an address stands in place of the name',
  );
  // The system's resolver accepts a number as an address: such names resolve without a network.
  t.same(await resolved('2130706433:7022'), { host: '127.0.0.1', port: 7022 });
  await t.rejects(resolved('134744072:7022'), {
    code: 'configuration',
    message: /134744072 resolves to 8\.8\.8\.8, not to loopback/,
  });
  await t.rejects(resolved('0:7022'), { code: 'configuration', message: /resolves to 0\.0\.0\.0/ });
  await t.rejects(resolved('nowhere.invalid:7022'), {
    code: 'configuration',
    message: /nowhere\.invalid cannot be resolved/,
  });
  for (const place of ['0.0.0.0:7022', '[::]:7022', '192.0.2.1:7022', '[2001:db8::1]:7022', '[::ffff:192.0.2.1]:7022'])
    t.throws(
      () => demo(place),
      { code: 'configuration', message: /is no loopback address; operators connect through SSH/ },
      place,
    );
  for (const place of ['7022', '127.0.0.1', '127.0.0.1:0', ':7022', '::1:7022', '127.0.0.1:99999'])
    t.throws(() => demo(place), { code: 'configuration', message: /COFFERDAM_ADMIN_TCP must be HOST:PORT/ }, place);
  t.throws(() => demo('127.0.0.1:2022'), { message: /an edge uses port 2022/ });

  t.equal(onlyLoopback('both', ['::1', '127.0.0.1']), '::1');
  t.throws(() => onlyLoopback('mixed', ['127.0.0.1', '192.0.2.1']), {
    code: 'configuration',
    message: /mixed resolves to 192\.0\.2\.1/,
  });
  t.throws(() => onlyLoopback('none', []), { code: 'configuration', message: /none resolves to nothing/ });

  const file = join(temporaryDirectory(t), 'c.json');
  const load = (admin: unknown): Config => {
    const edges = [{ node: 'p', plane: 'partner', host: '0.0.0.0', port: 22 }];
    writeFileSync(file, JSON.stringify({ mode: 'development', runtimeDirectory: '/srv/c', edges, admin }));
    return loadConfig({ ...base, file });
  };
  t.same(load(undefined).admin, { tcp: null });
  t.same(load({ tcp: { host: '::1', port: 7022 } }).admin, { tcp: { host: '::1', port: 7022 } });
  for (const [host, port, text] of [
    ['0.0.0.0', 7022, /no loopback address/],
    ['::', 7022, /no loopback address/],
    ['10.0.0.1', 7022, /no loopback address/],
    ['', 7022, /admin\.tcp\.host/],
    ['127.0.0.1', 0, /admin\.tcp\.port/],
    ['127.0.0.1', 22, /an edge uses port 22/],
  ] as const)
    t.throws(() => load({ tcp: { host, port } }), { code: 'configuration', message: text }, `${host}:${port}`);
  t.throws(() => load({ tcp: { host: '127.0.0.1', port: 7022, tls: false } }), { code: 'configuration' });
});

test('the database: no password where every role can read it, verified TLS to any other machine, and all faults at once', async (t) => {
  const file = join(temporaryDirectory(t), 'c.json');
  const load = (database: unknown, mode = 'production', env = {}): Config => {
    const edges = [{ node: 'p', plane: 'partner', host: '0.0.0.0', port: 22 }];
    const ledger = { witnesses: [{ name: 'mount', type: 'file', directory: '/mnt/witness' }] };
    const users = { edges: { p: 'a' }, warden: 'b', store: 's', admin: 'c', database: 'd' };
    writeFileSync(file, JSON.stringify({ mode, runtimeDirectory: '/srv/c', edges, users, ledger, database }));
    return loadConfig({ ...base, env, file });
  };
  for (const good of [
    'postgresql:///cofferdam?host=/run/postgresql',
    'postgresql://u@/cofferdam?host=%2Frun%2Fpostgresql',
    'postgresql://localhost/cofferdam',
    'postgresql://127.0.0.1:5433/cofferdam',
    'postgresql://[::1]:5433/cofferdam',
    'postgresql://db.example/cofferdam?sslmode=verify-full&sslrootcert=/etc/ca.pem',
    'postgresql://u@192.0.2.1:5432/cofferdam?sslmode=verify-full',
  ])
    t.equal(load({ serverUrl: good }).database.serverUrl, good);
  const remote = /is another machine: sslmode=verify-full is required/;
  for (const [url, message] of [
    ['postgresql://db.example/cofferdam', remote],
    ['postgresql://db.example/cofferdam?sslmode=require', remote],
    ['postgresql://db.example/cofferdam?sslmode=verify-ca', remote],
    ['postgresql://db.example/cofferdam?sslmode=verify-full&sslmode=disable', remote],
    ['postgresql://localhost/cofferdam?host=db.example', remote],
    ['postgresql://localhost,db.example/cofferdam', remote],
    ['postgresql:///cofferdam?hostaddr=192.0.2.1', remote],
    ['postgresql://127.0.0.1.example/cofferdam', remote],
    ['postgresql://u:secret@localhost/cofferdam', /a password is not allowed here/],
    ['postgresql://localhost/cofferdam?user=u&password=secret', /a password is not allowed here/],
    ['postgresql://localhost/cofferdam?sslpassword=secret', /a password is not allowed here/],
    ['mysql://localhost/x', /must be postgresql:/],
    ['host=db.example password=secret', /must be postgresql:/],
  ] as const)
    for (const name of ['migrateUrl', 'serverUrl', 'wardenUrl', 'adminUrl']) {
      t.throws(() => load({ [name]: url }), { code: 'configuration', message }, `${name} ${url}`);
      try {
        load({ [name]: url });
      } catch (error) {
        t.notMatch((error as Error).message, /secret@|=secret/, 'and the password is not shown');
      }
    }
  t.throws(() => load({ wardenUrl: 'postgresql://u:x@a.example/c', adminUrl: 'postgresql://b.example/c' }), {
    message: /wardenUrl: a password[\s\S]*wardenUrl: a\.example[\s\S]*adminUrl: b\.example/,
  });
  const given = { DATABASE_URL: 'postgresql://postgres:x@localhost/c' };
  t.equal(load({}, 'production', given).database.migrateUrl, given.DATABASE_URL, 'the environment of whoever migrates');
  t.throws(() => load({}, 'production', { DATABASE_URL: 'postgresql://postgres:x@db.example/c' }), { message: remote });
  t.throws(
    () => loadConfig({ ...base, env: { DATABASE_URL: 'postgresql://postgres:x@db.example/c' } }),
    { message: remote },
    'the demo world, too',
  );
});
