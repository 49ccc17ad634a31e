// Owns: the steps of which the operations of an upload are made: its locked and verified row, extents that are charged
// and get their rows in order, and its close.
// Must never: write the row of an extent before its bytes are durable.
import * as detached from '../../domain/detached.ts';
import { CofferdamError, toCofferdamError } from '../../domain/errors.ts';
import { type CustomerId, idOf, type ObjectId, type VersionId } from '../../domain/ids.ts';
import { isAcknowledged, sealedDigest } from '../../extents/object-tickets.ts';
import { sealedLength } from '../../extents/sealed-format.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { EdgeToWarden } from '../../rpc/edge-warden.ts';
import type { Params } from '../../rpc/operation.ts';
import type { Charging } from '../budgets/charges.ts';
import { bySession, record } from '../ledger/entries/record.ts';
import type { LettingGo, OpenSession } from '../sessions/open-session.ts';
import type { Storing } from '../store/store-client.ts';
import { closeUpload, requireWhole } from './close-upload.ts';
import { type ExtentAnswer, extentAnswer } from './extent-answer.ts';
import { itemsOf } from './extent-price.ts';
import { fits, reaches, refuseAltered, uploadMac } from './handle-seals.ts';
import { Lanes } from './lanes.ts';
import {
  deletePending,
  forgetPending,
  insertExtent,
  lockUpload,
  markRefused,
  type NewExtent,
  type OpenUpload,
  type StoredExtent,
} from './upload-queries.ts';

type SealedExtent = Params<EdgeToWarden, 'upload.seal-extent'>['extent'];

export const scopes = (session: OpenSession): readonly CustomerId[] => session.customers.map((customer) => customer.id);

/** The least charge for an operation that leaves an entry. */
const oneItem = { bytes: 0, items: 1 } as const;
const lost = (): CofferdamError => new CofferdamError('conflict', 'this upload was taken over or ended');

/**
 * Wraps a session for an operation that an ended session may not complete: when the session ends meanwhile, the
 * operation fails.
 */
const asIs = (session: OpenSession): LettingGo => ({ session, run: (work) => work(session) });

/** The uploads of one warden. */
export class Uploads {
  readonly #warden: Charging & Storing;
  /** One lane for each upload: the rows of its extents are written in the order of the calls. */
  readonly lanes = new Lanes();

  constructor(warden: Charging & Storing) {
    this.#warden = warden;
  }

  /**
   * Locks and verifies the row of an upload, and returns what it was opened on. Throws `conflict` when the session no
   * longer holds it.
   */
  async #held(tx: Transaction, session: OpenSession, id: string): Promise<OpenUpload> {
    const upload = await lockUpload(tx, id, session.id);
    if (upload === undefined) throw lost();
    if (
      !fits(upload.mac, uploadMac(this.#warden.keys, id, { ...upload, session: session.id })) ||
      !reaches(session, upload.customer, null)
    )
      throw await refuseAltered(this.#warden, 'upload', id);
    return upload;
  }

  /** Runs `work` in the scope of the session's customers, with the row of this upload locked and verified. */
  onUpload<T>(session: OpenSession, id: string, work: (tx: Transaction, upload: OpenUpload) => Promise<T>): Promise<T> {
    return this.#warden.sessions.within(session, scopes(session), async (tx) =>
      work(tx, await this.#held(tx, session, id)),
    );
  }

  /**
   * Runs `work` and notes with the upload when something is refused. An edge that later says that the upload is whole
   * is then not believed (T-31). Faults of the gateway itself are not refusals, since the call may be repeated; nor is
   * the end of the session, after which its edge cannot close the upload.
   */
  async noting<T>(session: OpenSession, id: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const { code } = toCofferdamError(error);
      if (code !== 'unavailable' && code !== 'bug' && code !== 'session-ended')
        await this.#warden.database.withCustomers(scopes(session), (tx) => markRefused(tx, id, session.id, code));
      throw error;
    }
  }

  /**
   * Returns the customer of an upload. A session with one customer has only that one; otherwise the upload says which
   * it is.
   */
  async #customerOf(session: OpenSession, id: string): Promise<CustomerId> {
    const [only, second] = session.customers;
    return only !== undefined && second === undefined
      ? only.id
      : this.onUpload(session, id, async (_tx, upload) => upload.customer);
  }

