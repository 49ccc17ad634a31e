// Owns: a whole gateway for end-to-end tests: the real supervisor and its processes, in a directory and on ports of
// their own.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { bounded, happens } from '../../server/domain/bounded.ts';
import { socketUrl } from '../../server/postgres/embedded.ts';
import { createEmptyDatabase, type Teardown, temporaryDirectory, testPasswords } from './database.ts';
import { FreshCodes } from './fresh-codes.ts';
import { agreed } from './operators.ts';
import { failOnUnowned } from './unowned.ts';

export const project = join(import.meta.dirname, '..', '..');
export type Done = { readonly code: number | null; readonly out: string; readonly err: string };
export type DemoAccount = {
  readonly customer: string | null;
  readonly account: string;
  readonly kind: string;
  readonly plane: string;
  readonly keyFile: string;
  readonly totpSecret: string | null;
};
type Demo = {
  readonly partner: { readonly host: string; readonly port: number };
  readonly internal: { readonly host: string; readonly port: number };
  readonly accounts: readonly DemoAccount[];
};

/**
 * Below the ports that the kernel gives to whoever asks for any, also to outgoing connections: so a port that is free
 * now is not taken by chance before it is used.
 */
const [lowestPort, portsCount, drawsMax] = [12_000, 20_000, 50];

/** A port that is free, and the server that holds it. */
async function heldPort(): Promise<ReturnType<typeof createServer>> {
  for (let draws = 1; ; draws += 1) {
    const server = createServer();
    try {
      server.listen(lowestPort + randomInt(portsCount), '127.0.0.1');
      await once(server, 'listening', { signal: AbortSignal.timeout(10_000) });
      return server;
    } catch (error) {
      if (draws === drawsMax) throw error;
    }
  }
}

/** Ports of 127.0.0.1 on which nobody listens. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(Array.from({ length: count }, heldPort));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await bounded(
    10_000,
    'ports to be given back',
    Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve)))),
  );
  return ports;
}

/** Runs a program to its end. Returns its output as text. */
export function run(
  program: string,
  args: readonly string[],
  options: {
    readonly env?: Record<string, string | undefined>;
    readonly input?: string;
    readonly timeoutMs?: number;
    readonly cwd?: string;
  } = {},
): Promise<Done> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...args], {
      cwd: options.cwd ?? project,
      env: { ...process.env, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 120_000);
    let out = '';
    let err = '';
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString('utf8')));
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString('utf8')));
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, out, err });
    });
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
  });
}

export async function sha256File(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

const commandMs = 120_000;
/** Longer than everything for which the supervisor waits, one after the other. */
const stopMs = 180_000;

function cofferctlProcess(directory: string, args: readonly string[], input: string): Promise<Done> {
  return run(process.execPath, [join(project, 'admin-cli', 'main.ts'), ...args], {
    env: { COFFERDAM_VAR: directory },
    input,
    timeoutMs: commandMs,
  });
}

/**
 * A command of cofferctl in the installation below `directory`: by the resident when the command reads nothing and the
 * resident is free.
 */
export async function runCofferctl(directory: string, args: readonly string[], input: string): Promise<Done> {
  const { askResident } = await import('./resident-cofferctl.ts');
  return (
    (input === '' ? askResident(args, directory, commandMs) : undefined) ?? cofferctlProcess(directory, args, input)
  );
}

/** The direct children of a process, by id. */
export function childrenOf(pid: number): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        return Number(readFileSync(`/proc/${name}/stat`, 'utf8').split(') ')[1]?.split(' ')[1]) === pid;
      } catch {
        return false;
      }
    })
    .map(Number);
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ');
  } catch {
    return '';
  }
}

export type WorldOptions = {
  readonly limits?: Readonly<Record<string, number>>;
  readonly env?: Readonly<Record<string, string>>;
  /** What starts the gateway, and becomes it: a program and its first arguments. */
  readonly within?: readonly string[];
  /** Nothing is there: the first start makes everything itself. */
  readonly isFresh?: boolean;
  /** Where its files lie, instead of in a directory that is removed at the end. */
  readonly directory?: string;
};

export class World {
  readonly directory: string;
  readonly env: Record<string, string | undefined>;
  #process: ChildProcess | undefined;
  #log = '';
  #demo: Demo | undefined;
  readonly #codes = new Map<string, FreshCodes>();

