// Owns: the regular passes of one warden. Several wardens may run them at the same time.
import { runtimePaths } from '../../config/config.ts';
import { CofferdamError } from '../../domain/errors.ts';
import { idOf, type ObjectId } from '../../domain/ids.ts';
import type { EntryKind } from '../../domain/ledger/entry-kinds.ts';
import { markerSuffix } from '../../domain/publish-rules.ts';
import { deleteObject } from '../../extents/object-store.ts';
import type { Transaction } from '../../postgres/database.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import type { AlertLog } from '../alerts/log-sink.ts';
import { recordStrangers } from '../authentication/login-record.ts';
import { thinBudgets } from '../budgets/budget-queries.ts';
import type { Warden } from '../context.ts';
import { every } from '../every.ts';
import { record } from '../ledger/ledger-queries.ts';
import { applyRetention } from '../retention/retention.ts';
import { eachInTurn, passOverRows } from '../row-passes.ts';
import { watchSelfTests } from '../self-test/self-test.ts';
import { incomingOf } from './incoming-allowance.ts';
import { type FilePlace, placeOfFile } from './place-queries.ts';
import { collectStrays } from './recovery.ts';
import {
  discardExpired,
  doomUnused,
  findDue,
  findExpired,
  findUnused,
  findWaiting,
  forgetAbandonedPending,
  forgetDoomed,
  giveBack,
  listDoomed,
  publishDue,
  type Swept,
  takeWaiting,
} from './sweep-queries.ts';

const publishEveryMs = 250;
const alertsEveryMs = 1000;
const strangersEveryMs = 5000;
const selfTestsEveryMs = 10_000;
const straysEveryMs = 10 * 60_000;
const incomingEveryMs = 60_000;
/** The largest number of extents that one pass collects, over all its versions. A large file takes several passes. */
const extentsMax = 500;

export function startTransferSweeps(warden: Warden, alerts: AlertLog): { stop(): Promise<void> } {
  // These passes rest while the database is in doubt, because what they publish, withdraw or destroy cannot be undone.
  const beat = (ms: number, work: () => Promise<void>) =>
    every(ms, async () => (warden.guard.state.is === 'open' ? work() : undefined), warden.log);
  const beats = [
    beat(publishEveryMs, () => publish(warden)),
    beat(warden.config.limits.collectEveryMs, () => collect(warden)),
    every(alertsEveryMs, () => alerts.pass(warden.database), warden.log),
    beat(warden.config.limits.collectEveryMs, () => applyRetention(warden)),
    beat(strangersEveryMs, () => recordStrangers(warden)),
    beat(selfTestsEveryMs, () => watchSelfTests(warden)),
    beat(straysEveryMs, () => collectStrays(warden)),
    beat(incomingEveryMs, () =>
      eachInTurn(
        ...warden.config.edges.map(
          ({ node }) =>
            () =>
              incomingOf(warden).look(node),
        ),
      ),
    ),
  ];
  return { stop: async () => void (await Promise.all(beats.map((beat) => beat.stop()))) };
}

async function recordEach(
  tx: Transaction,
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

type Passing = Pick<Warden, 'config' | 'database' | 'log'>;

export async function publish(warden: Passing): Promise<void> {
  await passOverRows(warden, 'publication', {
    find: findDue,
    work: async (tx, ids) => recordEach(tx, 'file.published', await publishDue(tx, ids), { by: 'settled' }),
  });
}

/**
 * Gives up expired partial uploads, frees what is no longer needed, and deletes objects that are marked for deletion. A
 * failure of one of these does not affect the others.
 */
export async function collect(warden: Passing): Promise<void> {
  const { database, config } = warden;
  const paths = runtimePaths(config);
  const { partialUploadLifeMs } = config.limits;
  await eachInTurn(
    () =>
      passOverRows(warden, 'expiry', {
        find: (tx, limit) => findExpired(tx, partialUploadLifeMs, limit),
        work: async (tx, ids) => expire(tx, await discardExpired(tx, ids, partialUploadLifeMs)),
      }),
    () =>
      passOverRows(warden, 'waiting', {
        find: (tx, limit) => findWaiting(tx, partialUploadLifeMs, limit),
        work: async (tx, ids) => tellWaiting(tx, await takeWaiting(tx, ids, partialUploadLifeMs)),
      }),
    () => database.withSystem(forgetAbandonedPending),
    () =>
      passOverRows(warden, 'collection', {
        find: findUnused,
        work: (tx, ids) => doomUnused(tx, ids, extentsMax),
      }),
    () => database.withSystem(thinBudgets),
    () =>
      passOverRows(warden, 'deletion', {
        find: listDoomed,
        before: async (objects) => {
          for (const object of objects)
            await deleteObject(paths, idOf<ObjectId>(object)).catch((cause: unknown) => {
              throw new CofferdamError('bug', 'an object cannot be deleted', { cause });
            });
        },
        work: forgetDoomed,
      }),
  );
}

/**
 * Returns what the sender can do with a whole file that is kept and not published. Where markers publish, a rename does
 * not.
 */
const howDelivered = ({ publishRule, path }: FilePlace): string =>
  publishRule === 'on-marker' ? `put its marker ${path}${markerSuffix} beside it` : 'rename it';

/**
 * Records the expired uploads, and gives back the files that waited below them. These have a receipt, so an alert tells
 * their sender's contact.
 */
async function expire(tx: Transaction, expired: readonly Swept[]): Promise<void> {
  await recordEach(tx, 'upload.expired', expired, {});
  for (const one of await giveBack(
    tx,
    expired.map(({ file }) => file),
  )) {
    const place = await placeOfFile(tx, one.file);
    await recordEach(tx, 'file.given-back', [one], { folder: place.folder, path: place.pathInFolder });
    await insertAlert(tx, {
      kind: 'deposit.given-back',
      severity: 'warning',
      subject: one.version,
      customer: one.customer,
      account: one.account,
      text: `${place.path} of ${place.customer} has a receipt; its sender began to extend it afterwards and never finished: it is kept as it was received, and is ${place.publishRule === 'on-marker' ? 'published only with its marker' : 'not published by itself'}`,
      contactText: `Your file ${place.path}, for which you hold our receipt, was continued, and the rest never came. It was not delivered. Send it again as a whole, or ${howDelivered(place)} to have it delivered as it is.`,
      facts: { customer: place.customer, path: place.path, version: one.version },
      nextCommand: `cofferctl file receipt ${one.version}`,
    });
  }
}

/**
 * Raises alerts about files with a receipt that nobody may read yet, because an incomplete version stands above them or
 * they are opened again and again.
 */
async function tellWaiting(tx: Transaction, waiting: readonly Swept[]): Promise<void> {
  for (const one of waiting) {
    const place = await placeOfFile(tx, one.file);
    await insertAlert(tx, {
      kind: 'deposit.waits',
      severity: 'warning',
      subject: one.version,
      customer: one.customer,
      account: one.account,
      text: `${place.path} of ${place.customer} has its receipt and is not delivered: it is opened, continued or renamed again and again`,
      contactText: `Your file ${place.path}, for which you hold our receipt, is not delivered yet: your side opens, continues or renames it again and again. Finish it, or leave it alone to have it delivered as it is.`,
      facts: { customer: place.customer, path: place.path, version: one.version },
      nextCommand: `cofferctl ledger search --version ${one.version}`,
    });
  }
}
