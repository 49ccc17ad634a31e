// Owns: the rehearsal of a rotation in scaled time: many machine accounts upload in a loop while their keys are
// replaced; some move too late.
import { randomBytes, randomInt } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { newOpenSshKeyPair } from '../../server/demo/openssh-key.ts';
import { wideBudgets } from '../support/bank.ts';
import { type Cluster, type ClusterOptions, Cluster as Clusters } from '../support/cluster.ts';
import type { Teardown } from '../support/database.ts';
import { SftpClient } from '../support/sftp-client.ts';

export type RehearsalOptions = {
  readonly accounts: number;
  /** The length of a day. */
  readonly dayMs: number;
  readonly overlapDays: number;
  /** The longest pause of an account between two uploads. */
  readonly pauseMs: number;
};
export type Rehearsal = {
  readonly accounts: number;
  /** For accounts that followed the procedure, at any time; for the others, before the overlap was over. */
  readonly failedTransfers: number;
  /** Old keys that opened a session after their overlap, or were not revoked when it was over. */
  readonly overdueKeys: number;
  readonly laggards: number;
  readonly laggardsReported: number;
  /** Named without cause, or not named. */
  readonly laggardsWrong: number;
  readonly transfers: number;
  readonly lateRefusals: number;
  readonly faults: readonly string[];
};

const lateShare = 0.2;
const customersMax = 5;
const connectionsMax = 12;
const files = { bytes: 300 } as const;

type Machine = {
  readonly name: string;
  readonly oldKey: string;
  readonly newKey: { readonly privateText: string; readonly publicLine: string };
  readonly isLate: boolean;
  /** When its holder switches; known once the rotation began. */
  switchAt: number;
  uploads: number;
};

export const rehearsalCluster = (t: Teardown, options: RehearsalOptions): Promise<Cluster> =>
  Clusters.start(t, {
    edges: 2,
    wardens: 2,
    budgets: wideBudgets,
    credentials: { dayMs: options.dayMs, sweepEveryMs: 250 },
    limits: { unauthenticatedPerSourceMax: 100, settleMs: 0 },
  } satisfies ClusterOptions);

async function makeMachines(cluster: Cluster, { accounts }: RehearsalOptions): Promise<readonly Machine[]> {
  const operator = await cluster.operator();
  const machines: Machine[] = [];
  try {
    const customers = Math.min(customersMax, accounts);
    for (let i = 0; i < customers; i += 1) await operator.call('customer.create', { name: `bank-${i}`, reason: 'x' });
    for (let i = 0; i < accounts; i += 1) {
      const name = `m-${i}`;
      await operator.call('account.create', {
        plane: 'partner',
        name,
        customer: `bank-${i % customers}`,
        kind: 'machine',
        contact: `${name}@bank`,
      });
      const old = newOpenSshKeyPair(name);
      await operator.call('key.add', { account: name, publicKey: old.publicLine });
      // Day and night, without a gap at midnight.
      for (const [half, opens, closes] of [
        ['am', '00:00', '12:01'],
        ['pm', '12:00', '00:01'],
      ] as const)
        await operator.call('window.open-standing', {
          account: name,
          reason: 'rehearsal',
          schedule: { name: half, days: [1, 2, 3, 4, 5, 6, 7], opens, closes, zone: 'UTC', forDays: 90 },
        });
      machines.push({
        name,
        oldKey: old.privateText,
        newKey: newOpenSshKeyPair(name),
        isLate: i < Math.round(accounts * lateShare),
        switchAt: Number.POSITIVE_INFINITY,
        uploads: 0,
      });
    }
  } finally {
    operator.close();
  }
  return machines;
}

async function upload(cluster: Cluster, machine: Machine, privateKey: string): Promise<void> {
  const nodes = cluster.partnerNodes;
  const port = cluster.portOf(nodes[machine.uploads % nodes.length] ?? '');
  machine.uploads += 1;
  const client = await SftpClient.connect({ port, username: machine.name, privateKey });
  try {
    const handle = await client.open(`/deposit/${machine.name}-${machine.uploads}-${randomInt(1e9)}`, 'w');
    await client.write(handle, 0, randomBytes(files.bytes));
    await client.close(handle);
  } finally {
    client.end();
  }
}