  /**
   * Charges an extent whose bytes are durable; its row follows in the caller's transaction. That the bytes of an object
   * are durable is believed by the word of the store alone, which the edge only carries.
   */
  async #admit({ session, run }: LettingGo, id: string, extent: SealedExtent): Promise<NewExtent> {
    const { index, bytes, sealedBytes, isCut } = extent;
    const content = this.#contentOf(session, extent);
    await run(async (now) => {
      const customer = await this.#customerOf(now, id);
      if (now.isOver) return this.#warden.charges.takeEnding(now, customer, bytes);
      return this.#warden.charges.take(now, customer, 'in', { bytes, items: itemsOf({ bytes, index, isCut }) });
    });
    return { index, object: idOf<ObjectId>(extent.objectId), bytes, sealedBytes, node: session.node, ...content };
  }

  /**
   * Returns what an extent consists of, once it is certain that exactly these bytes are stored or came with the call.
   * Throws `invalid` when the edge says otherwise.
   */
  #contentOf(session: OpenSession, extent: SealedExtent): Pick<NewExtent, 'digest' | 'inline'> {
    const { sealedBytes, durable } = extent;
    const wrongLength = (): CofferdamError =>
      new CofferdamError('invalid', 'the length of the extent does not fit its content');
    if (sealedBytes !== sealedLength(extent.bytes)) throw wrongLength();
    if ((extent.inline === undefined) === (durable === undefined))
      throw new CofferdamError('invalid', 'an extent is either in the store or comes with the call');
    if (extent.inline !== undefined) {
      const inline = Buffer.from(extent.inline, 'base64');
      if (inline.length !== sealedBytes) throw wrongLength();
      return { digest: sealedDigest(inline), inline };
    }
    const digest = Buffer.from(durable?.digest ?? '', 'base64');
    const said = { node: session.node, object: idOf<ObjectId>(extent.objectId), bytes: sealedBytes, digest };
    if (!isAcknowledged(this.#warden.keys.storeKey, said, Buffer.from(durable?.acknowledgement ?? '', 'base64')))
      throw new CofferdamError('invalid', 'the store has not said that this extent is durable');
    return { digest, inline: null };
  }

  /** Throws `over-limit` when the store has less free space than this. */
  async requireSpace(floorBytes: number): Promise<void> {
    if ((await this.#warden.store.freeBytes()) < floorBytes)
      throw new CofferdamError('over-limit', 'no space for new files at the moment; nothing was stored');
  }

  /** Adds the row of an extent. `takePending` deletes its pending row and returns whether it was there. */
  async #attach(
    tx: Transaction,
    upload: OpenUpload,
    extent: NewExtent,
    takePending: () => Promise<boolean> | boolean,
  ): Promise<OpenUpload> {
    const isNext = extent.index === upload.extentCount && (await takePending());
    if (!isNext) throw new CofferdamError('invalid', 'this extent is not the next one of this upload');
    await insertExtent(tx, upload, extent);
    return { ...upload, extentCount: upload.extentCount + 1, size: upload.size + extent.bytes };
  }

  /** Tells the store that the row of an extent is committed. */
  #settled({ inline, object }: NewExtent): void {
    if (inline === null) this.#warden.store.settled(object);
  }

  /**
   * Seals an extent. Several extents of one upload are charged concurrently, and their rows are written in the order of
   * the calls. `letting` is the session, which may end meanwhile (`LettingGo`).
   */
  async seal(letting: LettingGo, id: string, given: SealedExtent): Promise<OpenUpload> {
    const admitted = detached.held(this.#admit(letting, id, given));
    return this.lanes.run(id, async () => {
      const extent = await admitted;
      const upload = await letting.run((now) =>
        this.onUpload(now, id, (tx, open) =>
          this.#attach(tx, open, extent, () => deletePending(tx, id, extent.object, extent.index)),
        ),
      );
      this.#settled(extent);
      return upload;
    });
  }

  /**
   * Releases the key of a stored extent to the edge for verification. Its bytes are charged to the direction `out`,
   * also when the same credential has paid for them before, and one item to the direction `list`. It is recorded for
   * the version to which the bytes belong.
   */
  async openStored(
    session: OpenSession,
    id: string,
    find: (tx: Transaction, upload: OpenUpload) => Promise<StoredExtent | undefined>,
  ): Promise<{ readonly extent: StoredExtent; readonly answer: ExtentAnswer }> {
    const found = await this.onUpload(session, id, async (tx, upload) => ({
      customer: upload.customer,
      extent: await find(tx, upload),
    }));
    if (found.extent === undefined) throw new CofferdamError('not-found', 'no such extent');
    await this.noting(session, id, () =>
      this.#warden.charges.take(session, found.customer, 'out', { bytes: found.extent?.bytes ?? 0, items: 0 }),
    );
    await this.#warden.charges.take(session, found.customer, 'list', oneItem);
    const extent = await this.onUpload(session, id, async (tx, upload) => {
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
    const answer = await extentAnswer(
      this.#warden.keys,
      (work) => this.#warden.database.withCustomers([found.customer], work),
      found.customer,
      extent.index,
      extent,
    );
    return { extent, answer };
  }

  /**
   * Closes an upload with its last extent, if it has one that is not sealed yet. Returns the version that becomes a
   * file.
   */
  async close(
    session: OpenSession,
    id: string,
    said: Omit<Params<EdgeToWarden, 'upload.close'>, 'token' | 'upload'>,
  ): Promise<VersionId> {
    const { whole, size, sha256, modifiedAt, lastExtent } = said;
    const extent = lastExtent && (await this.noting(session, id, () => this.#admit(asIs(session), id, lastExtent)));
    const version = await this.#warden.sessions.within(session, scopes(session), async (tx) => {
      const open = await this.#held(tx, session, id);
      requireWhole({ ...open, size: open.size + (extent?.bytes ?? 0) }, { whole, size });
      const pending = await forgetPending(tx, id);
      const isPending = (): boolean =>
        pending.some(({ object, index }) => object === extent?.object && index === extent.index);
      const upload = extent === undefined ? open : await this.#attach(tx, open, extent, isPending);
      return closeUpload(tx, this.#warden.keys, session, upload, {
        id,
        sha256: Buffer.from(sha256, 'hex'),
        modifiedAt: modifiedAt ?? null,
      });
    });
    if (extent !== undefined) this.#settled(extent);
    return version;
  }
}
