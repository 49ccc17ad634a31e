// Doctor on a running gateway.
import { chmodSync, chownSync, mkdirSync, statSync, unlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import { test } from 'tap';
import type { Finding } from '../../server/admin/doctor/finding.ts';
import { defaultShares, wardenConnections } from '../../server/config/shares.ts';
import { lookUp } from '../../server/config/system-users.ts';
import { connections, connectionsOf, incidentConnections } from '../../server/postgres/connection-limits.ts';
import { startWorld } from '../support/world.ts';

test('doctor of a running gateway finds what is really broken, and finds it in order again afterwards', async (t) => {
  const world = await startWorld(t);
  const client = new pg.Client({ connectionString: world.databaseUrl });
  client.on('error', () => {});
  await client.connect();
  t.teardown(() => client.end());
  const isRoot = process.getuid?.() === 0;
  const look = async (): Promise<readonly Finding[]> => {
    const { findings } = await world.cofferctlJson<{ findings: readonly Finding[] }>(['doctor']);
    // Other gateways on this machine have the same system users.
    return findings.filter((one) => !(one.check.startsWith('listener 127.') && one.verdict === 'warning'));
  };
  const wrong = async (): Promise<readonly Finding[]> =>
    (await look()).filter(
      (one) => one.verdict !== 'ok' && one.check !== 'demo accounts' && one.check !== 'users of the wall',
    );
  const finds = async (name: string, expected: Partial<Record<keyof Finding, string | RegExp>>): Promise<void> => {
    const found = await wrong();
    t.equal(found.length, 1, `${name}: one finding: ${found.map((one) => one.text).join('; ')}`);
    t.match(found[0], expected, name);
  };
  const well = async (name: string): Promise<void> => {
    t.same(await wrong(), [], name);
  };

  const names = (await look()).map((one) => one.check);
  for (const name of [
    'warden',
    'edge partner-1',
    'edge internal-1',
    'native cipher',
    'database version',
    'database settings',
    'database connections',
    'idle transactions',
    'old snapshots',
    'demo accounts',
    'database grants',
    'database roles',
    'row-level security',
    'ledger trigger',
    'record',
    'witnesses',
    'clock',
    'disk',
    'inodes',
    'users of the wall',
    ...(process.getuid?.() === 0 ? ['groups of the wall'] : []),
    'files of the wall',
    'program',
    'admin certificate',
  ])
    t.equal(names.filter((one) => one === name).length, 1, name);
  t.ok(names.includes(`listener 127.0.0.1:${world.demo.partner.port}`));

  // The connections that the processes really keep open are those of the table, by name and by number.
  const counted = connectionsOf(defaultShares, 0);
  const { rows: open } = await client.query<{ name: string; role: string; n: number }>(
    "select application_name as name, usename as role, count(*)::int as n from pg_stat_activity where datname = current_database() and usename like 'cofferdam%' group by 1, 2",
  );
  const most: Readonly<Record<string, number>> = {
    'cofferdam warden': wardenConnections(defaultShares.warden),
    'cofferdam warden listen': connections.wardenListeners,
    'cofferdam warden looks': connections.looks,
    'cofferdam sealer': connections.sealer,
    'cofferdam sealer leads': connections.sealerLeads,
    'cofferdam admin': defaultShares.admin.transactions.total,
    'cofferdam admin listen': connections.adminListener,
    'cofferdam incident': incidentConnections(defaultShares.admin),
    ...Object.fromEntries(
      ['grants', 'charges', 'pace'].flatMap((kind) =>
        ['partner', 'internal'].map((plane) => [`cofferdam ${kind} ${plane}`, 1]),
      ),
    ),
  };
  for (const { name, n } of open) t.ok(n <= (most[name] ?? 0), `${name}: ${n} of ${most[name]}`);
  for (const name of ['cofferdam warden listen', 'cofferdam sealer leads', 'cofferdam admin listen'])
    t.equal(open.find((one) => one.name === name)?.n, most[name], `${name} are there all the time`);
  for (const role of ['warden', 'admin'] as const) {
    const ours = open.filter((one) => one.role === `cofferdam_${role}`);
    t.ok(
      ours.length > 0 && ours.reduce((sum, one) => sum + one.n, 0) <= counted[role],
      `${role}: no more than ${counted[role]}`,
    );
  }
  await well('nothing is wrong at first');

  const secrets = join(world.directory, 'secrets');
  const files = [
    [join(secrets, 'admin', 'database-password'), 0o644],
    [join(world.directory, 'certs', 'admin', 'key.pem'), 0o440],
    [join(secrets, 'warden'), 0o1774],
    [join(world.directory, 'store', 'objects'), 0o2777],
    [join(world.directory, 'run'), 0o777],
    [join(world.directory, 'certs'), 0o777],
    [join(world.directory, 'certs', 'admin'), 0o770],
  ] as const;
  for (const [path, mode] of files) {
    const before = statSync(path).mode & 0o7777;
    chmodSync(path, mode);
    await finds(`${path} ${mode.toString(8)}`, { verdict: 'fault', check: `file ${path}`, next: /^chmod / });
    chmodSync(path, before);
    await well(`${path} as it was`);
  }
  chmodSync(join(secrets, 'warden'), 0o755);
  chmodSync(join(secrets, 'warden', 'master.key'), 0o444);
  t.same(
    (await wrong()).map((one) => `${one.verdict} ${one.check}`),
    [`fault file ${join(secrets, 'warden')}`, `fault file ${join(secrets, 'warden', 'master.key')}`],
    'behind an opened directory the key itself is seen',
  );
  chmodSync(join(secrets, 'warden', 'master.key'), 0o400);
  chmodSync(join(secrets, 'warden'), 0o1770);
  if (isRoot) {
    const path = join(world.directory, 'store', 'objects');
    const { uid, gid } = statSync(path);
    chownSync(path, Number(lookUp('/etc/passwd', 'cofferdam-edge')?.[2]), gid);
    chmodSync(path, 0o2750);
    await finds('sealed objects owned by an edge', {
      verdict: 'fault',
      check: `file ${path}`,
      next: /^chown cofferdam-store /,
    });
    chownSync(path, uid, gid);
    chmodSync(path, 0o2750);
  }
  await well('files as they were');

  for (const [broken, right, expected] of [
    [
      'grant select on customer_key to cofferdam_auditor',
      'revoke select on customer_key from cofferdam_auditor',
      {
        check: 'database grants',
        text: /1 too many: cofferdam_auditor: SELECT on table customer_key/,
        next: /cofferdam migrate/,
      },
    ],
    [
      'grant update (state) on session to cofferdam_admin',
      'revoke update (state) on session from cofferdam_admin',
      { check: 'database grants', text: /cofferdam_admin: UPDATE on column session\.state/ },
    ],
    [
      'alter table download disable row level security',
      'alter table download enable row level security',
      { check: 'row-level security' },
    ],
    [
      'alter table ledger_sealed disable trigger ledger_is_insert_only',
      'alter table ledger_sealed enable trigger ledger_is_insert_only',
      { check: 'ledger trigger', next: /^alter table NAME enable trigger/ },
    ],
    [
      'alter role cofferdam_auditor bypassrls',
      'alter role cofferdam_auditor nobypassrls',
      { check: 'database roles', text: /bypassrls/ },
    ],
    [
      'grant pg_read_all_data to cofferdam_auditor',
      'revoke pg_read_all_data from cofferdam_auditor',
      { check: 'database roles', text: /member of pg_read_all_data/ },
    ],
  ] as const) {
    await client.query(broken);
    const found = (await wrong()).filter((one) => !['triggers', 'database catalogue'].includes(one.check));
    t.match(found, [{ verdict: 'fault', ...expected }], broken);
    await client.query(right);
    await well(right);
  }
  await client.query('create role doctor_test_stranger; grant select on customer to doctor_test_stranger');
  await finds('a role that nobody knows', {
    verdict: 'warning',
    check: 'database grants of others',
    text: /doctor_test_stranger: SELECT on table customer/,
  });
  await client.query('drop owned by doctor_test_stranger; drop role doctor_test_stranger');

  await client.query("update node set native_cipher = false where name = 'partner-1'");
  await finds('an edge without the native cipher', {
    verdict: 'warning',
    check: 'native cipher',
    text: /^partner-1 run without it/,
  });
  await client.query("update node set native_cipher = true where name = 'partner-1'");

  const strange = join(world.directory, 'run', 'strange');
  mkdirSync(strange, { mode: 0o755 });
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(join(strange, 'x.sock'), resolve));
  await finds('a socket that nobody knows', {
    verdict: 'fault',
    check: `listener ${join(strange, 'x.sock')}`,
    text: /no part of the product/,
  });
  await new Promise((resolve) => server.close(resolve));
  t.throws(() => unlinkSync(join(strange, 'x.sock')));
  await well('and everything is well again');
});