  /** Each command of cofferctl is a program that is started, as an operator's is. */
  startsEachCommand = false;

  /** How long a start may take, in milliseconds. */
  startMs = 90_000;

  readonly #within: readonly string[];

  constructor(directory: string, env: Record<string, string | undefined>, within: readonly string[] = []) {
    this.directory = directory;
    this.env = env;
    this.#within = within;
  }

  get log(): string {
    return this.#log;
  }

  /**
   * Returns whether the log says this within 20 seconds. `from` is the length of the log after which it has to say it.
   */
  async logged(words: RegExp, from = 0): Promise<boolean> {
    for (
      const end = Date.now() + 20_000;
      !words.test(this.#log.slice(from));
      await new Promise((resolve) => setTimeout(resolve, 50))
    )
      if (Date.now() > end) return false;
    return true;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  get demo(): Demo {
    if (this.#demo === undefined) throw new Error('the world is not up');
    return this.#demo;
  }

  /** Starts the supervisor and waits until everything serves. */
  async start(): Promise<void> {
    const node = [process.execPath, '--import', join(project, 'scripts', 'stripped.mjs')];
    const [program = '', ...args] = [...this.#within, ...node, join(project, 'server', 'main.ts'), 'up'];
    const child = spawn(program, args, {
      cwd: project,
      env: { ...process.env, ...this.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#process = child;
    const from = this.#log.length;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`not up in time: ${this.#log.slice(-3000)}`)), this.startMs);
      child.stdout.on('data', (chunk: Buffer) => {
        this.#log += chunk.toString('utf8');
        if (/^Cofferdam (?:serves|is running)\b/m.test(this.#log.slice(from))) {
          clearTimeout(timer);
          resolve();
        }
      });
      child.stderr.on('data', (chunk: Buffer) => (this.#log += chunk.toString('utf8')));
      child.once('exit', (code) => {
        clearTimeout(timer);
        reject(new Error(`ended with ${code}: ${this.#log.slice(-3000)}`));
      });
    });
    this.#demo = JSON.parse(readFileSync(join(this.directory, 'demo.json'), 'utf8')) as Demo;
  }

  /** Asks everything to stop. Returns the exit code of the supervisor. */
  async stop(signal: NodeJS.Signals = 'SIGINT'): Promise<number | null> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    child.kill(signal);
    if (await happens(stopMs, new Promise((resolve) => child.once('exit', resolve)))) return child.exitCode;
    const left = childrenOf(this.pid).map((pid) => `${pid} ${commandLine(pid)}`);
    for (const pid of [...childrenOf(this.pid), this.pid]) process.kill(pid, 'SIGKILL');
    throw new Error(
      `the gateway did not stop in ${stopMs} ms; these were still there: ${left.join(' | ')}\n${this.#log.slice(-2000)}`,
    );
  }

  /** Process ids of a role: `edge --config … --node partner-1`, `warden`, `store`, `admin`, or `postgres`. */
  pidsOf(what: 'partner-1' | 'internal-1' | 'warden' | 'store' | 'admin' | 'postgres'): readonly number[] {
    return childrenOf(this.pid).filter((pid) => {
      const line = commandLine(pid);
      if (what === 'postgres') return line.includes('bin/postgres');
      return what === 'warden' || what === 'store' || what === 'admin'
        ? line.includes(`main.ts ${what} `)
        : line.includes(`--node ${what}`);
    });
  }

  kill(what: Parameters<World['pidsOf']>[0]): void {
    for (const pid of this.pidsOf(what)) process.kill(pid, 'SIGKILL');
  }

  account(name: string): DemoAccount {
    const found = this.demo.accounts.find((one) => one.account === name);
    if (found === undefined) throw new Error(`no demo account ${name}`);
    return found;
  }

  keyFile(name: string): string {
    return join(project, this.account(name).keyFile);
  }

  /**
   * A code of a step that this world has not used yet; waits for the next one when the three valid ones are used up.
   */
  async code(name: string): Promise<string> {
    const secret = this.account(name).totpSecret;
    if (secret === null) throw new Error(`${name} has no second factor`);
    const codes = this.#codes.get(name) ?? new FreshCodes();
    this.#codes.set(name, codes);
    return codes.next(secret);
  }

  sftpArguments(name: string): readonly string[] {
    const { plane } = this.account(name);
    const { host, port } = plane === 'internal' ? this.demo.internal : this.demo.partner;
    const options = [
      'BatchMode=no',
      'IdentitiesOnly=yes',
      'IdentityAgent=none',
      'ConnectTimeout=10',
      `UserKnownHostsFile=${join(this.directory, 'demo', 'known_hosts')}`,
      'StrictHostKeyChecking=yes',
    ];
    return [
      '-F',
      '/dev/null',
      '-q',
      ...options.flatMap((one) => ['-o', one]),
      '-i',
      this.keyFile(name),
      '-P',
      String(port),
      `${name}@${host}`,
    ];
  }

  /** The environment in which `sftp` answers the prompt for the code. */
  async sftpEnvironment(name: string): Promise<Record<string, string>> {
    if (this.account(name).totpSecret === null) return { SSH_ASKPASS_REQUIRE: 'never' };
    const script = join(this.directory, 'askpass.sh');
    writeFileSync(script, '#!/bin/sh\necho "$COFFERDAM_CODE"\n', { mode: 0o755 });
    return { SSH_ASKPASS: script, SSH_ASKPASS_REQUIRE: 'force', COFFERDAM_CODE: await this.code(name) };
  }

  /** Runs the real `sftp` with these batch lines. A line that fails ends it, unless the line starts with `-`. */
  async sftp(name: string, lines: readonly string[], timeoutMs = 120_000): Promise<Done> {
    const [options, target] = [this.sftpArguments(name).slice(0, -1), this.sftpArguments(name).at(-1) ?? ''];
    return run('sftp', [...options, '-b', '-', target], {
      env: await this.sftpEnvironment(name),
      input: `${lines.join('\n')}\n`,
      timeoutMs,
    });
  }

  /** The same, as soon as somebody is served again: after a fault that ends by itself. */
  async sftpWhenServed(name: string, lines: readonly string[], timeoutMs = 60_000): Promise<Done> {
    for (const end = Date.now() + timeoutMs; ; await new Promise((resolve) => setTimeout(resolve, 200))) {
      const done = await this.sftp(name, lines);
      if (done.code === 0 || Date.now() > end) return done;
    }
  }

  /** The database as its owner sees it. */
  get databaseUrl(): string {
    const given = this.env.DATABASE_URL;
    if (given !== undefined) return given;
    const password = readFileSync(join(this.directory, 'secrets', 'supervisor', 'database-password'), 'utf8').trim();
    return socketUrl(join(this.directory, 'run', 'postgres'), 'postgres', password, 'cofferdam');
  }

  /** The database as one of its roles sees it. */
  roleUrl(role: 'warden' | 'admin'): string {
    const password = readFileSync(join(this.directory, 'secrets', role, 'database-password'), 'utf8').trim();
    const given = this.env.DATABASE_URL;
    if (given === undefined)
      return socketUrl(join(this.directory, 'run', 'postgres'), `cofferdam_${role}`, password, 'cofferdam');
    const url = new URL(given);
    url.username = `cofferdam_${role}`;
    url.password = password;
    return url.href;
  }

  /** Exactly this call, by one operator. */
  cofferctlAlone(args: readonly string[], input = ''): Promise<Done> {
    return this.startsEachCommand
      ? cofferctlProcess(this.directory, args, input)
      : runCofferctl(this.directory, args, input);
  }

  /** Until it takes effect: executed, and approved by a second operator where it needs one. */
  cofferctl(args: readonly string[], input = ''): Promise<Done> {
    const places = {
      directoryOf: (name: string) => join(this.directory, 'operators', name),
      socket: join(this.directory, 'run', 'admin', 'admin.sock'),
    };
    return agreed((words, text) => this.cofferctlAlone(words, text), places, args, input);
  }

  async cofferctlJson<T>(args: readonly string[]): Promise<T> {
    const done = await this.cofferctl([...args, '--json']);
    if (done.code !== 0 && done.code !== 1) throw new Error(`cofferctl ${args.join(' ')}: ${done.err}`);
    return JSON.parse(done.out) as T;
  }
}

/** Settings of which a first start keeps something in the database: a world with them makes everything itself. */
const kept = ['COFFERDAM_BUDGETS', 'COFFERDAM_CREDENTIALS', 'DATABASE_URL'];
/** The same for limits: a folder keeps those with which it was made. */
const keptLimits = ['settleMs', 'collectWindowDays', 'collectRetentionDays'];
/** In the directory of an original: the name of its database on the run's server. */
const databaseFile = 'database';

/**
 * An installation that was started and stopped once, from which the worlds of a run begin: keys, certificates, schema
 * and demo world are made once.
 */
export async function makeOriginal(t: Teardown): Promise<string> {
  // A checkpoint that is made in its last moment would have no witness for as long as the original is kept.
  const world = await createWorld(t, { isFresh: true, limits: { checkpointEveryMs: 3_600_000 } });
  await world.start();
  // Each start opens them.
  for (const { account, kind } of world.demo.accounts) {
    const closed = kind === 'machine' ? await world.cofferctl(['window', 'close', account]) : undefined;
    if (closed !== undefined && closed.code !== 0) throw new Error(closed.err);
  }
  const client = new pg.Client({ connectionString: world.databaseUrl });
  await client.connect();
  const open = 'select 1 from ledger_state where unwitnessed_since is not null or exists (select from ledger_fresh)';
  for (
    const end = Date.now() + 60_000;
    (await client.query(open)).rowCount !== 0;
    await new Promise((resolve) => setTimeout(resolve, 50))
  )
    if (Date.now() > end) throw new Error(`the original has no witness: ${world.log.slice(-3000)}`);
  await client.end();
  const code = await world.stop();
  if (code !== 0) throw new Error(`the original did not stop: ${world.log.slice(-3000)}`);
  rmSync(join(world.directory, 'run'), { recursive: true });
  const given = world.env.DATABASE_URL;
  if (given !== undefined) writeFileSync(join(world.directory, databaseFile), new URL(given).pathname.slice(1));
  return world.directory;
}

/** A directory, and a database when the server is given, as `original` left them. */
async function copyOriginal(t: Teardown, original: string, directory: string): Promise<string | undefined> {
  // With owners and modes. The database's preallocated zeros are not written.
  await promisify(execFile)('cp', ['-a', '--sparse=always', original, directory]);
  if (!process.env.DATABASE_URL) return undefined;
  return createEmptyDatabase(t, readFileSync(join(original, databaseFile), 'utf8'));
}

/** Prepares a world without starting it. With DATABASE_URL set it uses a database of its own on that server. */
export async function createWorld(t: Teardown, options: WorldOptions = {}): Promise<World> {
  const directory = options.directory ?? join(temporaryDirectory(t), 'var');
  const [partner, internal] = await freePorts(2);
  const original = process.env.COFFERDAM_TEST_WORLD;
  const isStored =
    keptLimits.some((name) => options.limits?.[name] !== undefined) ||
    kept.some((name) => options.env?.[name] !== undefined);
  const isFresh = options.isFresh === true || !original || isStored;
  const database = isFresh
    ? process.env.DATABASE_URL && options.env?.DATABASE_URL === undefined
      ? await createEmptyDatabase(t)
      : undefined
    : await copyOriginal(t, original, directory);
  const env: Record<string, string | undefined> = {
    COFFERDAM_VAR: directory,
    COFFERDAM_PARTNER_PORT: String(partner),
    COFFERDAM_INTERNAL_PORT: String(internal),
    COFFERDAM_LOG_LEVEL: 'info',
    COFFERDAM_LIMITS: JSON.stringify({ freeSpaceFloorBytes: 0, selfTestEveryMs: 0, settleMs: 0, ...options.limits }),
    DATABASE_URL: database,
    ...options.env,
  };
  if (process.env.DATABASE_URL && isFresh)
    for (const [role, password] of [
      ['warden', testPasswords.warden],
      ['admin', testPasswords.admin],
    ] as const) {
      mkdirSync(join(directory, 'secrets', role), { recursive: true });
      writeFileSync(join(directory, 'secrets', role, 'database-password'), `${password}\n`, { mode: 0o400 });
    }
  const world = new World(directory, env, options.within);
  t.teardown(async () => {
    await world.stop();
    failOnUnowned(world.log);
  });
  return world;
}

export async function startWorld(t: Teardown, options: WorldOptions = {}): Promise<World> {
  const world = await createWorld(t, options);
  await world.start();
  return world;
}
