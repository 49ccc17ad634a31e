// Owns: the conditions for starting a role: free ports, the native cipher, secrets, a database that runs and is
// migrated, and certificates.
import { rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createDevelopmentCertificates, type DevelopmentOperator } from '../../certs/development.ts';
import { type Config, runtimePaths } from '../config/config.ts';
import { secretMode } from '../config/owned-paths.ts';
import { replaceDurably } from '../disk/durable-file.ts';
import { CofferdamError } from '../domain/errors.ts';
import type { Logger } from '../observability/logger.ts';
import { createDatabase, migrate } from '../postgres/migrate.ts';
import { embeddedDatabase } from '../postgres/role-url.ts';
import { DatabaseKeeper } from './database-keeper.ts';
import { buildWall, ensureSecret, layOut, type Wall } from './layout.ts';
import { self } from './own-files.ts';

const require = createRequire(import.meta.url);
const databaseStartMs = 60_000;

async function portFault(host: string, port: number): Promise<string | undefined> {
  if (port === 0) return undefined;
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) =>
      resolve(
        error.code === 'EADDRINUSE'
          ? `${host}:${port} is in use by another process`
          : `${host}:${port} cannot be used (${error.code ?? 'unknown error'})`,
      ),
    );
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve(undefined)));
  });
}

function cipherFault(): string | undefined {
  const built = require
    .resolve('ssh2/package.json')
    .replace(/package\.json$/, 'lib/protocol/crypto/build/Release/sshcrypto.node');
  try {
    require(built);
    return undefined;
  } catch {
    return "ssh2's native cipher is missing or does not load: run `node scripts/prepare.cjs`, or allow the slow one with COFFERDAM_ALLOW_SLOW_CIPHER=1";
  }
}

/** Checks everything that can be checked without starting anything. Throws `configuration` with all faults together. */
export async function checkMachine({
  edges,
  admin,
  allowSlowCipher,
}: Pick<Config, 'edges' | 'admin' | 'allowSlowCipher'>): Promise<void> {
  const places = admin.tcp === null ? edges : [...edges, admin.tcp];
  const faults = [
    ...(await Promise.all(places.map(({ host, port }) => portFault(host, port)))),
    allowSlowCipher ? undefined : cipherFault(),
  ].filter((fault) => fault !== undefined);
  if (faults.length > 0)
    throw new CofferdamError(
      'configuration',
      faults.length === 1
        ? (faults[0] ?? '')
        : `${faults.length} faults prevent the start:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`,
    );
}

/** `operators` are those of a development installation, whose keys are below the runtime directory. */
export type Prepared = {
  readonly wall: Wall;
  readonly database: DatabaseKeeper | undefined;
  readonly configFile: string;
  readonly operators: readonly DevelopmentOperator[];
};

/**
 * Creates directories and secrets, starts and migrates the database, and creates certificates. When a later step fails,
 * what was started is stopped again. `signal` cancels a migration.
 */
export async function prepare(
  config: Config,
  projectDirectory: string,
  log: Logger,
  signal?: AbortSignal,
): Promise<Prepared> {
  const wall = buildWall(config);
  layOut(config, wall);
  const paths = runtimePaths(config);
  const passwords = {
    warden: ensureSecret(paths.wardenDatabasePassword, wall.warden),
    admin: ensureSecret(paths.adminDatabasePassword, wall.admin),
    auditor: ensureSecret(paths.auditorDatabasePassword, self()),
  };
  let database: DatabaseKeeper | undefined;
  try {
    let migrateUrl = config.database.migrateUrl;
    if (config.database.embedded) {
      database = new DatabaseKeeper(
        {
          dataDirectory: paths.postgresData,
          socketDirectory: paths.postgresSocketDirectory,
          superuserPassword: ensureSecret(paths.migrateDatabasePassword, self()),
          user: wall.areShared ? null : wall.database,
          startTimeoutMs: databaseStartMs,
        },
        log,
      );
      await database.start();
      await createDatabase(database.url('postgres'), embeddedDatabase);
      migrateUrl = database.url(embeddedDatabase);
    }
    if (migrateUrl !== null)
      await migrate(migrateUrl, join(projectDirectory, 'migrations'), passwords, {
        ...(signal === undefined ? {} : { signal }),
        tell: (line) => log.warn(line),
      });
    const operators =
      config.mode === 'development'
        ? await createDevelopmentCertificates({
            certs: paths.certs,
            operators: paths.operators,
            admin: wall.admin,
          })
        : [];
    const configFile = join(config.runtimeDirectory, 'run', 'config.json');
    // The file contains no secret. A role finds its own credential in a file that only it can read.
    keepUrl(config.mode, paths.wardenDatabaseUrl, config.database.wardenUrl, wall.warden);
    keepUrl(config.mode, paths.adminDatabaseUrl, config.database.adminUrl, wall.admin);
    const publicConfig: Config = {
      ...config,
      database: {
        ...config.database,
        migrateUrl: null,
        wardenUrl: null,
        adminUrl: null,
        serverUrl: withoutCredentials(config.database.serverUrl),
      },
    };
    replaceDurably({ path: configFile, content: `${JSON.stringify(publicConfig, null, 2)}\n`, mode: 0o644 });
    return { wall, database, configFile, operators };
  } catch (error) {
    await database?.stop();
    throw error;
  }
}

/** Returns the address of a server without user and password, wherever they are in it. */
export function withoutCredentials(url: string | null): string | null {
  if (url === null) return null;
  return url
    .replace(/^(postgres(?:ql)?:\/\/)[^@/]*@/, '$1')
    .replace(/([?&])(?:user|password|sslpassword)=[^&]*/g, '$1')
    .replace(/[?&]+$/, '')
    .replace(/([?&])&+/g, '$1');
}

/**
 * Writes an explicit connection string into a file that only its role can read. In production, a file that an operator
 * put there stays when the configuration has no string, because its password may not be stored anywhere else.
 */
function keepUrl(
  mode: Config['mode'],
  path: string,
  url: string | null,
  owner: { readonly uid: number; readonly gid: number },
): void {
  if (url !== null) replaceDurably({ path, content: url, owner, mode: secretMode });
  else if (mode === 'development') rmSync(path, { force: true });
}

/** Runs `cofferdam migrate`. */
export async function migrateOnly(
  config: Config,
  projectDirectory: string,
  signal: AbortSignal,
): Promise<{ stop(): Promise<void> }> {
  if (config.database.migrateUrl === null)
    throw new CofferdamError('configuration', 'database.migrateUrl (or DATABASE_URL) is needed to migrate');
  const wall = buildWall(config);
  layOut(config, wall);
  const paths = runtimePaths(config);
  const passwords = {
    warden: ensureSecret(paths.wardenDatabasePassword, wall.warden),
    admin: ensureSecret(paths.adminDatabasePassword, wall.admin),
    auditor: ensureSecret(paths.auditorDatabasePassword, self()),
  };
  const tell = (line: string): void => void process.stderr.write(`cofferdam migrate: ${line}\n`);
  const applied = await migrate(config.database.migrateUrl, join(projectDirectory, 'migrations'), passwords, {
    signal,
    tell,
  });
  process.stdout.write(applied.length === 0 ? 'the database is up to date\n' : `applied: ${applied.join(', ')}\n`);
  return { stop: async () => {} };
}
