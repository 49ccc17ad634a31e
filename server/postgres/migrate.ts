// Owns: the roles, the numbered forward-only migrations, what is applied again after them (functions, bounds, the
// grant matrix), and the server settings without which our promises do not hold.
// Must never: change an applied migration, or start on a server that could lose a commit.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { CofferdamError } from '../domain/errors.ts';
import { catalogueDifferences, differencesInWords } from './catalogue.ts';
import { connectionLimit, reserveRole, reserveVersion } from './connection-limits.ts';
import { plainSettings } from './connection-settings.ts';
import type { Transaction } from './database.ts';
import { deadlock, lockNotAvailable, sqlState } from './database-errors.ts';
import { applyFunctions, functionTable } from './functions.ts';
import {
  defaultWaitMs,
  gaveUp,
  type MigrationOptions,
  takeMigrationLock,
  type Watch,
  watchMigration,
} from './migration-watch.ts';

type RolePasswords = { readonly warden: string; readonly admin: string; readonly auditor: string };

const connectMs = 5000;
/** The limit for queries of the server's own tables, in milliseconds. */
const lookMs = 5000;

/**
 * Returns a connection to this database. `statementMs` is the limit of each statement in milliseconds. Throws
 * `configuration` when the server cannot be reached.
 */
async function connect(url: string, statementMs?: number): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'cofferdam migrate',
    connectionTimeoutMillis: connectMs,
    options: plainSettings,
    ...(statementMs === undefined ? {} : { statement_timeout: statementMs }),
  });
  client.on('error', () => {});
  try {
    await client.connect();
    return client;
  } catch (cause) {
    throw new CofferdamError(
      'configuration',
      `the database cannot be reached: ${cause instanceof Error ? cause.message : 'unknown error'}`,
      { cause },
    );
  }
}

const idleInTransactionMsMax = 60_000;

/**
 * Refuses a server that is too old or has unsafe settings. Throws `configuration`, with all faults reported together.
 */
export async function assertSafeSettings(tx: Transaction, isOwn = true): Promise<void> {
  const rows = await tx.query<{ name: string; setting: string }>(
    "select name, setting from pg_settings where name in ('server_version_num', 'fsync', 'full_page_writes', 'synchronous_commit', 'default_transaction_isolation', 'idle_in_transaction_session_timeout')",
  );
  const value = new Map<string, string>(rows.map((row) => [row.name, row.setting]));
  const faults: string[] = [];
  if (Number(value.get('server_version_num')) < 150_000) faults.push('PostgreSQL 15 or newer is needed');
  for (const name of ['fsync', 'full_page_writes']) if (value.get(name) !== 'on') faults.push(`${name} must be on`);
  // remote_apply is stronger than on; remote_write and local may lose a commit that a standby was supposed to keep.
  if (!['on', 'remote_apply'].includes(value.get('synchronous_commit') ?? ''))
    faults.push('synchronous_commit must be on');
  if (value.get('default_transaction_isolation') !== 'read committed')
    faults.push('default_transaction_isolation must be read committed');
  // The pool sets this for each of its connections. The login that migrates is not one of them, so the setting is not
  // required of it.
  const idleMs = Number(value.get('idle_in_transaction_session_timeout'));
  if (isOwn && (idleMs === 0 || idleMs > idleInTransactionMsMax))
    faults.push(
      'idle_in_transaction_session_timeout must be set, to a minute at most: a forgotten snapshot stops the pruning of budget rows',
    );
  if (faults.length > 0)
    throw new CofferdamError('configuration', `the database is not safe to use: ${faults.join('; ')}`);
}

/**
 * Runs `work` again when it meets somebody else. Roles belong to the whole server, so the migrations of two databases
 * may collide there (XX000, 23505, 42710). Functions come with their triggers, whose tables other processes write
 * meanwhile: the server may end this transaction for one of theirs.
 */
