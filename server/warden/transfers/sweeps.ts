// Owns: the regular passes of one warden; several wardens may run them beside each other.
import { runtimePaths } from '../../config/config.ts';
import type { EntryKind } from '../../domain/ledger/entry-kinds.ts';
import { deleteObject } from '../../extents/object-store.ts';
import { logAlerts } from '../alerts/log-sink.ts';
import { recordStrangers } from '../authentication/login-record.ts';
import { thinBudgets } from '../budgets/budget-queries.ts';
import type { Warden } from '../context.ts';
import { every } from '../every.ts';
import { record } from '../ledger/ledger-queries.ts';
import { applyRetention } from '../retention/retention.ts';
import { watchSelfTests } from '../self-test/self-test.ts';
import { collectStrays } from './recovery.ts';
import { discardExpired, doomUnused, forgetAbandonedPending, forgetDoomed, listDoomed, publishDue, type Swept } from './sweep-queries.ts';

const publishEveryMs = 250;
const alertsEveryMs = 1000;
const strangersEveryMs = 5000;
const selfTestsEveryMs = 10_000;
const straysEveryMs = 10 * 60_000;
const passMax = 500;

export function startTransferSweeps(warden: Warden): { stop(): Promise<void> } {
  // What is published, withdrawn or destroyed on a database that is in doubt cannot be taken back.
  const beat = (ms: number, work: () => Promise<void>) =>
    every(ms, async () => (warden.guard.state.is === 'open' ? work() : undefined), warden.log);
  const beats = [
    beat(publishEveryMs, () => publish(warden)),
    beat(warden.config.limits.collectEveryMs, () => collect(warden)),
    every(alertsEveryMs, () => logAlerts(warden.database, warden.log), warden.log),
    beat(warden.config.limits.collectEveryMs, () => applyRetention(warden)),
    beat(strangersEveryMs, () => recordStrangers(warden.database)),
    beat(selfTestsEveryMs, () => watchSelfTests(warden)),
    beat(straysEveryMs, () => collectStrays(warden)),
  ];
  return { stop: async () => void (await Promise.all(beats.map((beat) => beat.stop()))) };
}

async function recordEach(
  tx: Parameters<typeof record>[0],
  kind: EntryKind,
  swept: readonly Swept[],
  more: Readonly<Record<string, unknown>>,
): Promise<void> {
  for (const one of swept)
    await record(tx, {
      kind,
      customer: one.customer,
      account: one.account,
      session: one.session,
      observer: 'warden',
      version: one.version,
      public: more,
    });
}

export async function publish(warden: Warden): Promise<void> {
  await warden.database.withSystem(async (tx) => recordEach(tx, 'file.published', await publishDue(tx, passMax), { by: 'settled' }));
}

/** Gives up expired partial uploads, frees what nobody needs, deletes doomed objects. */
export async function collect(warden: Warden): Promise<void> {
  const { database, config } = warden;
  await database.withSystem(async (tx) =>
    recordEach(tx, 'upload.expired', await discardExpired(tx, config.limits.partialUploadLifeMs, passMax), {}),
  );
  await database.withSystem(async (tx) => {
    await forgetAbandonedPending(tx);
    await doomUnused(tx, passMax);
    await thinBudgets(tx);
  });
  const doomed = await database.withSystem((tx) => listDoomed(tx, passMax));
  if (doomed.length === 0) return;
  for (const object of doomed) await deleteObject(runtimePaths(config), object);
  await database.withSystem((tx) => forgetDoomed(tx, doomed));
}
