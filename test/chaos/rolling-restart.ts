// Owns: a rolling restart under load: both edges by `drain`, both wardens by SIGTERM, while clients transfer without a
// pause; nothing may be lost or altered.
import { createHash, randomBytes, randomInt } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { wideBudgets } from '../support/bank.ts';
import { Cluster, type ClusterAccount } from '../support/cluster.ts';
import type { Teardown } from '../support/database.ts';
import { SftpClient } from '../support/sftp-client.ts';
import { until } from '../support/until.ts';
import { run } from '../support/world.ts';

export type RestartOptions = {
  readonly rounds: number;
  /** Clients of each kind: our own that upload, our own that download, and OpenSSH's, which do both in turns. */
  readonly clients: number;
  readonly fileBytesMax: number;
  /** The rate of one client: transfers take long enough for every restart to meet some. */
  readonly bytesPerSecond: number;
};
export type Restart = {
  readonly rounds: number;
  readonly uploads: number;
  readonly downloads: number;
  /** Transfers that had begun and failed. */
  readonly lost: number;
  /** Files that are not, byte for byte, what was sent. */
  readonly altered: number;
  /** Connections that did not lead to a session; the client went to the other edge. */
  readonly turnedAway: number;
  readonly edgesRestarted: number;
  readonly wardensRestarted: number;
  /** Transfers that were under way at the restarts, in all. */
  readonly underWay: number;
  /** The longest time in which a transfer did not move; drains and restarts of wardens. */
  readonly longestPauseMs: number;
  readonly longestDrainMs: number;
  readonly faults: readonly string[];
};

const KiB = 1024;
const blockBytes = 32 * KiB;
const customer = 'bank';
const sources = 6;
/** Everything that is waited for happens within seconds, or not at all. */
const patience = { withinMs: 90_000, everyMs: 50 };

type Source = { readonly name: string; readonly content: Buffer };
type Active = { readonly node: string };
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

export const restartCluster = (t: Teardown): Promise<Cluster> =>
  Cluster.start(t, {
    edges: 2,
    wardens: 2,
    budgets: wideBudgets,
    limits: { settleMs: 0, unauthenticatedPerSourceMax: 100 },
  });

class Load {
  readonly #cluster: Cluster;
  readonly #options: RestartOptions;
  readonly #files: readonly Source[];
  readonly #local: string;
  readonly active = new Set<Active>();
  readonly sent = new Map<string, string>();
  readonly faults: string[] = [];
  downloads = 0;
  lost = 0;
  altered = 0;
  turnedAway = 0;
  longestPauseMs = 0;
  isOver = false;
  #turn = 0;

  constructor(cluster: Cluster, options: RestartOptions, files: readonly Source[], local: string) {
    this.#cluster = cluster;
    this.#options = options;
    this.#files = files;
    this.#local = local;
  }

  /** What a load balancer does: edges in turns, and from one that refuses to the next. */
  #nextNode(): string {
    this.#turn += 1;
    const nodes = this.#cluster.partnerNodes;
    return nodes[this.#turn % nodes.length] ?? '';
  }

