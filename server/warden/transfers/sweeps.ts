// Owns: what the passing of time does to files: publishing those that have settled, giving up expired uploads, and
// freeing what is no longer needed. Several wardens may do this at the same time.
import { idOf, type ObjectId } from '../../domain/ids.ts';
import type { EntryKind } from '../../domain/ledger/entry-kinds.ts';
import type { Database, Transaction } from '../../postgres/database.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import { forgetCharged, thinBudgets } from '../budgets/budget-queries.ts';
import type { Warden } from '../context/context.ts';
import { record } from '../ledger/entries/record.ts';
import { eachInTurn, extentsMax, passOverRows } from '../passes/row-passes.ts';
import { type FilePlace, placeOfFile } from '../publication/place-queries.ts';
import { publishedNames } from '../receipts/published-names.ts';
import type { Storing } from '../store/store-client.ts';
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

type Passing = Pick<Warden, 'paths' | 'limits' | 'database' | 'log'>;

/** How far the snapshots of budgets were thinned in this round over all budgets, by database. */
const thinned = new WeakMap<Database, number | null>();

export async function publish(warden: Passing & Pick<Warden, 'keys'>): Promise<void> {
  await passOverRows(warden, 'publication', {
    find: findDue,
    work: async (tx, ids) => {
      const due = await publishDue(tx, ids);
      const names = await publishedNames(
        tx,
        warden.keys,
        due.map(({ version }) => version),
      );
      for (const one of due)
        await recordEach(tx, 'file.published', [one], { by: 'settled', ...names.get(one.version) });
    },
  });
}

/**
 * Gives up expired partial uploads, frees what is no longer needed, and deletes objects that are marked for deletion. A
 * failure of one of these does not affect the others.
 */
export async function collect(warden: Passing & Storing): Promise<void> {
  const { database, store } = warden;
  const { partialUploadLifeMs } = warden.limits;
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
    async () =>
      void thinned.set(database, await database.withSystem((tx) => thinBudgets(tx, thinned.get(database) ?? null))),
    () => database.withSystem(forgetCharged),
    () =>
      passOverRows(warden, 'deletion', {
        find: listDoomed,
        before: (objects) => store.delete(objects.map((object) => idOf<ObjectId>(object))),
        work: forgetDoomed,
      }),
  );
}

/**
 * Returns what the sender can do with a whole file that is kept and not published. Where markers publish, a rename does
 * not.
 */
const howDelivered = ({ publishRule, marker, path }: FilePlace): string =>
  publishRule === 'on-marker' ? `put its marker ${path}${marker} beside it` : 'rename it';

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
