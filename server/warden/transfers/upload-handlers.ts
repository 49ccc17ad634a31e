// Owns: the handlers of an upload: open, extents, close and interrupt.
// Must never: acknowledge before the bytes are durable and the commit is known.
import { createHash } from 'node:crypto';
import { runtimePaths } from '../../config/config.ts';
import * as detached from '../../domain/detached.ts';
import { CofferdamError, toCofferdamError } from '../../domain/errors.ts';
import { type CustomerId, idOf, type ObjectId, type VersionId } from '../../domain/ids.ts';
import { NewestNames } from '../../domain/newest-names.ts';
import { formatPath } from '../../domain/paths.ts';
import { discardStaged, freeBytes, publishObject, removeIncoming, type StagedObject, stageObject } from '../../extents/object-store.ts';
import { sealedLength } from '../../extents/sealed-format.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { EdgeToWarden } from '../../rpc/edge-warden.ts';
import type { Handlers, Params } from '../../rpc/operation.ts';
import { locateEntry, requireVerb, scopeOf } from '../catalogue/locate.ts';
import type { EdgeCaller, LettingGo, OpenSession, Warden } from '../context.ts';
import { bySession, record } from '../ledger/ledger-queries.ts';
import { closeUpload, requireWhole, takePlace } from './close-upload.ts';
import { type ExtentAnswer, extentAnswer } from './extent-answer.ts';
import { itemsOf } from './extent-price.ts';
import { fits, reaches, refuseAltered, uploadMac } from './handle-seals.ts';
import { incomingOf } from './incoming-allowance.ts';
import { Lanes } from './lanes.ts';
import { issueExtent, openUpload, rewriteUpload } from './open-upload.ts';
import {
  deletePending,
  findBaseExtent,
  findClosedBy,
  findExtent,
  forgetPending,
  insertExtent,
  isPending,
  lockUpload,
  markRefused,
  type NewExtent,
  type OpenUpload,
  releaseUpload,
  type StoredExtent,
} from './upload-queries.ts';

type UploadOperations =
  | 'upload.open'
  | 'upload.rewrite'
  | 'upload.begin-extent'
  | 'upload.seal-extent'
  | 'upload.verify-extent'
  | 'upload.base-extent'
  | 'upload.close'
  | 'upload.interrupt';
type SealedExtent = Params<EdgeToWarden, 'upload.seal-extent'>['extent'];
/**
 * An extent that is durable and has no row yet. `staged` is the copy that becomes the object in the transaction of its
 * row.
 */
type AdmittedExtent = NewExtent & { readonly staged: StagedObject | null };

/** The largest number of uploads that are remembered as opened by this process. */
const openedHereMax = 20_000;

const scopes = (session: OpenSession): readonly CustomerId[] => session.customers.map((customer) => customer.id);
/** The least charge for an operation that leaves an entry. */
const oneItem = { bytes: 0, items: 1 } as const;
const lost = (): CofferdamError => new CofferdamError('conflict', 'this upload was taken over or ended');

/** Returns how many bytes of an upload are stored, and the object of its last extent. */
async function storedOf(tx: Transaction, upload: OpenUpload): Promise<{ readonly storedBytes: number; readonly lastObject?: ObjectId }> {
  const last = upload.extentCount === 0 ? undefined : await findExtent(tx, upload.content, upload.extentCount - 1);
  return { storedBytes: upload.size, ...(last === undefined ? {} : { lastObject: last.object }) };
}

/**
 * Wraps a session for an operation that an ended session may not complete: when the session ends meanwhile, the
 * operation fails.
 */
const asIs = (session: OpenSession): LettingGo => ({ session, run: (work) => work(session) });

