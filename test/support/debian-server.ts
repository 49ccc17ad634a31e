// Owns: a PostgreSQL server of Debian's own version for one test: with pg_dump and pg_restore beside it, and with a
// clock that the test may set.
import { type ChildProcess, spawn } from 'node:child_process';
import {
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { bounded } from '../../server/domain/bounded.ts';
import { ensureUser } from '../../server/supervisor/layout.ts';
import { type Teardown, temporaryDirectory } from './database.ts';
import { childrenOf, freePorts, run } from './world.ts';

const settings = {
  fsync: 'on',
  full_page_writes: 'on',
  idle_in_transaction_session_timeout: '10s',
  max_connections: '100',
};
const libfaketime = [
  '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1',
  '/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1',
];

/** Writes until there is no room. */
export function fill(path: string): void {
  const file = openSync(path, 'w');
  try {
    for (let bytes = 1 << 20; bytes >= 1; )
      try {
        writeSync(file, Buffer.alloc(bytes));
      } catch {
        bytes >>= 1;
      }
  } finally {
    closeSync(file);
  }
}

/** Of the newest version. */
function binaries(): string {
  const root = '/usr/lib/postgresql';
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : [];
  const found = versions.map((version) => join(root, version, 'bin')).find((bin) => existsSync(join(bin, 'initdb')));
  if (found === undefined)
    throw new Error('this test needs a PostgreSQL server of the system: apt-get install postgresql');
  return found;
}

export type ServerOptions = {
  /** `setClock` works. */
  readonly hasClock?: boolean;
  /**
   * A disk of its own, of this many MiB, that can be filled. Only for root: it is a mount that nobody else sees, and
   * that goes away with the server.
   */
  readonly diskMiB?: number;
};

/** It ends at once; on a busy machine a little later. */
const endMs = 60_000;

export class DebianServer {
  readonly #bin: string;
  readonly #directory: string;
  readonly #port: number;
  readonly #options: ServerOptions;
  readonly #user: { readonly uid: number; readonly gid: number } | undefined;
  #process: ChildProcess | undefined;
  #gone: Promise<void> = Promise.resolve();

  private constructor(directory: string, port: number, options: ServerOptions) {
    this.#bin = binaries();
    this.#directory = directory;
    this.#port = port;
    this.#options = options;
    this.#user = process.getuid?.() === 0 ? ensureUser('cofferdam-db', []) : undefined;
  }

  static async start(t: Teardown, options: ServerOptions = {}): Promise<DebianServer> {
    const [port = 0] = await freePorts(1);
    const server = new DebianServer(temporaryDirectory(t), port, options);
    for (const name of ['cluster', 'disk']) {
      mkdirSync(join(server.#directory, name));
      if (server.#user !== undefined) chownSync(join(server.#directory, name), server.#user.uid, server.#user.gid);
    }
    await server.#finished(
      spawn(
        join(server.#bin, 'initdb'),
        ['-D', server.#data, '-U', 'postgres', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync'],
        { ...server.#identity, cwd: server.#place, stdio: ['ignore', 'ignore', 'pipe'] },
      ),
    );
    server.setClock('+0');
    t.teardown(() => server.kill());
    await server.begin();
    return server;
  }

  get #place(): string {
    return join(this.#directory, 'cluster');
  }

  get #data(): string {
    return join(this.#place, 'data');
  }

  get #clockFile(): string {
    return join(this.#directory, 'clock');
  }

  get #identity(): { readonly uid?: number; readonly gid?: number } {
    return this.#user === undefined ? {} : { uid: this.#user.uid, gid: this.#user.gid };
  }

  /** Only the time of day is set: intervals are not affected. */
  get #clock(): Readonly<Record<string, string>> {
    if (this.#options.hasClock !== true) return {};
    const library = libfaketime.find((path) => existsSync(path));
    if (library === undefined) throw new Error('this test sets a clock: apt-get install faketime');
    return {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: this.#clockFile,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    };
  }

  /** Starts it, also after `kill`. Resolves when it accepts connections. */
  async begin(): Promise<void> {
    const { diskMiB } = this.#options;
    const disk = join(this.#directory, 'disk');
    const server = [
      ...[join(this.#bin, 'postgres'), '-D', diskMiB === undefined ? this.#data : join(disk, 'data')],
      ...['-p', String(this.#port), '-k', this.#place],
      ...Object.entries({ ...settings, listen_addresses: '127.0.0.1' }).flatMap(([name, value]) => [
        '-c',
        `${name}=${value}`,
      ]),
    ];
    const options = {
      cwd: this.#place,
      stdio: 'ignore',
      detached: true,
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', ...this.#clock },
    } as const;
    const { uid, gid } = this.#user ?? {};
    const mounted = `mount -t tmpfs -o size=${diskMiB}m,mode=0700,uid=${uid},gid=${gid} tmpfs "$0" && cp -a "$1" "$0/data" && shift && exec setpriv --reuid ${uid} --regid ${gid} --clear-groups "$@"`;
    const child =
      diskMiB === undefined
        ? spawn(server[0] ?? '', server.slice(1), { ...this.#identity, ...options })
        : spawn(
            'unshare',
            ['--mount', '--propagation', 'private', 'sh', '-c', mounted, disk, this.#data, ...server],
            options,
          );
    this.#process = child;
    this.#gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    await this.#ready(child);
  }

  /** Immediate: nothing is written back. */
  async kill(): Promise<void> {
    if (this.#process?.exitCode === null) this.#process.kill('SIGQUIT');
    await bounded(endMs, 'the end of a PostgreSQL that was killed', this.#gone);
  }

  /** All its processes stop or continue. Clients hear nothing from it meanwhile, not even that it is away. */
  stall(isStill: boolean): void {
    const pid = this.#process?.pid ?? 0;
    for (const one of [pid, ...childrenOf(pid)]) process.kill(one, isStill ? 'SIGSTOP' : 'SIGCONT');
  }

  get #ballast(): string {
    return `/proc/${this.#process?.pid}/root${join(this.#directory, 'disk', 'ballast')}`;
  }

  fillDisk(): void {
    fill(this.#ballast);
  }

  emptyDisk(): void {
    rmSync(this.#ballast);
  }

  #finished(child: ChildProcess): Promise<void> {
    let words = '';
    child.stderr?.on('data', (chunk: Buffer) => (words += chunk.toString('utf8')));
    const finished = new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(`initdb: ${words}`))));
    });
    return bounded(2 * endMs, 'initdb', finished);
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

  /** A dump of one database, as the runbook makes it. Returns the path of its file. */
  async dump(database: string, name: string): Promise<string> {
    const file = join(this.#directory, name);
    await this.#tool('pg_dump', ['--format=custom', `--file=${file}`, this.url(database)]);
    return file;
  }

  /** The database as it was, in the place of the existing one. */
  async restore(database: string, file: string): Promise<void> {
    await this.query(`drop database if exists ${database} with (force)`);
    await this.query(`create database ${database}`);
    await this.#tool('pg_restore', ['--exit-on-error', `--dbname=${this.url(database)}`, file]);
  }

  /** Roles belong to the server, not to a database. */
  async copyRolesTo(other: DebianServer): Promise<void> {
    const file = join(this.#directory, 'roles.sql');
    await this.#tool('pg_dumpall', ['--roles-only', `--file=${file}`, `--dbname=${this.url('postgres')}`]);
    // The superuser already exists.
    await this.#tool('psql', ['-Xq', '-d', other.url('postgres'), '-f', file]);
  }
}
