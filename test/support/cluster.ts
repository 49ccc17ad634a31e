// Owns: an installation of several edges and several wardens on one database, each in a process of its own, so that any
// of them can be killed.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import type { Client } from '../../admin-cli/connection/client.ts';
import { makeOperators } from '../../server/admin/development-operators.ts';
import { type Config, runtimePaths } from '../../server/config/config.ts';
import { loadConfig } from '../../server/config/load.ts';
import { newOpenSshKeyPair } from '../../server/demo/openssh-key.ts';
import { createLogger } from '../../server/observability/logger.ts';
import type { Transaction } from '../../server/postgres/database.ts';
import { socketUrl } from '../../server/postgres/embedded.ts';
import { Child } from '../../server/supervisor/child.ts';
import { type RoleCommand, roleCommand } from '../../server/supervisor/commands.ts';
import { type Prepared, prepare } from '../../server/supervisor/prepare.ts';
import { withWardensKeys } from './as-warden.ts';
import { wideAllowances } from './bank.ts';
import { createEmptyDatabase, type Teardown, temporaryDirectory, testPasswords } from './database.ts';
import { agreed, connectAgreed } from './operators.ts';
import { childrenOf, type Done, freePorts, project, runCofferctl } from './world.ts';

export type ClusterOptions = {
  /** Partner edges; one more edge, an internal one, serves the depositor. */
  readonly edges: number;
  readonly wardens: number;
  readonly budgets?: object;
  readonly limits?: Readonly<Record<string, number>>;
  readonly credentials?: Readonly<Record<string, number>>;
  /** What each node may make the warden store; by default as much as it likes. */
  readonly perNode?: object;
  /** Edges that are not started: something else plays them. */
  readonly played?: readonly string[];
  /** Where the roles log, instead of our own standard error. */
  readonly logFile?: string;
};
export type ClusterAccount = { readonly name: string; readonly privateKey: string; readonly fingerprint: string };

const depositor = 'depositor';
const stopMs = 8000;

export class Cluster {
  readonly directory: string;
  readonly config: Config;
  readonly #wardens: Child[];
  readonly #edges: ReadonlyMap<string, Child>;
  readonly #admin: Child;
  readonly #store: Child;
  readonly #prepared: Prepared;
  /** As the database's owner. */
  readonly databaseUrl: string;

  private constructor(given: {
    readonly directory: string;
    readonly config: Config;
    readonly wardens: Child[];
    readonly edges: ReadonlyMap<string, Child>;
    readonly admin: Child;
    readonly store: Child;
    readonly prepared: Prepared;
    readonly databaseUrl: string;
  }) {
    this.directory = given.directory;
    this.config = given.config;
    this.#wardens = given.wardens;
    this.#edges = given.edges;
    this.#admin = given.admin;
    this.#store = given.store;
    this.#prepared = given.prepared;
    this.databaseUrl = given.databaseUrl;
  }