/** This many at once; the others wait. */
class Slots {
  #free = connectionsMax;
  readonly #waiting: (() => void)[] = [];
  async run(work: () => Promise<void>): Promise<void> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}

export async function rehearse(cluster: Cluster, options: RehearsalOptions): Promise<Rehearsal> {
  const machines = await makeMachines(cluster, options);
  const overlapMs = options.overlapDays * options.dayMs;
  const slots = new Slots();
  const faults: string[] = [];
  let failedTransfers = 0;
  let transfers = 0;
  let lateRefusals = 0;
  let deadline = Number.POSITIVE_INFINITY;
  let isOver = false;
  const loop = async (machine: Machine): Promise<void> => {
    await sleep(randomInt(options.pauseMs));
    while (!isOver) {
      await slots.run(async () => {
        const hasSwitched = Date.now() >= machine.switchAt;
        try {
          await upload(cluster, machine, hasSwitched ? machine.newKey.privateText : machine.oldKey);
          transfers += 1;
        } catch (error) {
          // An account that still comes with the old key when the overlap is over is refused: that is the point.
          if (machine.isLate && !hasSwitched && Date.now() >= deadline - 50) lateRefusals += 1;
          else {
            failedTransfers += 1;
            faults.push(`${machine.name}: ${error instanceof Error ? error.message : String(error)}`);
          }
        }
      });
      await sleep(randomInt(options.pauseMs / 2, options.pauseMs));
    }
  };
  const loops = machines.map(loop);
  await sleep(options.pauseMs);

  const keysFile = join(cluster.directory, '..', 'new-keys.txt');
  writeFileSync(keysFile, `${machines.map((one) => `${one.name} ${one.newKey.publicLine}`).join('\n')}\n`);
  const tomorrow = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10);
  const choice = [
    'credential',
    'rotate',
    '--stale-before',
    tomorrow,
    '--keys',
    keysFile,
    '--overlap',
    String(options.overlapDays),
  ];
  const plan = JSON.parse((await cluster.cofferctlAlone([...choice, '--json'])).out) as { count: number };
  if (plan.count !== machines.length) faults.push(`the plan names ${plan.count} keys`);
  const done = JSON.parse(
    (await cluster.cofferctl([...choice, '--reason', 'rehearsal', '--execute', '--json'])).out,
  ) as {
    rotation: string;
  };
  const [row] = await cluster.query<{ deadline: Date }>('select deadline from rotation where id = $1', [done.rotation]);
  deadline = row?.deadline.getTime() ?? 0;
  const begun = Date.now();
  for (const machine of machines)
    machine.switchAt = machine.isLate
      ? deadline + overlapMs * (0.15 + 0.2 * Math.random())
      : begun + (deadline - begun) * 0.6 * Math.random();

  await sleep(Math.max(0, deadline - Date.now()) + 1000);
  const shown = JSON.parse(
    (await cluster.cofferctl(['rotation', 'show', done.rotation, '--laggards', '--json'])).out,
  ) as {
    items: readonly { account: string }[];
  };
  await sleep(overlapMs * 0.45);
  isOver = true;
  await Promise.all(loops);

  const reported = new Set(shown.items.map((one) => one.account));
  const late = new Set(machines.filter((one) => one.isLate).map((one) => one.name));
  const [overdue] = await cluster.query<{ n: number }>(
    `select count(distinct k.id)::int as n from rotation_item i join rotation r on r.id = i.rotation_id join credential k on k.id = i.credential_id
     where r.id = $1 and (k.state <> 'revoked' or exists (select 1 from session s where s.credential_id = k.id and s.started_at > r.deadline))`,
    [done.rotation],
  );
  return {
    accounts: machines.length,
    failedTransfers,
    overdueKeys: overdue?.n ?? -1,
    laggards: late.size,
    laggardsReported: reported.size,
    laggardsWrong:
      [...late].filter((name) => !reported.has(name)).length + [...reported].filter((name) => !late.has(name)).length,
    transfers,
    lateRefusals,
    faults: faults.slice(0, 10),
  };
}