export function uploadHandlers(warden: Warden): Pick<Handlers<EdgeToWarden, EdgeCaller>, UploadOperations> {
  const { database, sessions, keys, config, charges, log } = warden;
  const store = runtimePaths(config);
  const lanes = new Lanes();
  /**
   * The uploads that this process opened and was not yet asked to close. For all others the database is asked whether
   * they are closed already.
   */
  const openedHere = new NewestNames(openedHereMax);
  const pendingMax = config.limits.pendingExtentsPerUploadMax;

  /**
   * Locks and verifies the row of an upload, and returns what it was opened on. Throws `conflict` when the session no
   * longer holds it.
   */
  const held = async (tx: Transaction, session: OpenSession, id: string): Promise<OpenUpload> => {
    const upload = await lockUpload(tx, id, session.id);
    if (upload === undefined) throw lost();
    if (!fits(upload.mac, uploadMac(keys, id, { ...upload, session: session.id })) || !reaches(session, upload.customer, null))
      throw await refuseAltered(warden, 'upload', id);
    return upload;
  };

  /** Runs `work` in the scope of the session's customers, with the row of this upload locked and verified. */
  const onUpload = <T>(session: OpenSession, id: string, work: (tx: Transaction, upload: OpenUpload) => Promise<T>): Promise<T> =>
    sessions.within(session, scopes(session), async (tx) => {
      return work(tx, await held(tx, session, id));
    });

  /**
   * Runs `work` and notes with the upload when something is refused. An edge that later says that the upload is whole
   * is then not believed (T-31). Faults of the gateway itself are not refusals, since the call may be repeated.
   */
  const noting = async <T>(session: OpenSession, id: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      const { code } = toCofferdamError(error);
      if (code !== 'unavailable' && code !== 'bug' && code !== 'session-ended')
        await database.withCustomers(scopes(session), (tx) => markRefused(tx, id, session.id, code));
      throw error;
    }
  };

  /**
   * Returns the customer of an upload. A session with one customer has only that one; otherwise the upload says which
   * it is.
   */
  const customerOf = async (session: OpenSession, id: string): Promise<CustomerId> => {
    const [only, second] = session.customers;
    return only !== undefined && second === undefined ? only.id : onUpload(session, id, async (_tx, upload) => upload.customer);
  };

  /**
   * Makes the bytes of an extent durable; the object's name and its row follow in the caller's transaction. The pending
   * row is checked before any file is touched, so that the name of an object that was not issued to this upload never
   * reaches the store.
   */
  const admit = async ({ session, run }: LettingGo, id: string, extent: SealedExtent): Promise<AdmittedExtent> => {
    if (extent.sealedBytes !== sealedLength(extent.bytes))
      throw new CofferdamError('invalid', 'the length of the extent does not fit its content');
    const charge = (): Promise<void> =>
      run(async (now) => {
        const customer = await customerOf(now, id);
        if (now.isOver) return charges.takeEnding(now, customer, extent.bytes);
        return charges.take(now, customer, 'in', { bytes: extent.bytes, items: itemsOf(extent) });
      });
    const object = idOf<ObjectId>(extent.objectId);
    const common = { index: extent.index, object, bytes: extent.bytes, sealedBytes: extent.sealedBytes, node: session.node };
    if (extent.inline === undefined) {
      const isIssued = await run((now) => onUpload(now, id, (tx) => isPending(tx, id, object, extent.index)));
      if (!isIssued) throw new CofferdamError('invalid', 'this extent is not the next one of this upload');
      await charge();
      const staged = await stageObject(store, session.node, object, extent.sealedBytes);
      return { ...common, digest: staged.digest, inline: null, staged };
    }
    const inline = Buffer.from(extent.inline, 'base64');
    if (inline.length !== extent.sealedBytes) throw new CofferdamError('invalid', 'the length of the extent does not fit its content');
    await charge();
    return { ...common, digest: createHash('sha256').update(inline).digest(), inline, staged: null };
  };

  const requireSpace = async (floorBytes: number): Promise<void> => {
    if ((await freeBytes(config.storeDirectory)) < floorBytes)
      throw new CofferdamError('over-limit', 'no space for new files at the moment; nothing was stored');
  };

  /** Adds the row of an extent. `takePending` deletes its pending row and returns whether it was there. */
  const attach = async (
    tx: Transaction,
    upload: OpenUpload,
    extent: AdmittedExtent,
    takePending: () => Promise<boolean> | boolean,
  ): Promise<OpenUpload> => {
    const isNext = extent.index === upload.extentCount && (await takePending());
    if (!isNext) throw new CofferdamError('invalid', 'this extent is not the next one of this upload');
    // This transaction has taken the pending row. Of all attempts to seal this object only one gets here, and it
    // publishes the copy that it hashed itself.
    if (extent.staged !== null) await publishObject(store, extent.staged);
    await insertExtent(tx, upload, extent);
    return { ...upload, extentCount: upload.extentCount + 1, size: upload.size + extent.bytes };
  };

  const discard = async (extent: AdmittedExtent | undefined): Promise<void> => {
    // A copy that cannot be discarded remains in a directory that the regular pass clears.
    if (extent?.staged) await discardStaged(extent.staged).catch(() => {});
  };

  /**
   * Seals an extent. Several extents of one upload are made durable at the same time, and their rows are written in the
   * order of the calls.
   */
  const seal = async (letting: LettingGo, id: string, given: SealedExtent): Promise<OpenUpload> => {
    const admitted = detached.held(admit(letting, id, given));
    const upload = await lanes.run(id, async () => {
      const extent = await admitted;
      try {
        return await letting.run((now) =>
          onUpload(now, id, (tx, open) => attach(tx, open, extent, () => deletePending(tx, id, extent.object, extent.index))),
        );
      } finally {
        await discard(extent);
      }
    });
    if (given.inline === undefined) await removeIncoming(store, letting.session.node, idOf<ObjectId>(given.objectId)).catch(() => {});
    return upload;
  };

  /**
   * Releases the key of a stored extent to the edge. It is charged like any other, and recorded for the version to
   * which the bytes belong.
   */
  const openStored = async (
    session: OpenSession,
    id: string,
    find: (tx: Transaction, upload: OpenUpload) => Promise<StoredExtent | undefined>,
  ): Promise<{ readonly extent: StoredExtent; readonly answer: ExtentAnswer }> => {
    const found = await onUpload(session, id, async (tx, upload) => ({ customer: upload.customer, extent: await find(tx, upload) }));
    if (found.extent === undefined) throw new CofferdamError('not-found', 'no such extent');
    await noting(session, id, () => charges.take(session, found.customer, 'out', { bytes: found.extent?.bytes ?? 0, items: 0 }));
    await charges.take(session, found.customer, 'list', oneItem);
    const extent = await onUpload(session, id, async (tx, upload) => {
      const still = await find(tx, upload);
      if (still === undefined || still.object !== found.extent?.object) throw lost();
      await record(tx, {
        kind: 'extent.verified',
        customer: upload.customer,
        ...bySession(session),
        handle: id,
        version: still.content === upload.content ? upload.version : (upload.base?.version ?? null),
        extent: still.index,
        bytes: still.bytes,
      });
      return still;
    });
    const answer = await extentAnswer(keys, (work) => database.withCustomers([found.customer], work), found.customer, extent.index, extent);
    return { extent, answer };
  };

  const close = async (session: OpenSession, id: string, said: Omit<Params<EdgeToWarden, 'upload.close'>, 'token' | 'upload'>) => {
    const { whole, size, sha256, modifiedAt, lastExtent } = said;
    const extent = lastExtent && (await noting(session, id, () => admit(asIs(session), id, lastExtent)));
    let version: VersionId;
    try {
      version = await sessions.within(session, scopes(session), async (tx) => {
        const open = await held(tx, session, id);
        requireWhole({ ...open, size: open.size + (extent?.bytes ?? 0) }, { whole, size });
        const pending = await forgetPending(tx, id);
        const isPending = (): boolean => pending.some(({ object, index }) => object === extent?.object && index === extent.index);
        const upload = extent === undefined ? open : await attach(tx, open, extent, isPending);
        return closeUpload(tx, keys, session, upload, { id, sha256: Buffer.from(sha256, 'hex'), modifiedAt: modifiedAt ?? null });
      });
    } finally {
      await discard(extent);
    }
    if (extent !== undefined && extent.inline === null) await removeIncoming(store, session.node, extent.object).catch(() => {});
    return version;
  };

  return {
    'upload.open': async ({ token, path, continue: isContinued, exclusive }, caller) => {
      const session = await sessions.require(token, caller);
      const place = locateEntry(session, path);
      requireVerb(session, place.folder, 'write');
      await incomingOf(warden).require(caller.node);
      await requireSpace(config.limits.freeSpaceFloorBytes);
      await charges.take(session, place.customer.id, 'in', { bytes: 0, items: 1 });
      const opened = await sessions.within(session, scopeOf(place.customer), async (tx) => {
        const { id, upload, fresh } = await openUpload(tx, keys, session, place, { continue: isContinued, exclusive }, pendingMax);
        await record(tx, {
          kind: 'upload.opened',
          customer: place.customer.id,
          ...bySession(session),
          handle: id,
          version: upload.version,
          public: { folder: place.folder.name, path: formatPath(place.rest), storedBytes: upload.size },
        });
        const base = upload.base === null ? {} : { baseBytes: upload.base.size };
        return { upload: id, customer: place.customer.id, ...(await storedOf(tx, upload)), ...base, firstExtent: fresh };
      });
      openedHere.add(opened.upload);
      return opened;
    },

    'upload.rewrite': async ({ token, upload: id, cut }, caller) => {
      const session = await sessions.require(token, caller);
      return lanes.run(id, () =>
        onUpload(session, id, async (tx, before) => {
          const { upload, fresh } = await rewriteUpload(tx, keys, session, id, before, cut, pendingMax);
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
      return noting(letting.session, id, async () => {
        await requireSpace(config.limits.freeSpaceFloorBytes / 2);
        return letting.run((now) => onUpload(now, id, (tx, upload) => issueExtent(tx, keys, upload, id, pendingMax)));
      });
    },

    'upload.seal-extent': async ({ token, upload: id, extent }, caller) => {
      const letting = await sessions.requireLettingGo(token, caller);
      const upload = await noting(letting.session, id, () => seal(letting, id, extent));
      return { storedBytes: upload.size };
    },

    'upload.verify-extent': async ({ token, upload: id, index }, caller) => {
      const session = await sessions.require(token, caller);
      const find = (tx: Transaction, upload: OpenUpload) =>
        index < upload.extentCount ? findExtent(tx, upload.content, index) : Promise.resolve(undefined);
      return (await openStored(session, id, find)).answer;
    },

    'upload.base-extent': async ({ token, upload: id, offset }, caller) => {
      const session = await sessions.require(token, caller);
      const { extent, answer } = await openStored(session, id, (tx, upload) => findBaseExtent(tx, upload, offset));
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
          return { version: await close(session, id, said) };
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
        await seal(letting, id, lastExtent).catch((error: unknown) =>
          log.info({ err: error }, 'the tail of an interrupted upload was not kept'),
        );
      return lanes.run(id, () =>
        letting.run((now) =>
          onUpload(now, id, async (tx, upload) => {
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
