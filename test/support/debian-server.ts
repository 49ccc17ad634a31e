// Owns: a PostgreSQL server of Debian's own version for one test: with pg_dump and pg_restore beside it, and with a clock that the test may set.
import { type ChildProcess, spawn } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { ensureUser } from '../../server/supervisor/layout.ts';
import { type Teardown, temporaryDirectory } from './database.ts';
import { freePorts, run } from './world.ts';

const settings = { fsync: 'on', full_page_writes: 'on', idle_in_transaction_session_timeout: '10s', max_connections: '100' };
const libfaketime = ['/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1', '/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1'];

/** Newest first. */
function binaries(): string {
  const root = '/usr/lib/postgresql';
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : [];
  const found = versions.map((version) => join(root, version, 'bin')).find((bin) => existsSync(join(bin, 'initdb')));
  if (found === undefined) throw new Error('this test needs a PostgreSQL server of the system: apt-get install postgresql');
  return found;
}

export class DebianServer {
  readonly #bin: string;
  readonly #directory: string;
  readonly #port: number;
  readonly #clockFile: string;

  private constructor(bin: string, directory: string, port: number) {
    this.#bin = bin;
    this.#directory = directory;
    this.#port = port;
    this.#clockFile = join(directory, 'clock');
  }

  /** `hasClock`: `setClock` works. */
  static async start(t: Teardown, { hasClock = false } = {}): Promise<DebianServer> {
    const directory = temporaryDirectory(t);
    const [port = 0] = await freePorts(1);
    const server = new DebianServer(binaries(), directory, port);
    const user = process.getuid?.() === 0 ? ensureUser('cofferdam-db', []) : undefined;
    const place = join(directory, 'cluster');
    mkdirSync(place);
    if (user !== undefined) chownSync(place, user.uid, user.gid);
    const identity = user === undefined ? {} : { uid: user.uid, gid: user.gid };
    await server.#finished(
      spawn(
        join(server.#bin, 'initdb'),
        ['-D', join(place, 'data'), '-U', 'postgres', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync'],
        { ...identity, cwd: place, stdio: ['ignore', 'ignore', 'pipe'] },
      ),
    );
    const library = libfaketime.find((path) => existsSync(path));
    if (hasClock && library === undefined) throw new Error('this test sets a clock: apt-get install faketime');
    server.setClock('+0');
    const child = spawn(
      join(server.#bin, 'postgres'),
      [
        ...['-D', join(place, 'data'), '-p', String(port), '-k', place],
        ...Object.entries({ ...settings, listen_addresses: '127.0.0.1' }).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      ],
      {
        ...identity,
        cwd: place,
        stdio: 'ignore',
        detached: true,
        env: {
          PATH: '/usr/bin:/bin',
          LC_ALL: 'C',
          // Only the time of day: intervals go on as they do.
          ...(hasClock && library !== undefined
            ? {
                LD_PRELOAD: library,
                FAKETIME_TIMESTAMP_FILE: server.#clockFile,
                FAKETIME_NO_CACHE: '1',
                FAKETIME_DONT_FAKE_MONOTONIC: '1',
              }
            : {}),
        },
      },
    );
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    t.teardown(async () => {
      child.kill('SIGQUIT');
      await gone;
    });
    await server.#ready(child);
    return server;
  }

  #finished(child: ChildProcess): Promise<void> {
    let words = '';
    child.stderr?.on('data', (chunk: Buffer) => (words += chunk.toString('utf8')));
    return new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(`initdb: ${words}`))));
    });
  }

  async #ready(child: ChildProcess): Promise<void> {
    for (const end = Date.now() + 60_000; ; await new Promise((resolve) => setTimeout(resolve, 50)))
      try {
        await this.query('select 1');
        return;
      } catch (error) {
        if (child.exitCode !== null || Date.now() > end) throw error;
      }
  }

  url(database: string): string {
    return `postgresql://postgres:x@127.0.0.1:${this.#port}/${database}`;
  }

  async query(text: string, database = 'postgres'): Promise<readonly pg.QueryResultRow[]> {
    const client = new pg.Client({ connectionString: this.url(database) });
    client.on('error', () => {});
    await client.connect();
    try {
      return (await client.query(text)).rows;
    } finally {
      await client.end();
    }
  }

  /** An offset, as libfaketime reads it: `+0`, `+1d`, `-5`. */
  setClock(offset: string): void {
    writeFileSync(this.#clockFile, `${offset}\n`);
  }

  async #tool(name: string, args: readonly string[]): Promise<void> {
    const done = await run(join(this.#bin, name), args);
    if (done.code !== 0) throw new Error(`${name}: ${done.err}`);
  }

  /** A dump of one database, as the runbook makes it; the path of its file. */
  async dump(database: string, name: string): Promise<string> {
    const file = join(this.#directory, name);
    await this.#tool('pg_dump', ['--format=custom', `--file=${file}`, this.url(database)]);
    return file;
  }

  /** The database as it was, in the place of the one that is there. */
  async restore(database: string, file: string): Promise<void> {
    await this.query(`drop database if exists ${database} with (force)`);
    await this.query(`create database ${database}`);
    await this.#tool('pg_restore', ['--exit-on-error', `--dbname=${this.url(database)}`, file]);
  }

  /** Roles belong to the server, not to a database. */
  async copyRolesTo(other: DebianServer): Promise<void> {
    const file = join(this.#directory, 'roles.sql');
    await this.#tool('pg_dumpall', ['--roles-only', `--file=${file}`, `--dbname=${this.url('postgres')}`]);
    // The superuser is there already.
    await this.#tool('psql', ['-Xq', '-d', other.url('postgres'), '-f', file]);
  }
}
