// Owns: the handlers of an upload: open, extents, close and interrupt.
// Must never: acknowledge before the bytes are durable and the commit is known.
import { randomUUID } from 'node:crypto';
import { CofferdamError } from '../../domain/errors.ts';
import type { ObjectId, VersionId } from '../../domain/ids.ts';
import { NewestNames } from '../../domain/newest-names.ts';
import { formatPath, type VirtualPath } from '../../domain/paths.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { EdgeToWarden } from '../../rpc/edge-warden.ts';
import type { Handlers } from '../../rpc/operation.ts';
import type { Charging } from '../budgets/charges.ts';
import type { EdgeCaller } from '../callers/edge-caller.ts';
import { locateEntry, requireVerb, scopeOf } from '../catalogue/locate.ts';
import { bySession, record } from '../ledger/entries/record.ts';
import type { OpenSession } from '../sessions/open-session.ts';
import type { Storing } from '../store/store-client.ts';
import { takePlace } from './close-upload.ts';
import { type EntryPlace, issueExtent, type OpenMode, openUpload, rewriteUpload } from './open-upload.ts';
import { Disbelieved } from './put-queries.ts';
import { SmallFiles } from './small-files.ts';
import type { Batching } from './transfer-batches.ts';
import {
  findBaseExtent,
  findClosedBy,
  findExtent,
  forgetPending,
  type OpenUpload,
  releaseUpload,
} from './upload-queries.ts';
import { scopes, Uploads } from './uploads.ts';

type UploadOperations =
  | 'upload.open'
  | 'upload.offer'
  | 'upload.begin'
  | 'upload.put'
  | 'upload.rewrite'
  | 'upload.begin-extent'
  | 'upload.seal-extent'
  | 'upload.verify-extent'
  | 'upload.base-extent'
  | 'upload.close'
  | 'upload.interrupt';
/** The largest number of uploads that are remembered as opened by this process. */
const openedHereMax = 20_000;

/** Returns how many bytes of an upload are stored, and the object of its last extent. */
async function storedOf(
  tx: Transaction,
  upload: OpenUpload,
): Promise<{ readonly storedBytes: number; readonly lastObject?: ObjectId }> {
  const last = upload.extentCount === 0 ? undefined : await findExtent(tx, upload.content, upload.extentCount - 1);
  return { storedBytes: upload.size, ...(last === undefined ? {} : { lastObject: last.object }) };
}

