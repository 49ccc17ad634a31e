// T-35, T-38: the server's connections are divided: whoever has a password gets a part, and the warden keeps its own.
import pg from 'pg';
import { test } from 'tap';
import { connectionLimit } from '../../server/postgres/connection-limits.ts';
import { Database } from '../../server/postgres/database.ts';
import { migrate } from '../../server/postgres/migrate.ts';
import { withCredentials } from '../../server/postgres/role-url.ts';
import { migrations, startTestServer, type Teardown, temporaryDirectory, testPasswords } from '../support/database.ts';

/** Opens connections until the server refuses one. Returns how many there were, and the server's words. */
async function openAll(
  t: Teardown,
  url: string,
  most: number,
): Promise<{ readonly count: number; readonly refusal: string }> {
  for (let count = 0; count <= most; count += 1) {
    const one = new pg.Client({ connectionString: url });
    one.on('error', () => {});
    try {
      await one.connect();
    } catch (error) {
      return { count, refusal: error instanceof Error ? error.message : '' };
    }
    t.teardown(() => one.end());
  }
  return { count: most + 1, refusal: 'none' };
}

test('no role and no stranger uses up the connections of the warden', async (t) => {
  const server = await startTestServer(temporaryDirectory(t));
  t.teardown(() => server.stop());
  const url = server.url('postgres');
  await migrate(url, migrations, testPasswords);
  const owner = new pg.Client({ connectionString: url });
  await owner.connect();
  t.teardown(() => owner.end());
  const setting = async (name: string): Promise<string> => (await owner.query(`show ${name}`)).rows[0][name] as string;
  const most = Number(await setting('max_connections'));
  t.equal(await setting('authentication_timeout'), '5s', 'who proves nothing holds a connection for seconds');
  t.equal(await setting('unix_socket_permissions'), '0770', 'and only a member of the group can do so');
  for (const role of ['admin', 'auditor'] as const) {
    const seen = await openAll(t, withCredentials(url, `cofferdam_${role}`, testPasswords[role]), most);
    t.equal(seen.count, connectionLimit(role, most), `the ${role} has its part`);
    t.match(seen.refusal, /too many connections for role/, 'and no more');
  }
  const told: unknown[] = [];
  const full = new Database({
    url: withCredentials(url, 'cofferdam_admin', testPasswords.admin),
    applicationName: 'one too many',
    connectionsMax: 1,
    onUnreachable: (cause) => told.push(cause),
  });
  t.teardown(() => full.close());
  for (let i = 0; i < 3; i += 1)
    await t.rejects(
      full.withSystem((tx) => tx.query('select 1')),
      { code: 'unavailable' },
    );
  t.match(told, [{ message: /too many connections for role/ }], 'who is refused says why, once in a while');
  t.equal(told.length, 1);
  await owner.query("create role stranger login password 'x'");
  const stranger = await openAll(t, withCredentials(url, 'stranger', 'x'), most);
  t.match(
    stranger.refusal,
    /reserved for roles with privileges of the "pg_use_reserved_connections"/,
    'a stranger takes what nobody needs',
  );
  const warden = await openAll(t, withCredentials(url, 'cofferdam_warden', testPasswords.warden), 40);
  t.equal(warden.count, 41, 'and the warden still has all that it needs');
});
