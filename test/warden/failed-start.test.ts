// A start of the warden or of the admin process that fails after almost everything was started leaves nothing behind:
// no connection to the database, no socket, no timer.

import { once } from 'node:events';
import { existsSync, mkdirSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { dirname } from 'node:path';
import { test } from 'tap';
import { startAdmin } from '../../server/admin/admin.ts';
import { runtimePaths } from '../../server/config/config.ts';
import { startWarden } from '../../server/warden/warden.ts';
import { createTestDatabase, type TestDatabase, temporaryDirectory } from '../support/database.ts';
import { ledgerConfig } from '../support/ledger-config.ts';
import { startTestStore } from '../support/store.ts';
import { holdsSoon } from '../support/until.ts';

const patience = { withinMs: 20_000 };

/** Returns the names under which this process's roles are connected. */
async function connected({ query }: TestDatabase): Promise<readonly string[]> {
  const rows = await query<{ name: string }>(
    "select application_name as name from pg_stat_activity where datname = current_database() and application_name like 'cofferdam %'",
  );
  return rows.map((row) => row.name);
}

const resources = (): string => `${process.getActiveResourcesInfo().toSorted()}`;

async function reaches(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

test('a warden that cannot listen for its last edge leaves nothing open', async (t) => {
  const database = await createTestDatabase(t);
  const directory = temporaryDirectory(t);
  const given = ledgerConfig(directory, {});
  const [edge] = given.edges;
  if (edge === undefined) throw new Error('no edge');
  const config = {
    ...given,
    edges: [edge, { ...edge, node: 'q' }],
    database: { ...given.database, wardenUrl: database.wardenUrl },
  };
  const paths = runtimePaths(config);
  // The directory of the second socket is missing.
  for (const path of [paths.wardenSocket('p'), paths.bootstrapSocket, paths.recordMemory])
    mkdirSync(dirname(path), { recursive: true });
  mkdirSync(`${directory}/witness`, { recursive: true });
  await startTestStore(t, config);
  const before = resources();
  await t.rejects(startWarden(config), { code: 'configuration', message: /cannot listen on .*q\/warden.sock/ });
  t.ok(
    existsSync(paths.wardenSocket('p')) === false || !(await reaches(paths.wardenSocket('p'))),
    'the first edge is served no more',
  );
  t.notOk(await reaches(paths.bootstrapSocket), 'nor is the bootstrap');
  t.ok(await holdsSoon(async () => (await connected(database)).length === 0, patience), `${await connected(database)}`);
  t.ok(await holdsSoon(() => resources() === before, patience), `${resources()}, and before: ${before}`);
});

test('an admin process whose second listener finds its port taken leaves nothing open', async (t) => {
  const taken = createServer();
  taken.listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.teardown(() => void taken.close());
  const { port } = taken.address() as { readonly port: number };
  const database = await createTestDatabase(t);
  const given = ledgerConfig(temporaryDirectory(t), {});
  const config = {
    ...given,
    admin: { ...given.admin, tcp: { host: '127.0.0.1', port } },
    database: { ...given.database, adminUrl: database.adminUrl },
  };
  mkdirSync(dirname(runtimePaths(config).adminSocket), { recursive: true });
  const before = resources();
  await t.rejects(startAdmin(config), { code: 'configuration' });
  t.ok(await holdsSoon(async () => (await connected(database)).length === 0, patience), `${await connected(database)}`);
  t.ok(await holdsSoon(() => resources() === before, patience), `${resources()}, and before: ${before}`);
});