export function uploadHandlers(
  warden: Charging & Storing & Batching,
): Pick<Handlers<EdgeToWarden, EdgeCaller>, UploadOperations> {
  const { database, sessions, limits, charges, log } = warden;
  const small = new SmallFiles(warden);
  const uploads = new Uploads(warden);
  const { lanes } = uploads;
  /**
   * The uploads that this process opened and was not yet asked to close. For all others the database is asked whether
   * they are closed already.
   */
  const openedHere = new NewestNames(openedHereMax);
  /** The puts of which the entries did not come back as they were sent: no call is answered with their files. */
  const disbelieved = new NewestNames(openedHereMax);

  /** Finds the place of a path in which the session may write, and the space for it. */
  const placed = async (token: string, path: VirtualPath, caller: EdgeCaller) => {
    const session = await sessions.require(token, caller);
    const place = locateEntry(session, path, 'write');
    requireVerb(session, place.folder, 'write');
    await uploads.requireSpace(limits.freeSpaceFloorBytes);
    return { session, place };
  };

  const charge = (session: OpenSession, place: EntryPlace): Promise<void> =>
    charges.take(session, place.customer.id, 'in', { bytes: 0, items: 1 });

  /** Opens a name, and records it. It was charged before. */
  const begin = async (session: OpenSession, place: EntryPlace, mode: OpenMode, id: string) => {
    const opened = await sessions.within(session, scopeOf(place.customer), async (tx) => {
      const { upload, fresh } = await openUpload(tx, warden, session, place, mode, id);
      await record(tx, {
        kind: 'upload.opened',
        customer: place.customer.id,
        ...bySession(session),
        handle: id,
        version: upload.version,
        public: { folder: place.folder.name, path: formatPath(place.rest), storedBytes: upload.size },
      });
      const base = upload.base === null ? {} : { baseBytes: upload.base.size };
      return {
        upload: id,
        customer: place.customer.id,
        ...(await storedOf(tx, upload)),
        ...base,
        firstExtent: fresh,
      };
    });
    openedHere.add(opened.upload);
    return opened;
  };

  /**
   * Charges and opens a name that may be offered to somebody. The charge comes first, because every answer about a name
   * is charged.
   */
  const open = async (session: OpenSession, place: EntryPlace, mode: OpenMode) => {
    await charge(session, place);
    await small.offers.clear({ folder: place.folder.id, rest: place.rest }, session.account.id, mode.exclusive);
    return begin(session, place, mode, randomUUID());
  };

  /** Returns the version that this upload of this account has made already. */
  const closedBy = (session: OpenSession, id: string): Promise<VersionId | undefined> =>
    database.withCustomers(scopes(session), (tx) => findClosedBy(tx, id, session.account.id));

  return {
    'upload.open': async ({ token, path, continue: isContinued, exclusive, mustExist }, caller) => {
      const { session, place } = await placed(token, path, caller);
      return open(session, place, { continue: isContinued, exclusive, mustExist });
    },

    'upload.offer': async ({ token, path, continue: isContinued, exclusive }, caller) => {
      const { session, place } = await placed(token, path, caller);
      const mode = { continue: isContinued, exclusive };
      const offer = await small.offer(session, place, mode);
      return offer ?? { outcome: 'opened' as const, ...(await open(session, place, mode)) };
    },

    'upload.begin': async ({ token, upload: offered, path, standing }, caller) => {
      const { session, place } = await placed(token, path, caller);
      const mode = { continue: false, exclusive: false };
      return lanes.run(offered, async () => {
        const known = await small.offers.use(offered, session.id, async (offer) => {
          if (formatPath(offer.path.rest) !== formatPath(place.rest) || offer.path.folder !== place.folder.id)
            throw new CofferdamError('invalid', 'this path is not the one that was offered');
          await charge(session, place);
          return begin(session, place, { ...mode, offered: offer }, offered);
        });
        // The offer is not known here any more, or another warden made it. What came under the name since is kept all
        // the same. The upload gets a name of its own, because the one that the edge states may be anything.
        return known ?? open(session, place, { ...mode, offered: { standing } });
      });
    },

    'upload.put': async ({ token, upload: id, ...said }, caller) => {
      const session = await sessions.require(token, caller);
      return lanes.run(id, async () => {
        try {
          const version = await small.offers.use(id, session.id, (offer) => small.put(session, offer, said));
          if (version !== undefined) return { version };
        } catch (error) {
          if (error instanceof Disbelieved) disbelieved.add(id);
          if (disbelieved.has(id)) throw error;
          // The commit may have been known to nobody, when the connection was lost.
          const elsewhere = await closedBy(session, id).catch(() => undefined);
          if (elsewhere === undefined) throw error;
          return { version: elsewhere };
        }
        if (disbelieved.has(id))
          throw new CofferdamError('unavailable', 'this file was not recorded as it was sent: send it again');
        // An earlier put may have succeeded while its answer was lost, or through another warden.
        const before = await closedBy(session, id);
        if (before === undefined) throw new CofferdamError('not-found', 'this offer is over; nothing was stored');
        return { version: before };
      });
    },

    'upload.rewrite': async ({ token, upload: id, cut }, caller) => {
      const session = await sessions.require(token, caller);
      return lanes.run(id, () =>
        uploads.onUpload(session, id, async (tx, before) => {
          const { upload, fresh } = await rewriteUpload(tx, warden, session, id, before, cut);
          if (cut) await takePlace(tx, session, upload, id);
          await record(tx, {
            kind: 'upload.rewritten',
            customer: upload.customer,
            ...bySession(session),
            handle: id,
            version: upload.version,
            public: { instead: before.base?.version ?? before.version, cut },
          });
          return { firstExtent: fresh };
        }),
      );
    },

    'upload.begin-extent': async ({ token, upload: id }, caller) => {
      const letting = await sessions.requireLettingGo(token, caller);
      // An upload that has begun may use half of the free space that new files must leave.
      return uploads.noting(letting.session, id, async () => {
        await uploads.requireSpace(limits.freeSpaceFloorBytes / 2);
        return letting.run((now) =>
          uploads.onUpload(now, id, (tx, upload) => issueExtent(tx, warden, now.node, upload, id)),
        );
      });
    },

    'upload.seal-extent': async ({ token, upload: id, extent }, caller) => {
      const letting = await sessions.requireLettingGo(token, caller);
      const upload = await uploads.noting(letting.session, id, () => uploads.seal(letting, id, extent));
      return { storedBytes: upload.size };
    },

    'upload.verify-extent': async ({ token, upload: id, index }, caller) => {
      const session = await sessions.require(token, caller);
      const find = (tx: Transaction, upload: OpenUpload) =>
        index < upload.extentCount ? findExtent(tx, upload.content, index) : Promise.resolve(undefined);
      return (await uploads.openStored(session, id, find)).answer;
    },

    'upload.base-extent': async ({ token, upload: id, offset }, caller) => {
      const session = await sessions.require(token, caller);
      const { extent, answer } = await uploads.openStored(session, id, (tx, upload) =>
        findBaseExtent(tx, upload, offset),
      );
      return { ...answer, start: extent.start };
    },

    'upload.close': async ({ token, upload: id, ...said }, caller) => {
      const session = await sessions.require(token, caller);
      return lanes.run(id, async () => {
        // An earlier close may have succeeded while its answer was lost. Then its result is returned.
        const isFirst = openedHere.take(id);
        const before = isFirst ? undefined : await closedBy(session, id);
        if (before !== undefined) return { version: before };
        try {
          return { version: await uploads.close(session, id, said) };
        } catch (error) {
          // The upload was closed through another warden, or by an earlier call whose commit was still under way when
          // the database was asked.
          const elsewhere = await closedBy(session, id).catch(() => undefined);
          if (elsewhere === undefined) throw error;
          return { version: elsewhere };
        }
      });
    },

    'upload.interrupt': async ({ token, upload: id, lastExtent }, caller) => {
      const letting = await sessions.requireLettingGo(token, caller);
      // An upload whose tail cannot be stored is released all the same. What was sealed before can be resumed.
      if (lastExtent !== undefined)
        await uploads
          .seal(letting, id, lastExtent)
          .catch((error: unknown) => log.info({ err: error }, 'the tail of an interrupted upload was not kept'));
      return lanes.run(id, () =>
        letting.run((now) =>
          uploads.onUpload(now, id, async (tx, upload) => {
            await forgetPending(tx, id);
            const stored = await storedOf(tx, upload);
            await releaseUpload(tx, upload.version);
            await record(tx, {
              kind: 'upload.interrupted',
              customer: upload.customer,
              ...bySession(now),
              handle: id,
              version: upload.version,
              public: { storedBytes: upload.size },
            });
            return stored;
          }),
        ),
      );
    },
  };
}
