// Owns: the proof of promise 3 by force: clients (or a lying edge) take as fast as they can while everything is killed;
// what came out is compared with cap and record.
import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster, ClusterAccount } from '../support/cluster.ts';
import { attempt, connectAs, type EdgePeer, hashOf, keyFromOpenSsh, transcript } from '../support/impostor.ts';
import { SftpClient } from '../support/sftp-client.ts';

export type Outcome = {
  readonly rounds: number;
  readonly violations: number;
  /**
   * Bytes of one customer, distinct per credential: what had come out after the last round, and the cap at that time.
   */
  readonly maxReceived: number;
  readonly cap: number;
  /** What was on the record after the last round, and the smallest surplus over what had come out in any round. */
  readonly minRecorded: number;
  readonly minSurplus: number;
  readonly kills: number;
  readonly faults: readonly string[];
};
export type Setting = {
  readonly cluster: Cluster;
  readonly accounts: readonly ClusterAccount[];
  readonly files: readonly Source[];
  readonly customer: string;
};
type Source = { readonly name: string; readonly content: Buffer };

const KiB = 1024;
const MiB = 1024 * KiB;
const blockBytes = 32 * KiB;
const clientsMax = 24;
/** Together far more than any cap of a run. */
const sizes = [3 * KiB, 60 * KiB, 200 * KiB, MiB, 5 * MiB, 18 * MiB, 40 * MiB] as const;
const copies = 3;
const stepBytes = 24 * MiB;
const roundMs = 3500;

/** One customer with several accounts, and files whose sum no cap of the run reaches. */
export async function setUp(cluster: Cluster): Promise<Setting> {
  const customer = 'bank';
  const { accounts, depositor } = await cluster.addCustomer(customer, 4);
  const local = join(cluster.directory, '..', 'sources');
  mkdirSync(local, { recursive: true });
  const files: Source[] = [];
  const sftp = await SftpClient.connect({
    port: cluster.portOf('internal'),
    username: depositor.name,
    privateKey: depositor.privateKey,
  });
  for (let copy = 0; copy < copies; copy += 1)
    for (const size of sizes) {
      const name = `f${copy}-${size}`;
      const content = randomBytes(size);
      writeFileSync(join(local, name), content);
      const handle = await sftp.open(`/${customer}/collect/${name}`, 'w');
      const writes: Promise<void>[] = [];
      for (let at = 0; at < size; at += blockBytes) {
        writes.push(sftp.write(handle, at, content.subarray(at, Math.min(size, at + blockBytes))));
        if (writes.length >= 64) await writes.shift();
      }
      await Promise.all(writes);
      await sftp.close(handle);
      files.push({ name, content });
    }
  sftp.end();
  return { cluster, accounts, files, customer };
}