  #isAltered(what: string): void {
    this.altered += 1;
    this.faults.push(`${what}: other bytes than were sent`);
  }

  async #moving<T>(node: string, what: string, work: () => Promise<T>): Promise<T | undefined> {
    const one = { node };
    this.active.add(one);
    try {
      return await work();
    } catch (error) {
      this.lost += 1;
      this.faults.push(
        `${new Date().toISOString()} ${what} over ${node}: ${error instanceof Error ? error.message : String(error)}`,
      );
      return undefined;
    } finally {
      this.active.delete(one);
    }
  }

  /** One block after the other at the client's rate; whatever is slower than that is a pause. */
  async #paced(bytes: number, move: (at: number, length: number) => Promise<void>): Promise<void> {
    const blockMs = (blockBytes / this.#options.bytesPerSecond) * 1000;
    for (let at = 0; at < bytes; at += blockBytes) {
      const began = performance.now();
      await move(at, Math.min(blockBytes, bytes - at));
      const tookMs = performance.now() - began;
      this.longestPauseMs = Math.max(this.longestPauseMs, tookMs);
      if (tookMs < blockMs) await sleep(blockMs - tookMs);
    }
  }

  async ownClient(account: ClusterAccount, kind: 'upload' | 'download'): Promise<void> {
    for (let count = 0; !this.isOver; count += 1) {
      const node = this.#nextNode();
      const { name: username, privateKey } = account;
      const sftp = await SftpClient.connect({ port: this.#cluster.portOf(node), username, privateKey }).catch(
        () => undefined,
      );
      if (sftp === undefined) {
        this.turnedAway += 1;
        continue;
      }
      const name = `${username}-${kind}-${count}`;
      await this.#moving(node, `${kind} ${name}`, () =>
        kind === 'upload' ? this.#upload(sftp, name) : this.#download(sftp),
      );
      sftp.end();
    }
  }

  async #upload(sftp: SftpClient, name: string): Promise<void> {
    const content = randomBytes(1 + randomInt(this.#options.fileBytesMax));
    const handle = await sftp.open(`/deposit/${name}`, 'w');
    await this.#paced(content.length, (at, length) => sftp.write(handle, at, content.subarray(at, at + length)));
    await sftp.close(handle);
    this.sent.set(name, sha256(content));
  }

  async #download(sftp: SftpClient): Promise<void> {
    const file = this.#files[randomInt(this.#files.length)] as Source;
    const handle = await sftp.open(`/collect/${file.name}`);
    const got: Buffer[] = [];
    await this.#paced(file.content.length, async (at, length) => void got.push(await sftp.read(handle, at, length)));
    await sftp.close(handle);
    this.downloads += 1;
    if (sha256(Buffer.concat(got)) !== sha256(file.content)) this.#isAltered(`download of ${file.name}`);
  }

  /** OpenSSH's own `sftp`, with a file up and a file down in one session. */
  async openSsh(account: ClusterAccount): Promise<void> {
    const keyFile = join(this.#local, `${account.name}.key`);
    writeFileSync(keyFile, account.privateKey, { mode: 0o600 });
    for (let count = 0; !this.isOver; count += 1) {
      const node = this.#nextNode();
      const name = `${account.name}-openssh-${count}`;
      const [up, down] = [join(this.#local, name), join(this.#local, `${name}.got`)];
      const content = randomBytes(1 + randomInt(this.#options.fileBytesMax));
      const file = this.#files[randomInt(this.#files.length)] as Source;
      writeFileSync(up, content);
      await this.#moving(node, `sftp ${name}`, async () => {
        const done = await this.#sftp(node, account.name, keyFile, [
          `put ${up} deposit/${name}`,
          `get collect/${file.name} ${down}`,
        ]);
        // It repeats its lines once it is logged in: without any line it was refused.
        if (done.code !== 0 && !done.out.includes('sftp>')) {
          this.turnedAway += 1;
          return;
        }
        if (done.code !== 0) throw new Error(`exit ${done.code}: ${done.err.slice(-300)}`);
        this.sent.set(name, sha256(content));
        this.downloads += 1;
        if (sha256(readFileSync(down)) !== sha256(file.content)) this.#isAltered(`get ${file.name}`);
      });
      for (const path of [up, down]) rmSync(path, { force: true });
    }
  }

  #sftp(node: string, username: string, keyFile: string, lines: readonly string[]): ReturnType<typeof run> {
    const options = [
      'IdentitiesOnly=yes',
      'IdentityAgent=none',
      'StrictHostKeyChecking=no',
      'UserKnownHostsFile=/dev/null',
      'ConnectTimeout=20',
    ];
    const port = String(this.#cluster.portOf(node));
    const rate = String(Math.round((this.#options.bytesPerSecond * 8) / 1000));
    const args = [
      '-F',
      '/dev/null',
      ...options.flatMap((one) => ['-o', one]),
      '-i',
      keyFile,
      '-P',
      port,
      '-l',
      rate,
      '-b',
      '-',
    ];
    return run('sftp', [...args, `${username}@127.0.0.1`], {
      input: `${lines.join('\n')}\n`,
      env: { SSH_ASKPASS_REQUIRE: 'never' },
    });
  }
}

async function fill(cluster: Cluster, depositor: ClusterAccount, fileBytesMax: number): Promise<readonly Source[]> {
  const sftp = await SftpClient.connect({
    port: cluster.portOf('internal'),
    username: depositor.name,
    privateKey: depositor.privateKey,
  });
  const files: Source[] = [];
  for (let i = 0; i < sources; i += 1) {
    const content = randomBytes(Math.ceil((fileBytesMax * (i + 1)) / sources));
    const name = `statement-${i}`;
    const handle = await sftp.open(`/${customer}/collect/${name}`, 'w');
    for (let at = 0; at < content.length; at += blockBytes)
      await sftp.write(handle, at, content.subarray(at, at + blockBytes));
    await sftp.close(handle);
    files.push({ name, content });
  }
  sftp.end();
  return files;
}

/** Our own account reads back what was acknowledged, through the other plane. */
async function readBack(cluster: Cluster, depositor: ClusterAccount, load: Load): Promise<void> {
  const sftp = await SftpClient.connect({
    port: cluster.portOf('internal'),
    username: depositor.name,
    privateKey: depositor.privateKey,
  });
  for (const [name, expected] of load.sent) {
    const handle = await sftp.open(`/${customer}/deposit/${name}`);
    const hash = createHash('sha256');
    for (let at = 0; ; ) {
      const places = Array.from({ length: 16 }, (_, i) => at + i * blockBytes);
      const got = Buffer.concat(await Promise.all(places.map((place) => sftp.read(handle, place, blockBytes))));
      hash.update(got);
      at += got.length;
      if (got.length < places.length * blockBytes) break;
    }
    await sftp.close(handle);
    if (hash.digest('hex') !== expected) {
      load.altered += 1;
      load.faults.push(`${name}: other bytes than were sent`);
    }
  }
  sftp.end();
}

/** Restarts both edges and both wardens `rounds` times while all clients transfer. */
export async function rollingRestart(cluster: Cluster, options: RestartOptions): Promise<Restart> {
  const { accounts, depositor } = await cluster.addCustomer(customer, 3 * options.clients);
  const local = join(cluster.directory, '..', 'rolling');
  mkdirSync(local, { recursive: true });
  const load = new Load(cluster, options, await fill(cluster, depositor, options.fileBytesMax), local);
  const operator = await cluster.operator();
  const loops = accounts.map((account, i) =>
    i % 3 === 2 ? load.openSsh(account) : load.ownClient(account, i % 3 === 0 ? 'upload' : 'download'),
  );
  const serves = async (node: string): Promise<boolean> => {
    const { nodes } = await operator.call('status', {});
    const found = nodes.find((one) => one.name === node);
    return found?.alive === true && found.drainingUntil === null;
  };
  let [underWay, edgesRestarted, wardensRestarted, longestDrainMs] = [0, 0, 0, 0];
  const busy = (nodes: readonly string[]): number => [...load.active].filter((one) => nodes.includes(one.node)).length;
  const strikeAmid = async (nodes: readonly string[]): Promise<void> => {
    await until(`transfers over ${nodes.join(', ')}`, () => busy(nodes) > 0, patience);
    underWay += busy(nodes);
  };
  try {
    for (let round = 0; round < options.rounds; round += 1) {
      for (const node of cluster.partnerNodes) {
        const before = cluster.pidOfEdge(node);
        await strikeAmid([node]);
        const began = performance.now();
        await operator.call('node.drain', { node, reason: 'rolling restart', withinMinutes: 10 });
        await until(
          `${node} is another process`,
          () => ![undefined, before].includes(cluster.pidOfEdge(node)),
          patience,
        );
        longestDrainMs = Math.max(longestDrainMs, performance.now() - began);
        await until(`${node} serves`, () => serves(node), patience);
        edgesRestarted += 1;
      }
      for (let index = 0; index < cluster.wardenCount; index += 1) {
        const own = cluster.partnerNodes.filter((_, i) => i % cluster.wardenCount === index);
        const before = cluster.pidOfWarden(index);
        await strikeAmid(own);
        cluster.stopWardenInOrder(index);
        await until(
          `warden ${index} is another process`,
          () => ![undefined, before].includes(cluster.pidOfWarden(index)),
          patience,
        );
        await until(
          `the edges of warden ${index} serve`,
          async () => (await Promise.all(own.map(serves))).every(Boolean),
          patience,
        );
        // And transfers continue across it.
        await strikeAmid(own);
        wardensRestarted += 1;
      }
    }
  } finally {
    load.isOver = true;
    await Promise.all(loops);
    operator.close();
  }
  await readBack(cluster, depositor, load);
  const { downloads, lost, altered, turnedAway, faults } = load;
  return {
    rounds: options.rounds,
    uploads: load.sent.size,
    downloads,
    lost,
    altered,
    turnedAway,
    edgesRestarted,
    wardensRestarted,
    underWay,
    longestPauseMs: Math.round(load.longestPauseMs),
    longestDrainMs: Math.round(longestDrainMs),
    faults,
  };
}
