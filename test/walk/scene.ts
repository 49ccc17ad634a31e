// Owns: the installation for the walk: a real warden with a real edge of each plane, one compromised node, one that is
// played honestly, and four banks.
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { runtimePaths } from '../../server/config/config.ts';
import type { ScopeBudget } from '../../server/domain/budgets/words.ts';
import { wideBudgets } from '../support/bank.ts';
import { Cluster, type ClusterAccount } from '../support/cluster.ts';
import { type Teardown, temporaryDirectory } from '../support/database.ts';
import { keyFromOpenSsh } from '../support/impostor.ts';
import { SftpClient } from '../support/sftp-client.ts';
import { PlayedNode } from './node.ts';
import { type Person, Player } from './player.ts';

/** Names that nobody except their own bank may ever be told. */
export const marks = { still: 'zqstill', other: 'zqother', busy: 'zqbusy' } as const;
const banks = ['thief', marks.other, marks.still, marks.busy] as const;
const depositor = 'depositor';
/**
 * The flow of a plane is narrow enough to show a reservation of hours, and wider than everything that the walk moves.
 */
const rate = 256 * 2 ** 20;
/** Much more than the other edges have under way, and little enough to be seen. */
export const unsettledBytesMax = 256 * 2 ** 20;
const statementBytes = 100_000;
/** What the warden logs about the edge that lies: it is true. */
const saysOfTaken =
  /(?:"node":"p2"|"others":true),.*"msg":"an edge sent a malformed message(?: \(\d+ more times within a minute\))?"/;
/** No other file is as long. */
export const stillBytes = 98_317;
const withRate = (given: ScopeBudget): ScopeBudget => ({
  ...given,
  out: { ...given.out, rate },
  in: { ...given.in, rate },
});

export class Scene {
  readonly cluster: Cluster;
  readonly database: pg.Client;
  readonly taken: PlayedNode;
  readonly honest: PlayedNode;
  readonly people: Readonly<Record<'tight' | 'wide' | 'other' | 'still' | 'enrolling', Person>>;
  readonly depositor: ClusterAccount;
  readonly busy: ClusterAccount;
  readonly log: string;

  private constructor(given: {
    readonly cluster: Cluster;
    readonly database: pg.Client;
    readonly nodes: readonly [PlayedNode, PlayedNode];
    readonly accounts: Readonly<Record<string, ClusterAccount>>;
    readonly customers: ReadonlyMap<string, string>;
    readonly log: string;
    readonly ticket: string;
  }) {
    const { accounts } = given;
    const account = (name: string): ClusterAccount => {
      const found = accounts[name];
      if (found === undefined) throw new Error(`no account ${name}`);
      return found;
    };
    const person = (name: string, customer: string): Person => ({
      name,
      key: keyFromOpenSsh(account(name).privateKey),
      customer,
      customerId: given.customers.get(customer) ?? '',
    });
    this.cluster = given.cluster;
    this.database = given.database;
    [this.taken, this.honest] = given.nodes;
    this.log = given.log;
    this.people = {
      tight: person('thief-1', 'thief'),
      wide: person('thief-2', 'thief'),
      other: person(`${marks.other}-1`, marks.other),
      still: person(`${marks.still}-1`, marks.still),
      enrolling: { ...person('thief-new', 'thief'), ticket: given.ticket },
    };
    this.depositor = account(depositor);
    this.busy = account(`${marks.busy}-1`);
  }

  static async start(t: Teardown): Promise<Scene> {
    const log = join(temporaryDirectory(t), 'log');
    const cluster = await Cluster.start(t, {
      edges: 3,
      wardens: 1,
      played: ['p2', 'p3'],
      logFile: log,
      perNode: {},
      limits: { settleMs: 3000, collectEveryMs: 1000, unsettledBytesMax },
      budgets: { ...wideBudgets, plane: withRate(wideBudgets.plane), gateway: withRate(wideBudgets.gateway) },
    });
    const database = new pg.Client({ connectionString: cluster.databaseUrl });
    await database.connect();
    t.teardown(() => database.end());
    await database.query("select set_config('cofferdam.customers', '*', false)");
    const accounts = await makeBanks(cluster);
    // What we deposit for a bank is there at once; what a bank deposits settles.
    await cluster.sealed(async (tx) => {
      await tx.query("update folder set settle_ms = 0 where name = 'collect'");
      await tx.query("update folder set directories_allowed = true where name = 'deposit'");
    });
    const nodes = ['p2', 'p3'].map((node) => played(cluster, node)) as unknown as readonly [PlayedNode, PlayedNode];
    for (const node of nodes) t.teardown(() => node.close());
    const { rows } = await database.query<{ name: string; id: string }>('select name, id from customer');
    const customers = new Map(rows.map(({ name, id }) => [name, id]));
    const ticket = join(temporaryDirectory(t), 'ticket');
    await cluster.cofferctl(['mfa', 'ticket', 'thief-new', '--out', ticket]);
    return new Scene({
      cluster,
      database,
      nodes,
      accounts,
      customers,
      log,
      ticket: readFileSync(ticket, 'utf8').trim(),
    });
  }