/** What each credential has got: distinct blocks (honest clients) or extents (a lying edge), by name. */
class Loot {
  readonly #pieces = new Map<string, Map<string, number>>();
  add(account: string, piece: string, bytes: number): void {
    const own = this.#pieces.get(account) ?? new Map<string, number>();
    this.#pieces.set(account, own);
    if ((own.get(piece) ?? 0) < bytes) own.set(piece, bytes);
  }
  get total(): number {
    return [...this.#pieces.values()].reduce((sum, own) => sum + [...own.values()].reduce((a, b) => a + b, 0), 0);
  }
  of(account: string): ReadonlyMap<string, number> {
    return this.#pieces.get(account) ?? new Map();
  }
}

/** Connects, opens at random, reads in sequence with several handles at once, and begins again; until told to stop. */
async function client(
  setting: Setting,
  index: number,
  loot: Loot,
  faults: string[],
  isOver: () => boolean,
): Promise<void> {
  const { cluster, accounts, files } = setting;
  const account = accounts[index % accounts.length] as ClusterAccount;
  while (!isOver()) {
    const node = cluster.partnerNodes[randomInt(cluster.partnerNodes.length)] ?? '';
    let sftp: SftpClient | undefined;
    try {
      sftp = await SftpClient.connect({
        port: cluster.portOf(node),
        username: account.name,
        privateKey: account.privateKey,
        readyMs: 5000,
      });
      const session = sftp;
      await Promise.all(
        [0, 1, 2].map(async () => {
          while (!isOver()) {
            const file = files[randomInt(files.length)] as Source;
            const handle = await session.open(`/collect/${file.name}`);
            // Sometimes from the middle, as when resuming; sometimes what was read before.
            let at = Math.floor((randomInt(3) === 0 ? randomInt(file.content.length) : 0) / blockBytes) * blockBytes;
            for (; !isOver() && at < file.content.length; at += 4 * blockBytes) {
              const places = [0, 1, 2, 3]
                .map((i) => at + i * blockBytes)
                .filter((place) => place < file.content.length);
              await Promise.all(
                places.map(async (place) => {
                  const bytes = await session.read(handle, place, blockBytes);
                  if (bytes.length === 0) return;
                  if (!bytes.equals(file.content.subarray(place, place + bytes.length)))
                    faults.push(`${file.name} at ${place}: other bytes than were stored`);
                  loot.add(account.name, `${file.name}@${place}`, bytes.length);
                }),
              );
            }
            await session.close(handle);
          }
        }),
      );
    } catch {
      // A refusal, or something was killed: try again, like a thief would.
      await sleep(randomInt(20, 150));
    } finally {
      sftp?.destroy();
    }
  }
}

/**
 * Plays a whole edge: logs in with the customers' keys, and states whatever may get it one more key. Every key that it
 * is given counts as taken.
 */
async function liar(setting: Setting, node: string, loot: Loot, isOver: () => boolean): Promise<void> {
  const { cluster, accounts, files } = setting;
  while (!isOver()) {
    let peer: EdgePeer | undefined;
    try {
      peer = connectAs(cluster.wardenSocket(node));
      const edge = peer;
      const { challenge } = await edge.call('node.hello', { protocol: 1, startId: randomUUID() });
      await Promise.all(
        Array.from({ length: clientsMax }, async (_, index) => {
          const account = accounts[index % accounts.length] as ClusterAccount;
          const key = keyFromOpenSsh(account.privateKey);
          const exchange = transcript(challenge);
          const hash = hashOf(exchange, await edge.call('exchange.sign', exchange));
          const login = await attempt(edge, exchange.connection, account.name, key.evidence(account.name, hash));
          if (login.outcome !== 'accepted') return;
          const { token } = login.session;
          while (!isOver()) {
            const file = files[randomInt(files.length)] as Source;
            const { download } = await edge.call('download.open', { token, path: ['collect', file.name] });
            await Promise.all(
              Array.from({ length: 4 }, async () => {
                const index = randomInt(4);
                const granted = await edge.call('download.grant', { token, download, index }).catch(() => undefined);
                if (granted !== undefined) loot.add(account.name, granted.objectId, granted.bytes);
              }),
            );
            // It states that nothing was sent; half of the time twice, or about handles that are not its own.
            await edge.call('download.close', { token, download, sentBytes: 0, by: 'client' });
            if (randomInt(2) === 0)
              await edge
                .call('download.close', { token, download: randomUUID(), sentBytes: 0, by: 'client' })
                .catch(() => {});
            if (randomInt(20) === 0)
              await edge.call('session.end', { token, reason: 'connection-lost', bytesIn: 0, bytesOut: 0 });
          }
        }),
      );
    } catch {
      await sleep(randomInt(20, 150));
    } finally {
      peer?.close();
    }
  }
}

/** Kills or stops one part of the installation. */
function strike(cluster: Cluster): boolean {
  const pick = randomInt(11);
  if (pick < 4) return cluster.killEdge(cluster.partnerNodes[randomInt(cluster.partnerNodes.length)] ?? '');
  if (pick < 7) return cluster.killWarden(randomInt(cluster.wardenCount));
  if (pick === 10) return cluster.killStore();
  return pick < 9 ? cluster.killBackend((count) => randomInt(Math.max(1, count))) : cluster.restartDatabase();
}

async function whenServing<T>(work: () => Promise<T>): Promise<T> {
  // A database that was killed recovers as fast as the machine allows.
  const end = Date.now() + 600_000;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (Date.now() > end) throw error;
      await sleep(200);
    }
  }
}

type Recorded = {
  readonly account: string;
  readonly file: string;
  readonly object: string;
  readonly start: string;
  readonly bytes: number;
};

/** What the record says about each credential: every extent that was ever released to it. */
async function recordOf({ cluster, customer }: Setting): Promise<readonly Recorded[]> {
  return cluster.query<Recorded>(
    `select distinct a.name as account, f.name as file, e.object_id as object, e.start, e.bytes
     from ledger l join account a on a.id = l.account_id join version v on v.id = l.version_id join file f on f.id = v.file_id
       join extent e on e.content_id = v.content_id and e.index = l.extent join customer c on c.id = l.customer_id
     where l.kind = 'extent.granted' and c.name = $1`,
    [customer],
  );
}

