// Owns: the handlers of an upload: open, extents, close and interrupt.
// Must never: acknowledge before the bytes are durable and the commit is known.
import type { ObjectId, VersionId } from '../../domain/ids.ts';
import { NewestNames } from '../../domain/newest-names.ts';
import { formatPath } from '../../domain/paths.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { EdgeToWarden } from '../../rpc/edge-warden.ts';
import type { Handlers } from '../../rpc/operation.ts';
import type { Charging } from '../budgets/charges.ts';
import type { EdgeCaller } from '../callers/edge-caller.ts';
import { locateEntry, requireVerb, scopeOf } from '../catalogue/locate.ts';
import { bySession, record } from '../ledger/entries/record.ts';
import type { Storing } from '../store/store-client.ts';
import { takePlace } from './close-upload.ts';
import { issueExtent, openUpload, rewriteUpload } from './open-upload.ts';
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

export function uploadHandlers(warden: Charging & Storing): Pick<Handlers<EdgeToWarden, EdgeCaller>, UploadOperations> {
  const { database, sessions, limits, charges, log } = warden;
  const uploads = new Uploads(warden);
  const { lanes } = uploads;
  /**
   * The uploads that this process opened and was not yet asked to close. For all others the database is asked whether
   * they are closed already.
   */
  const openedHere = new NewestNames(openedHereMax);

  return {
    'upload.open': async ({ token, path, continue: isContinued, exclusive, mustExist }, caller) => {
      const session = await sessions.require(token, caller);
      const place = locateEntry(session, path, 'write');
      requireVerb(session, place.folder, 'write');
      await uploads.requireSpace(limits.freeSpaceFloorBytes);
      await charges.take(session, place.customer.id, 'in', { bytes: 0, items: 1 });
      const opened = await sessions.within(session, scopeOf(place.customer), async (tx) => {
        const mode = { continue: isContinued, exclusive, mustExist };
        const { id, upload, fresh } = await openUpload(tx, warden, session, place, mode);
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
        const closedBefore = (): Promise<VersionId | undefined> =>
          database.withCustomers(scopes(session), (tx) => findClosedBy(tx, id, session.account.id));
        const isFirst = openedHere.take(id);
        const before = isFirst ? undefined : await closedBefore();
        if (before !== undefined) return { version: before };
        try {
          return { version: await uploads.close(session, id, said) };
        } catch (error) {
          // The upload was closed through another warden, or by an earlier call whose commit was still under way when
          // the database was asked.
          const elsewhere = await closedBefore().catch(() => undefined);
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