async function withRetry<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work();
    } catch (error) {
      const state = sqlState(error);
      if (state === undefined || !['XX000', '23505', '42710', deadlock].includes(state) || tries >= 10) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20 * tries));
    }
  }
}

/**
 * Returns the statement that takes away the right to create temporary tables and schemas. Otherwise a role could create
 * a table with the name of one of ours, and a trigger that looks up the name would find it first. `database` is the
 * quoted name of the database.
 */
export const ownNothing = (database: string): string =>
  `revoke temporary, create on database ${database} from public, cofferdam_warden, cofferdam_admin, cofferdam_auditor`;

async function ensureRoles(client: pg.Client, passwords: RolePasswords): Promise<void> {
  const { rows } = await client.query<{ version: string; most: string; database: string }>(
    "select current_setting('server_version_num') as version, current_setting('max_connections') as most, quote_ident(current_database()) as database",
  );
  const version = Number(rows[0]?.version);
  const most = Number(rows[0]?.most);
  for (const name of ['warden', 'admin', 'auditor'] as const) {
    const role = `cofferdam_${name}`;
    const { rowCount } = await client.query('select 1 from pg_roles where rolname = $1', [role]);
    const verb = rowCount === 0 ? 'create' : 'alter';
    await client.query(
      `${verb} role ${role} login nosuperuser nocreatedb nocreaterole nobypassrls connection limit ${connectionLimit(name, most)} password ${client.escapeLiteral(passwords[name])}`,
    );
    await client.query(`alter role ${role} set idle_in_transaction_session_timeout = '10s'`);
    // A long transaction keeps old versions of the hot budget rows alive, whether it is idle or not.
    if (version >= 170_000) await client.query(`alter role ${role} set transaction_timeout = '60s'`);
  }
  if (version >= reserveVersion) await keepReserve(client);
  await client.query(ownNothing(rows[0]?.database ?? ''));
}

/**
 * Gives the warden the reserved connections. On some hosted servers the migrating login may not do that; there, the
 * connection limits of the other roles have to suffice.
 */
async function keepReserve(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ may: boolean }>(
    `select pg_has_role('${reserveRole}', 'member with admin option') as may`,
  );
  if (rows[0]?.may === true) await client.query(`grant ${reserveRole} to cofferdam_warden`);
}

/**
 * Brings one database to the newest schema. It is idempotent, and safe to run from several places at once. Returns the
 * names of the migrations and of the files of functions that were applied now. Throws `unavailable` when it waited too
 * long for another process, which the text names, or when it was cancelled; `configuration` for everything that a
 * person has to look at.
 */
export async function migrate(
  url: string,
  directory: string,
  passwords: RolePasswords,
  options: MigrationOptions = {},
): Promise<readonly string[]> {
  const client = await connect(url);
  let watcher: pg.Client | undefined;
  let watch: Watch | undefined;
  try {
    await assertSafeSettings(
      { query: async (text, values) => (await client.query(text, values as unknown[])).rows },
      false,
    );
    await takeMigrationLock(client, options);
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
    watcher = await connect(url, lookMs);
    watch = watchMigration(watcher, rows[0]?.pid ?? 0, options);
    return await bringUp(client, directory, passwords, options);
  } catch (error) {
    if (options.signal?.aborted === true) throw gaveUp();
    const cause = error instanceof CofferdamError ? error.cause : error;
    if (sqlState(cause) !== lockNotAvailable) throw error;
    const waited = (options.waitMs ?? defaultWaitMs) / 1000;
    throw new CofferdamError(
      'unavailable',
      `a lock of a table was not given within ${waited} s, and the migration that needed it is undone: it is held by ${watch?.blockers ?? 'a process that was not seen'}. Wait for that, or end it, and try again`,
      { cause },
    );
  } finally {
    await watch?.stop();
    await watcher?.end();
    await client.end();
  }
}