async function check(
  setting: Setting,
  loot: Loot,
  cap: number,
  faults: string[],
): Promise<{ readonly recorded: number; readonly charged: number }> {
  const { cluster, customer, accounts } = setting;
  const rows = await whenServing(() => recordOf(setting));
  const [budget] = await whenServing(() =>
    cluster.query<{ total: string; sum: string }>(
      `select b.total_bytes as total, (select coalesce(sum(l.bytes), 0) from ledger l
       where l.kind = 'extent.granted' and coalesce(l.public ->> 'outcome', 'granted') = 'granted' and l.customer_id = c.id) as sum
     from budget b join customer c on c.id = b.customer_id where b.rank = 3 and b.direction = 'out' and c.name = $1`,
      [customer],
    ),
  );
  const charged = Number(budget?.total);
  if (loot.total > cap) faults.push(`${loot.total} bytes came out, the cap is ${cap}`);
  if (charged > cap) faults.push(`${charged} bytes are charged, the cap is ${cap}`);
  if (charged !== Number(budget?.sum)) faults.push(`${charged} bytes are charged, the record has ${budget?.sum}`);
  let recorded = 0;
  for (const { name } of accounts) {
    const own = rows.filter((row) => row.account === name);
    recorded += own.reduce((sum, row) => sum + row.bytes, 0);
    for (const piece of loot.of(name).keys()) {
      const [file, place] = piece.split('@');
      const isOnRecord =
        place === undefined
          ? own.some((row) => row.object === piece)
          : own.some(
              (row) =>
                row.file === file &&
                Number(row.start) <= Number(place) &&
                Number(place) < Number(row.start) + row.bytes,
            );
      if (!isOnRecord) faults.push(`${name} got ${piece}, which is not on record`);
    }
  }
  return { recorded, charged };
}

/**
 * The cap of the customer's day grows from round to round, so that it takes effect again; locked as every writer locks.
 */
function raiseCap({ cluster, customer }: Setting, cap: number): Promise<unknown> {
  return whenServing(() =>
    cluster.sealed(async (tx) => {
      await tx.query(
        `update budget set cap_day_bytes = $1 where id in (select b.id from budget b join customer c on c.id = b.customer_id
           where b.rank = 3 and b.direction = 'out' and c.name = $2 order by b.rank, b.id for update of b)`,
        [cap, customer],
      );
    }),
  );
}

/** `liarNode`: the edge of this node is stopped, and a liar plays it; otherwise honest clients use all edges. */
export async function boundedEgress(
  setting: Setting,
  rounds: number,
  liarNode: string | undefined,
  firstCap: number,
): Promise<Outcome> {
  const { cluster } = setting;
  const loot = new Loot();
  const faults: string[] = [];
  let cap = firstCap;
  let kills = 0;
  let maxReceived = 0;
  let minRecorded = 0;
  let minSurplus = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round += 1) {
    cap += stepBytes;
    await raiseCap(setting, cap);
    let over = false;
    const before = loot.total;
    const isOver = (): boolean => over;
    const takers =
      liarNode === undefined
        ? Array.from({ length: clientsMax }, (_, i) => client(setting, i, loot, faults, isOver))
        : [liar(setting, liarNode, loot, isOver)];
    const end = performance.now() + roundMs;
    while (performance.now() < end) {
      await sleep(randomInt(200, 1800));
      if (strike(cluster)) kills += 1;
    }
    // On a busy machine the kills may have left no time to take anything. They are over now, and a round in which
    // nothing is taken would prove nothing.
    for (
      const patience = performance.now() + 60_000;
      loot.total - before < stepBytes / 2 && performance.now() < patience;
    )
      await sleep(50);
    over = true;
    await Promise.race([Promise.all(takers), sleep(30_000)]);
    const { recorded } = await check(setting, loot, cap, faults);
    if (recorded < loot.total) faults.push(`${recorded} bytes on record, ${loot.total} came out`);
    maxReceived = Math.max(maxReceived, loot.total);
    minSurplus = Math.min(minSurplus, recorded - loot.total);
    minRecorded = recorded;
    // Everything serves again before the next round.
    await whenServing(async () => {
      for (const node of cluster.partnerNodes) {
        if (node === liarNode) continue;
        const account = setting.accounts[0] as ClusterAccount;
        (
          await SftpClient.connect({
            port: cluster.portOf(node),
            username: account.name,
            privateKey: account.privateKey,
            readyMs: 5000,
          })
        ).destroy();
      }
    });
  }
  return {
    rounds,
    violations: faults.length,
    maxReceived,
    cap,
    minRecorded,
    minSurplus,
    kills,
    faults: faults.slice(0, 10),
  };
}

/** Budgets of such a run: only that of the customer's day takes effect. */
export const soakBudgets = {
  ...Object.fromEntries(
    ['credential', 'account', 'plane', 'gateway'].map((scope) => {
      const wide = { hour: 2 ** 45, day: 2 ** 45, week: 2 ** 45 };
      return [scope, { out: { bytes: wide, files: wide, rate: 2 ** 40 }, sessions: 100_000 }];
    }),
  ),
  customer: {
    out: {
      bytes: { hour: 2 ** 45, day: 0, week: 2 ** 45 },
      files: { hour: 2 ** 45, day: 2 ** 45, week: 2 ** 45 },
      rate: 2 ** 40,
    },
    sessions: 100_000,
  },
};

export const soakLimits = { wardenRetryMs: 4000, loginGraceMs: 10_000 };
