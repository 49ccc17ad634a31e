// Owns: `npm run bench:revoke [ROUNDS]`, the measurement of the time from an operator's command to the last byte of the
// credential's downloads, on every edge. There are three cases: as usual; with every notification between the wardens
// lost, so that only the lease carries it; and with a warden killed at the moment of the command. The last line of the
// output is JSON, in milliseconds.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '../admin-cli/connection/client.ts';
import { wideBudgets } from '../test/support/bank.ts';
import { Cluster, type ClusterAccount } from '../test/support/cluster.ts';
import { SftpClient } from '../test/support/sftp-client.ts';

type Case = 'usual' | 'notices lost' | 'warden killed';
type Figures = {
  readonly rounds: number;
  readonly p50: number;
  readonly p99: number;
  readonly most: number;
  readonly bytesAfter: number;
};

const rounds = Number(process.argv[2] ?? 60);
const fileBytes = 32 * 2 ** 20;
const blockBytes = 32_768;
const inFlight = 8;
const flowMs = 250;
const patienceMs = 5000;
const path = '/collect/statement';

const percentile = (values: readonly number[], share: number): number =>
  Math.round(
    [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN,
  );

/** A client that reads a file again and again. It counts the bytes that came and remembers when the last ones did. */
class Thief {
  lastByteAt = 0;
  bytes = 0;
  readonly #client: SftpClient;
  readonly done: Promise<unknown>;

  private constructor(client: SftpClient, handle: Buffer) {
    this.#client = client;
    this.done = Promise.all(
      Array.from({ length: inFlight }, async (_, i) => {
        for (let at = i * blockBytes; ; at = (at + inFlight * blockBytes) % fileBytes) {
          const got = await client.read(handle, at, blockBytes);
          this.bytes += got.length;
          this.lastByteAt = performance.now();
        }
      }),
    ).catch(() => {});
  }

  static async start(port: number, account: ClusterAccount): Promise<Thief> {
    for (let tries = 0; ; tries += 1) {
      try {
        const client = await SftpClient.connect({ port, username: account.name, privateKey: account.privateKey });
        return new Thief(client, await client.open(path, 'r'));
      } catch (error) {
        // A warden that was killed in the round before may not be back yet.
        if (tries === 100) throw error;
        await sleep(100);
      }
    }
  }

  stop(): void {
    this.#client.destroy();
  }
}

async function deposit(cluster: Cluster, customer: string, depositor: ClusterAccount): Promise<void> {
  const sftp = await SftpClient.connect({
    port: cluster.portOf('internal'),
    username: depositor.name,
    privateKey: depositor.privateKey,
  });
  const handle = await sftp.open(`/${customer}${path}`, 'w');
  const block = randomBytes(blockBytes);
  for (let at = 0; at < fileBytes; at += 16 * blockBytes)
    await Promise.all(Array.from({ length: 16 }, (_, i) => sftp.write(handle, at + i * blockBytes, block)));
  await sftp.close(handle);
  sftp.end();
}

async function round(
  cluster: Cluster,
  operator: Client,
  account: ClusterAccount,
  which: Case,
  number: number,
): Promise<{ ms: number; bytes: number }> {
  const thieves = await Promise.all(cluster.partnerNodes.map((node) => Thief.start(cluster.portOf(node), account)));
  await sleep(flowMs + Math.random() * 250);
  const before = thieves.map((one) => one.bytes);
  const asked = performance.now();
  const command = operator.call('key.suspend', { fingerprint: account.fingerprint, reason: 'bench' });
  if (which === 'warden killed') cluster.killWarden(number % cluster.wardenCount);
  await command;
  await Promise.race([Promise.all(thieves.map((one) => one.done)), sleep(patienceMs)]);
  const ms = Math.max(0, ...thieves.map((one) => one.lastByteAt - asked));
  const bytes = thieves.reduce((sum, one, i) => sum + one.bytes - (before[i] ?? 0), 0);
  for (const one of thieves) one.stop();
  if (which === 'warden killed') await sleep(1500);
  await operator.call('key.resume', { fingerprint: account.fingerprint, reason: 'bench' });
  return { ms, bytes };
}

const works: (() => Promise<void> | void)[] = [];
try {
  const cluster = await Cluster.start(
    { teardown: (work) => void works.unshift(work) },
    { edges: 2, wardens: 2, budgets: wideBudgets },
  );
  const { accounts, depositor } = await cluster.addCustomer('bank', 1);
  const [account] = accounts;
  if (account === undefined) throw new Error('no account');
  await deposit(cluster, 'bank', depositor);
  const operator = await cluster.operator();
  works.unshift(() => operator.close());
  const figures: Record<string, Figures> = {};
  for (const [which, count] of [
    ['usual', rounds],
    ['notices lost', rounds],
    ['warden killed', Math.ceil(rounds / 3)],
  ] as const) {
    // Without this trigger only the warden that ran the command knows which sessions it ended.
    await cluster.query(`alter table session ${which === 'notices lost' ? 'disable' : 'enable'} trigger tell_ended`);
    const times: number[] = [];
    let bytesAfter = 0;
    for (let number = 0; number < count; number += 1) {
      const { ms, bytes } = await round(cluster, operator, account, which, number);
      times.push(ms);
      bytesAfter = Math.max(bytesAfter, bytes);
    }
    figures[which] = {
      rounds: count,
      p50: percentile(times, 0.5),
      p99: percentile(times, 0.99),
      most: Math.round(Math.max(...times)),
      bytesAfter,
    };
    process.stdout.write(`${which}: ${JSON.stringify(figures[which])}\n`);
  }
  process.stdout.write(`${JSON.stringify(figures)}\n`);
} finally {
  for (const work of works) await work();
}