async function bringUp(
  client: pg.Client,
  directory: string,
  passwords: RolePasswords,
  { waitMs = defaultWaitMs, signal, isCompared = true }: MigrationOptions,
): Promise<readonly string[]> {
  // While a statement waits for a lock on a table, every later statement on that table waits behind it.
  await client.query(
    "select set_config('lock_timeout', $1, false), set_config('client_min_messages', 'warning', false)",
    [String(waitMs)],
  );
  await withRetry(() => ensureRoles(client, passwords));
  await client.query(
    'create table if not exists schema_migration (name text primary key, sha256 text not null, applied_at timestamptz not null default clock_timestamp())',
  );
  await client.query(functionTable);
  const numbered = await applyNumbered(client, directory, signal);
  const functions = await withRetry(() => applyWhatIsRepeated(client, directory));
  if (isCompared) await requireCatalogue(client, directory);
  return [...numbered, ...functions];
}

/**
 * Applies the functions that changed, what every migration ends with, and the matrix of rights, in one transaction:
 * nobody sees a function without its rights. Returns the files of functions that were applied.
 */
async function applyWhatIsRepeated(client: pg.Client, directory: string): Promise<readonly string[]> {
  await client.query('begin');
  try {
    const applied = await applyFunctions(client, directory);
    for (const name of ['finish.sql', 'grants.sql']) await client.query(readFileSync(join(directory, name), 'utf8'));
    await client.query('commit');
    return applied;
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
}

/** Throws `configuration` when the database holds anything that decides and is not that of the migrations. */
async function requireCatalogue(client: pg.Client, directory: string): Promise<void> {
  const query = async <T>(text: string, values?: readonly unknown[]): Promise<readonly T[]> =>
    (await client.query(text, values as unknown[])).rows as T[];
  const found = await catalogueDifferences(query as Transaction['query'], directory);
  if (found.length > 0)
    throw new CofferdamError(
      'configuration',
      `the database is not what the migrations made of it: ${differencesInWords(found)}. Find out who did that, and restore it`,
    );
}

async function applyNumbered(client: pg.Client, directory: string, signal?: AbortSignal): Promise<readonly string[]> {
  const names = readdirSync(directory)
    .filter((name) => /^\d{4}_[a-z0-9_]+\.sql$/.test(name))
    .sort();
  const done = new Map<string, string>(
    (await client.query<{ name: string; sha256: string }>('select name, sha256 from schema_migration')).rows.map(
      (row) => [row.name, row.sha256],
    ),
  );
  for (const name of done.keys())
    if (!names.includes(name))
      throw new CofferdamError(
        'configuration',
        `the database has migration ${name}, which this version does not know: it is newer`,
      );
  const applied: string[] = [];
  for (const name of names) {
    const text = readFileSync(join(directory, name), 'utf8');
    const sha256 = createHash('sha256').update(text).digest('hex');
    const known = done.get(name);
    if (known === sha256) continue;
    if (known !== undefined)
      throw new CofferdamError('configuration', `migration ${name} was changed after it was applied`);
    if (signal?.aborted === true) throw gaveUp();
    await client.query('begin');
    try {
      await client.query(text);
      await client.query('insert into schema_migration (name, sha256) values ($1, $2)', [name, sha256]);
      await client.query('commit');
    } catch (cause) {
      await client.query('rollback');
      throw new CofferdamError(
        'configuration',
        `migration ${name} failed: ${cause instanceof Error ? cause.message : 'unknown error'}`,
        {
          cause,
        },
      );
    }
    applied.push(name);
  }
  return applied;
}

/** Creates a database on a server when it does not exist. `name` comes from our code, never from a user. */
export async function createDatabase(url: string, name: string): Promise<void> {
  const client = await connect(url);
  try {
    const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [name]);
    if (rowCount === 0) await client.query(`create database ${client.escapeIdentifier(name)}`);
  } finally {
    await client.end();
  }
}