  static async start(t: Teardown, options: ClusterOptions): Promise<Cluster> {
    const directory = join(temporaryDirectory(t), 'var');
    const ports = await freePorts(options.edges + 1);
    const edges = [
      ...Array.from({ length: options.edges }, (_, i) => ({ node: `p${i + 1}`, plane: 'partner' })),
      { node: 'internal', plane: 'internal' },
    ].map((edge, i) => ({ ...edge, host: '127.0.0.1', port: ports[i] }));
    const own = process.env.DATABASE_URL ? await createEmptyDatabase(t) : undefined;
    const file = `${directory}.json`;
    writeFileSync(
      file,
      JSON.stringify({
        mode: 'development',
        runtimeDirectory: directory,
        edges,
        database: own === undefined ? { embedded: true } : { migrateUrl: own },
        log: { level: 'error' },
        limits: { freeSpaceFloorBytes: 0, selfTestEveryMs: 0, ...options.limits },
        // A cluster is used as hard as possible: from one address, by accounts that nobody has seen before.
        perNode: options.perNode ?? wideAllowances,
        budgets: options.budgets ?? {},
        credentials: options.credentials ?? {},
      }),
    );
    const config = loadConfig({
      file,
      env: {},
      isRoot: process.getuid?.() === 0,
      isTerminal: false,
      projectDirectory: project,
    });
    if (own !== undefined) {
      const { mkdirSync } = await import('node:fs');
      for (const role of ['warden', 'admin'] as const) {
        mkdirSync(join(directory, 'secrets', role), { recursive: true });
        writeFileSync(join(directory, 'secrets', role, 'database-password'), `${testPasswords[role]}\n`, {
          mode: 0o400,
        });
      }
    }
    const log = createLogger(config, 'supervisor');
    const prepared = await prepare(config, project, log);
    // Each warden serves the sockets of its own edges: edge i belongs to warden i modulo their number.
    const written = JSON.parse(readFileSync(prepared.configFile, 'utf8')) as Config;
    const command = (...role: Parameters<typeof roleCommand>): RoleCommand =>
      loggingTo(roleCommand(...role), options.logFile);
    const wardens = Array.from({ length: options.wardens }, (_, i) => {
      const configFile = join(directory, 'run', `config-${i}.json`);
      const edges = written.edges.filter((_edge, at) => at % options.wardens === i);
      const users = written.users && {
        ...written.users,
        edges: Object.fromEntries(
          Object.entries(written.users.edges).filter(([node]) => edges.some((edge) => edge.node === node)),
        ),
      };
      writeFileSync(configFile, JSON.stringify({ ...written, edges, users }), { mode: 0o644 });
      return new Child(`warden ${i}`, command(runtimePaths(config), project, configFile, 'warden'), log);
    });
    const children = new Map(
      config.edges.map(
        (edge) =>
          [
            edge.node,
            new Child(
              `edge ${edge.node}`,
              command(runtimePaths(config), project, prepared.configFile, 'edge', edge.node),
              log,
            ),
          ] as const,
      ),
    );
    const store = new Child('store', command(runtimePaths(config), project, prepared.configFile, 'store'), log);
    const admin = new Child('admin', command(runtimePaths(config), project, prepared.configFile, 'admin'), log);
    const password = (): string =>
      readFileSync(join(directory, 'secrets', 'supervisor', 'database-password'), 'utf8').trim();
    const cluster = new Cluster({
      directory,
      config,
      wardens,
      edges: children,
      admin,
      store,
      prepared,
      databaseUrl: own ?? socketUrl(join(directory, 'run', 'postgres'), 'postgres', password(), 'cofferdam'),
    });
    t.teardown(() => cluster.stop());
    await store.start();
    for (const warden of wardens) await warden.start();
    await makeOperators(config, prepared.operators);
    const edgesToStart = [...children].filter(([node]) => options.played?.includes(node) !== true);
    await Promise.all([admin.start(), ...edgesToStart.map(([, edge]) => edge.start())]);
    return cluster;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#edges.values()].map((edge) => edge.stop(stopMs)));
    await this.#admin.stop(stopMs);
    await Promise.all(this.#wardens.map((warden) => warden.stop(stopMs)));
    await this.#store.stop(stopMs);
    await this.#prepared.database?.stop();
  }

  /** The edge stays stopped: something else plays it. */
  stopEdge(node: string): Promise<void> {
    return this.#edges.get(node)?.stop(stopMs) ?? Promise.resolve();
  }

  wardenSocket(node: string): string {
    return runtimePaths(this.config).wardenSocket(node);
  }

  portOf(node: string): number {
    return this.config.edges.find((edge) => edge.node === node)?.port ?? 0;
  }

  get partnerNodes(): readonly string[] {
    return this.config.edges.filter((edge) => edge.plane === 'partner').map((edge) => edge.node);
  }

  killEdge(node: string): boolean {
    return kill(this.#edges.get(node)?.pid);
  }

  killWarden(index: number): boolean {
    return kill(this.#wardens[index]?.pid);
  }

  /** Asks it to stop, as systemd does before a restart; its keeper starts it again. */
  stopWardenInOrder(index: number): boolean {
    return kill(this.#wardens[index]?.pid, 'SIGTERM');
  }

  killStore(): boolean {
    return kill(this.#store.pid);
  }

  pidOfStore(): number | undefined {
    return this.#store.pid;
  }

  pidOfEdge(node: string): number | undefined {
    return this.#edges.get(node)?.pid;
  }

  pidOfWarden(index: number): number | undefined {
    return this.#wardens[index]?.pid;
  }

  get wardenCount(): number {
    return this.#wardens.length;
  }

  #postmaster(): number | undefined {
    if (process.env.DATABASE_URL) return undefined;
    try {
      return Number(
        readFileSync(join(runtimePaths(this.config).postgresData, 'postmaster.pid'), 'utf8').split('\n')[0],
      );
    } catch {
      return undefined;
    }
  }

  /** kill -9 of one server process: PostgreSQL ends all others and recovers. */
  killBackend(pick: (count: number) => number): boolean {
    const postmaster = this.#postmaster();
    if (postmaster === undefined) return false;
    const backends = childrenOf(postmaster);
    return kill(backends[pick(backends.length)]);
  }

  /** The whole database server ends at once, without a checkpoint; its keeper starts it again. */
  restartDatabase(): boolean {
    return kill(this.#postmaster(), 'SIGQUIT');
  }

  /** Rows that are written, and sealed as the warden would seal them. */
  sealed(work: (tx: Transaction) => Promise<void>): Promise<void> {
    return withWardensKeys(this.config, this.databaseUrl, work);
  }

  /** One statement as the database's owner. */
  async query<T extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []): Promise<readonly T[]> {
    const client = new pg.Client({ connectionString: this.databaseUrl, connectionTimeoutMillis: 5000 });
    client.on('error', () => {});
    await client.connect();
    try {
      return (await client.query<T>(text, values as unknown[])).rows;
    } finally {
      await client.end().catch(() => {});
    }
  }

  /** Exactly this call, by one operator. */
  cofferctlAlone(args: readonly string[], input = ''): Promise<Done> {
    return runCofferctl(this.directory, args, input);
  }

  /** Until it takes effect: executed, and approved by a second operator where it needs one. */
  async cofferctl(args: readonly string[], input = ''): Promise<Done> {
    const done = await agreed((words, text) => this.cofferctlAlone(words, text), this.#places, args, input);
    if (done.code !== 0) throw new Error(`cofferctl ${args.join(' ')}: ${done.err}`);
    return done;
  }

  get #places(): { readonly directoryOf: (operator: string) => string; readonly socket: string } {
    const paths = runtimePaths(this.config);
    return { directoryOf: (name) => join(paths.operators, name), socket: paths.adminSocket };
  }

  /** Two operators' connection to the admin process, for many calls. */
  operator(): Promise<Client> {
    return connectAgreed(this.#places);
  }

  /** A machine account that logs in with its key alone. */
  async addAccount(name: string, where: readonly string[]): Promise<ClusterAccount> {
    await this.cofferctl(['account', 'create', name, '--kind', 'machine', ...where]);
    const pair = newOpenSshKeyPair(name);
    const added = await this.cofferctl(['key', 'add', name, '--file', '-', '--json'], pair.publicLine);
    await this.cofferctl(['window', 'open', name, '--hours', '24', '--reason', 'soak']);
    return {
      name,
      privateKey: pair.privateText,
      fingerprint: (JSON.parse(added.out) as { fingerprint: string }).fingerprint,
    };
  }

  /** A customer with this many machine accounts, and our own account, which fills its collect folder. */
  async addCustomer(
    customer: string,
    accounts: number,
  ): Promise<{ readonly accounts: readonly ClusterAccount[]; readonly depositor: ClusterAccount }> {
    await this.cofferctl(['customer', 'create', customer, '--reason', 'x']);
    const made: ClusterAccount[] = [];
    for (let i = 0; i < accounts; i += 1)
      made.push(await this.addAccount(`${customer}-${i + 1}`, ['--customer', customer]));
    return { accounts: made, depositor: await this.addAccount(depositor, ['--internal', customer]) };
  }
}

/** The same program with the same process id, and its errors in a file. */
function loggingTo(command: RoleCommand, file: string | undefined): RoleCommand {
  if (file === undefined) return command;
  return {
    ...command,
    program: '/bin/sh',
    args: ['-c', `exec "$0" "$@" 2>>'${file}'`, command.program, ...command.args],
  };
}

function kill(pid: number | undefined, signal: NodeJS.Signals = 'SIGKILL'): boolean {
  if (pid === undefined || !Number.isInteger(pid) || pid <= 1) return false;
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}
