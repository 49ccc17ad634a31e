// Owns: real databases for tests: one server for a run, one database for each test, dropped afterwards.
import { createHash, randomBytes } from 'node:crypto';
import { chownSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { type EmbeddedServer, startEmbedded } from '../../server/postgres/embedded.ts';
import { migrate, ownNothing } from '../../server/postgres/migrate.ts';
import { withCredentials } from '../../server/postgres/role-url.ts';
import { ensureUser } from '../../server/supervisor/layout.ts';
import { type Teardown, temporaryDirectory } from './temporary-directory.ts';

export const migrations = join(import.meta.dirname, '..', '..', 'migrations');
/** Roles belong to the whole server: every test and every world of a run uses the same passwords for them. */
export const testPasswords = { warden: 'test-warden', admin: 'test-admin', auditor: 'test-auditor' } as const;

export { type Teardown, temporaryDirectory };

/** Starts PostgreSQL 18 below `directory`. */
export async function startTestServer(directory: string): Promise<EmbeddedServer> {
  const user = process.getuid?.() === 0 ? ensureUser('cofferdam-db', []) : null;
  const socketDirectory = join(directory, 'pg');
  mkdirSync(socketDirectory);
  if (user !== null) {
    chownSync(directory, user.uid, user.gid);
    chownSync(socketDirectory, user.uid, user.gid);
  }
  return startEmbedded({
    dataDirectory: join(directory, 'data'),
    socketDirectory,
    superuserPassword: 'test',
    user,
    startTimeoutMs: 60_000,
  });
}

/**
 * The server of this run (`COFFERDAM_TEST_SERVER`, set by test/run.ts, or DATABASE_URL), or a server of the test's own.
 */
async function serverUrl(t: Teardown): Promise<string> {
  const shared = process.env.COFFERDAM_TEST_SERVER || process.env.DATABASE_URL;
  if (shared) return shared;
  const directory = temporaryDirectory(t);
  const server = await startTestServer(directory);
  t.teardown(() => server.stop());
  return server.url('postgres');
}

export function withDatabase(url: string, database: string): string {
  return url.replace(/^(postgres(?:ql)?:\/\/[^/]*)\/[^?]*/, `$1/${database}`);
}

async function administer(url: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}

/** An empty database on the run's server, or a copy of `template`; dropped at the end. */
export async function createEmptyDatabase(t: Teardown, template = 'template1'): Promise<string> {
  const server = await serverUrl(t);
  const name = `test_${randomBytes(6).toString('hex')}`;
  await administer(server, `create database ${name} template ${template}`);
  t.teardown(() => administer(server, `drop database if exists ${name} with (force)`));
  return withDatabase(server, name);
}

/** A database with the schema of these very migrations, made once for each server. */
async function migratedTemplate(server: string): Promise<string> {
  const files = readdirSync(migrations, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(?:sql|txt)$/.test(name))
    .sort();
  const sum = createHash('sha256');
  for (const file of files) sum.update(readFileSync(join(migrations, file)));
  const name = `template_${sum.digest('hex').slice(0, 16)}`;
  const client = new pg.Client({ connectionString: server });
  await client.connect();
  try {
    // One maker at a time; the name appears only when the database is complete.
    await client.query('select pg_advisory_lock(hashtext($1))', [name]);
    if ((await client.query('select 1 from pg_database where datname = $1', [name])).rowCount === 0) {
      const draft = `draft_${randomBytes(6).toString('hex')}`;
      await client.query(`create database ${draft}`);
      await migrate(withDatabase(server, draft), migrations, testPasswords);
      await client.query(`alter database ${draft} rename to ${name}`);
    }
    return name;
  } finally {
    await client.end();
  }
}

export type TestDatabase = {
  readonly migrateUrl: string;
  readonly wardenUrl: string;
  readonly adminUrl: string;
  query<T extends pg.QueryResultRow>(text: string, values?: readonly unknown[]): Promise<readonly T[]>;
};

/** A migrated database of its own for one test. `query` runs as superuser. */
export async function createTestDatabase(t: Teardown): Promise<TestDatabase> {
  const server = await serverUrl(t);
  const template = await migratedTemplate(server);
  const name = `test_${randomBytes(6).toString('hex')}`;
  await administer(server, `create database ${name} template ${template}`);
  t.teardown(() => administer(server, `drop database if exists ${name} with (force)`));
  const migrateUrl = withDatabase(server, name);
  // A copy has the rights on tables, and not those on the database itself.
  await administer(migrateUrl, ownNothing(name));
  const client = new pg.Client({ connectionString: migrateUrl });
  client.on('error', () => {});
  await client.connect();
  t.teardown(() => client.end());
  return {
    migrateUrl,
    wardenUrl: withCredentials(migrateUrl, 'cofferdam_warden', testPasswords.warden),
    adminUrl: withCredentials(migrateUrl, 'cofferdam_admin', testPasswords.admin),
    query: async (text, values) => (await client.query(text, values as unknown[])).rows,
  };
}