  async rows<T>(text: string, values: readonly unknown[] = []): Promise<readonly T[]> {
    return (await this.database.query(text, [...values])).rows as readonly T[];
  }

  /** What the processes logged from an offset on and may not log: defects and failures without an owner; not alerts. */
  complaints(from: number): { readonly lines: readonly string[]; readonly at: number } {
    const text = readFileSync(this.log);
    const lines = text
      .subarray(from)
      .toString('utf8')
      .split('\n')
      .filter((line) => line !== '' && !line.includes('"alert":') && !saysOfTaken.test(line));
    return { lines, at: text.length };
  }

  /** Closed files of a bank that no reader sees yet. */
  async settling(customer: string): Promise<number> {
    return (await this.rows("select from version where state = 'settling' and customer_id = $1", [customer])).length;
  }

  /** A file of our own side for a bank, through the real internal edge. */
  async deposit(bank: string, name: string, bytes = statementBytes): Promise<readonly string[]> {
    const sftp = await this.connect('internal');
    try {
      await put(sftp, `/${bank}/collect/${name}`, randomBytes(bytes));
      return ['collect', name];
    } finally {
      sftp.end();
    }
  }

  connect(plane: 'partner' | 'internal'): Promise<SftpClient> {
    const { name, privateKey } = plane === 'internal' ? this.depositor : this.busy;
    const port = this.cluster.portOf(plane === 'internal' ? 'internal' : 'p1');
    return SftpClient.connect({ port, username: name, privateKey, readyMs: 60_000 });
  }

  player(who: keyof Scene['people']): Player {
    return new Player(who === 'still' ? this.honest : this.taken, this.people[who]);
  }

  /** Which processes serve: when one ended, another one has its place. */
  get processes(): string {
    return [
      this.cluster.pidOfWarden(0),
      this.cluster.pidOfStore(),
      this.cluster.pidOfEdge('p1'),
      this.cluster.pidOfEdge('internal'),
    ].join(' ');
  }

  /** The sockets of other nodes, what is being written, some sealed objects, and names that an object could have. */
  filesOfOthers(): readonly string[] {
    const { objects, storeControlSocket, storeSocket, wardenSocket } = this.paths;
    const theirs = ['p1', 'p3', 'internal'].flatMap((node) => [storeSocket(node), wardenSocket(node)]);
    const [object = join(objects, '00')] = this.objects().values();
    return [
      ...[...theirs, storeControlSocket].flatMap((path) => [path, join(path, '..', 'mine')]),
      ...this.unfinished(),
      ...[...this.objects().values()].slice(0, 2),
      ...[join(objects, 'mine'), join(objects, 'new', 'mine'), join(object, '..', 'ab'.repeat(16))],
    ];
  }

  /** What the store is writing. */
  unfinished(): readonly string[] {
    const directory = join(this.paths.objects, 'new');
    return existsSync(directory) ? readdirSync(directory).map((name) => join(directory, name)) : [];
  }

  /** How much memory the warden and the store have, in bytes. */
  get rssBytes(): { readonly warden: number; readonly store: number } {
    const of = (pid = 0): number =>
      Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
    return { warden: of(this.cluster.pidOfWarden(0)), store: of(this.cluster.pidOfStore()) };
  }

  get paths(): ReturnType<typeof runtimePaths> {
    return runtimePaths(this.cluster.config);
  }

  /** Every sealed object by its name. */
  objects(): ReadonlyMap<string, string> {
    const { objects } = this.paths;
    return new Map(
      readdirSync(objects)
        .filter((prefix) => prefix.length === 2)
        .flatMap((prefix) =>
          readdirSync(join(objects, prefix)).map((name) => [name, join(objects, prefix, name)] as const),
        ),
    );
  }
}

export async function put(sftp: SftpClient, path: string, content: Buffer): Promise<void> {
  const handle = await sftp.open(path, 'w');
  for (let at = 0; at < content.length; at += 30_000) await sftp.write(handle, at, content.subarray(at, at + 30_000));
  await sftp.close(handle);
}

function played(cluster: Cluster, node: string): PlayedNode {
  return new PlayedNode({
    socket: cluster.wardenSocket(node),
    store: runtimePaths(cluster.config).storeSocket(node),
    user: cluster.config.users?.edges[node] ?? null,
  });
}

async function makeBanks(cluster: Cluster): Promise<Readonly<Record<string, ClusterAccount>>> {
  for (const bank of banks) await cluster.cofferctl(['customer', 'create', bank, '--reason', 'a bank of the walk']);
  const wanted: readonly (readonly [string, readonly string[]])[] = [
    ['thief-1', ['--customer', 'thief']],
    ['thief-2', ['--customer', 'thief']],
    ...Object.values(marks).map((bank) => [`${bank}-1`, ['--customer', bank]] as const),
    [depositor, ['--internal', banks.join(',')]],
  ];
  const accounts: Record<string, ClusterAccount> = {};
  for (const [name, where] of wanted) accounts[name] = await cluster.addAccount(name, where);
  // With a ticket instead of a window: its sessions may enrol a second factor, and nothing else.
  accounts['thief-new'] = await cluster.addAccount('thief-new', ['--customer', 'thief']);
  await cluster.cofferctl(['window', 'close', 'thief-new']);
  return accounts;
}
