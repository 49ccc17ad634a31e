// Owns: the way of an upload's bytes into the store, in sequence: segments, the thread that
// hashes and seals them, extents, and the warden's confirmation that an extent is durable.
// Must never: hold more than a few segments in memory, leave a rejected
// promise without an owner, or rely on its own state after it has waited.
import { detach, held, unexpected } from '../../domain/detached.ts';
import { type CofferdamError, toCofferdamError } from '../../domain/errors.ts';
import { extentPlainBytesMax, firstPlainBytes, laterPlainBytes, segmentBytes } from '../../extents/sealed-format.ts';
import type { FreshExtent } from '../../rpc/edge-extents.ts';
import { type Filler, fitting } from './filling.ts';
import { objectFile } from './object-file.ts';
import type { Pacer } from './pacer.ts';
import type { SealedResult, Source, Stored as StoredPrefix } from './store-worker.ts';
import type { UploadContext } from './upload.ts';

export type Sealed = {
  readonly index: number;
  readonly objectId: string;
  readonly bytes: number;
  readonly sealedBytes: number;
  readonly inline?: string;
  /** What the store said of the object, in base64. */
  readonly durable?: { readonly digest: string; readonly acknowledgement: string };
  /** Present when the edge ended the extent early because the process had no room. */
  readonly isCut?: true;
};
/** A stored extent as the warden returns it for reading back. */
export type Stored = {
  readonly objectId: string;
  readonly key: string;
  readonly context: string;
  readonly bytes: number;
  readonly inline?: string | undefined;
};
/** A segment that was taken out of the buffer being filled. Later writes do not change it. */
type Detached = {
  readonly bytes: Buffer;
  /** The size of the segment's buffer, which is counted in the account. */
  readonly heldBytes: number;
  readonly isFirst: boolean;
  /** The number of plaintext bytes of the extent up to the end of this segment. */
  readonly extentBytes: number;
  readonly fresh: Promise<FreshExtent | undefined>;
};

/** The client is held back while this many segments were given to the thread and are not sealed yet. */
const backlogSegmentsMax = 16;
/** How many segments an extent counts for while the warden makes it durable. Three of them almost reach the bound. */
const sealWeight = 5;
/**
 * The number of copies of the base64 text of an extent that is stored
 * in its row: the text itself, the message, and what the socket holds.
 */
export const inlineCopies = 3;
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

export class UploadPipeline implements Filler {
  readonly #context: UploadContext;
  readonly #id: string;
  readonly #pacer: Pacer;
  readonly #onRoom: () => void;
  /**
   * Settles when everything was handed to the thread that must be handed in order: hashing
   * what is stored, segments. Like every promise that this class stores, it never rejects.
   */
  #chain: Promise<void> = Promise.resolve();
  /** Settles when the warden was asked, in their order, to seal all extents that were handed to the thread. */
  #asked: Promise<void> = Promise.resolve();
  #seals: Promise<void> = Promise.resolve();
  /**
   * True when an extent was not sealed, or the upload was let go. The warden would charge what comes behind that, and
   * then refuse it.
   */
  #isCutOff = false;
  #fresh: Promise<FreshExtent | undefined> = Promise.resolve(undefined);
  #backlog = 0;
  #failure: CofferdamError | undefined;
  #segment: Buffer | undefined;
  #filled = 0;
  /** True when the previous segment was filled, so that this is no upload of a few bytes. */
  #isFlowing = false;
  #segmentsOfExtent = 0;
  #extentBytes = 0;
  #waiting: (() => void)[] = [];

  constructor(context: UploadContext, id: string, customer: string, onRoom: () => void) {
    this.#context = context;
    this.#id = id;
    this.#pacer = context.pacers.get(customer, 'in');
    this.#onRoom = onRoom;
    context.filling.join(this);
  }

  /** The error that ended this pipeline; it stays. */
  get failure(): CofferdamError | undefined {
    return this.#failure;
  }

  /** True when too much is waiting here or in the session. */
  get isFull(): boolean {
    return this.#backlog >= backlogSegmentsMax || this.#context.filling.isFull;
  }

  get filledBytes(): number {
    return this.#filled;
  }

  fit(): void {
    const segment = this.#segment;
    if (segment !== undefined && segment.length > fitting(this.#filled))
      this.#segment = this.#context.filling.move(segment, this.#filled, this.#filled);
  }

  seal(): void {
    this.#sendSegment(true, true, true);
  }

  fail(thrown: unknown): void {
    const error = toCofferdamError(thrown);
    if (this.#failure === undefined && error.code === 'bug')
      this.#context.node.log.error({ err: thrown }, 'an upload failed');
    this.#failure ??= error;
  }

  requireSound(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Resolves when more may be pushed. */
  async room(): Promise<void> {
    while (this.isFull) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #lighter(weight: number): void {
    this.#backlog -= weight;
    this.wake();
  }

  wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
    this.#onRoom();
  }

  /**
   * Begins, or begins again, at the end of what is stored. The SHA-256 of the stored bytes is either known
   * in the store thread, or is computed by reading them back; such a read is recorded in the ledger.
   */
  begin({ storedBytes, lastObject }: StoredPrefix, firstExtent: FreshExtent): void {
    this.#fresh = Promise.resolve(firstExtent);
    const hashed = this.#chain.then(async () => {
      const isKnown = await this.#context.store.ask<boolean>({
        op: 'upload.begin',
        upload: this.#id,
        lastObject,
        storedBytes,
      });
      if (!isKnown) await this.#hashStored(storedBytes);
    });
    this.#chain = held(hashed.catch((error: unknown) => this.fail(error)));
  }

  async #hashStored(storedBytes: number): Promise<void> {
    const { warden, session, store } = this.#context;
    for (let done = 0, index = 0; done < storedBytes; index += 1) {
      const extent = await warden.callRepeatable('upload.verify-extent', {
        token: session.token,
        upload: this.#id,
        index,
      });
      await store.ask({ op: 'upload.verify', upload: this.#id, source: this.source(extent) });
      done += extent.bytes;
    }
  }

  source(extent: Stored): Source {
    return {
      key: Buffer.from(extent.key, 'base64'),
      context: Buffer.from(extent.context, 'base64'),
      plainBytes: extent.bytes,
      path: objectFile(this.#context.node.paths.objects, extent.objectId),
      ...(extent.inline === undefined ? {} : { inline: Buffer.from(extent.inline, 'base64') }),
    };
  }

  #capacity(): number {
    return this.#segmentsOfExtent === 0 ? firstPlainBytes : laterPlainBytes;
  }

  /** Takes the next bytes of the file, and copies them. */
  push(slice: Buffer): void {
    let rest = slice;
    while (rest.length > 0) {
      // A full segment is sent only when another byte follows, because only then it is known not to be the last.
      if (this.#segment !== undefined && this.#filled === this.#capacity()) {
        this.#isFlowing = true;
        this.#sendSegment(this.#extentBytes + this.#filled === extentPlainBytesMax);
      }
      const count = Math.min(rest.length, this.#capacity() - this.#filled);
      const segment = this.#roomFor(this.#filled + count);
      rest.copy(segment, this.#filled, 0, count);
      this.#filled += count;
      rest = rest.subarray(count);
    }
    this.#context.filling.relieve();
  }

  /**
   * Returns the current segment in a buffer for at least `bytes` bytes. A file
   * of a few bytes gets a small buffer, and a large file is not copied twice.
   */
  #roomFor(bytes: number): Buffer {
    const { filling } = this.#context;
    if (this.#segment === undefined) this.#segment = filling.take(this.#isFlowing ? segmentBytes : bytes);
    else if (this.#segment.length < bytes) this.#segment = filling.move(this.#segment, this.#filled, bytes);
    return this.#segment;
  }

  /**
   * Takes the current segment out. Bytes that are pushed from now on fill
   * another segment after it. `isLast` means that it is the last of its extent.
   */
  #detach(isLast: boolean): Detached | undefined {
    const segment = this.#segment;
    if (segment === undefined) return undefined;
    const extentBytes = this.#extentBytes + this.#filled;
    const detached = {
      bytes: segment.subarray(0, this.#filled),
      heldBytes: segment.length,
      isFirst: this.#segmentsOfExtent === 0,
      extentBytes,
      fresh: this.#fresh,
    };
    this.#context.filling.sent(segment.length);
    this.#segment = undefined;
    this.#filled = 0;
    this.#segmentsOfExtent = isLast ? 0 : this.#segmentsOfExtent + 1;
    this.#extentBytes = isLast ? 0 : extentBytes;
    return detached;
  }

  /**
   * Hands the current segment to the thread. After the last segment of an extent
   * the warden seals the extent, while segments of the next one are under way.
   */
  #sendSegment(isLast: boolean, mayBeInline = false, isCut?: true): void {
    const segment = this.#detach(isLast);
    if (segment === undefined) return;
    if (isLast) this.#fresh = held(segment.fresh.then(() => this.#beginExtent()));
    this.#backlog += 1;
    this.#chain = held(
      this.#chain.then(async () => {
        const { done } = await this.#hand(segment, isLast, mayBeInline);
        detach(
          done.then(() => this.#lighter(1)),
          unexpected,
        );
        this.#askInOrder(done, isLast, isCut);
      }),
    );
  }

  /**
   * Asks the warden to seal an extent, once it is stored and the extents before it were asked for. When one of them was
   * not stored, or is refused by then, it is not asked. That the upload has failed for another reason changes nothing
   * until it is let go: what was acknowledged is kept.
   */
  #askInOrder(done: Promise<Sealed | undefined>, isLast: boolean, isCut?: true): void {
    this.#asked = held(
      this.#asked.then(async () => {
        const sealed = await done;
        if (isLast && sealed === undefined) this.#isCutOff = true;
        if (sealed !== undefined && !this.#isCutOff)
          this.#sealWithWarden(isCut === undefined ? sealed : { ...sealed, isCut });
      }),
    );
  }

  /** The upload was let go: what is durable later is sealed no more. */
  cutOff(): void {
    this.#isCutOff = true;
  }

  /** Returns the next extent with its key, or undefined when the warden gives none; the upload has then failed. */
  async #beginExtent(): Promise<FreshExtent | undefined> {
    if (this.#failure !== undefined) return undefined;
    try {
      const { warden, session } = this.#context;
      return await warden.call('upload.begin-extent', { token: session.token, upload: this.#id });
    } catch (error) {
      this.fail(error);
      return undefined;
    }
  }

  /**
   * Hands a segment to the thread once the flow permits it. `done` resolves when its buffer is used no longer: with the
   * sealed extent when this was its last segment and the extent is stored; with undefined when it was not, or when the
   * upload has failed. Nothing rejects.
   */
  async #hand(
    segment: Detached,
    isLast: boolean,
    mayBeInline: boolean,
  ): Promise<{ readonly done: Promise<Sealed | undefined> }> {
    let sealing: Promise<Sealed | undefined> | undefined;
    try {
      if (this.#failure === undefined) {
        await this.#pacer.pass(segment.bytes.length);
        const fresh = await segment.fresh;
        if (fresh !== undefined) sealing = held(this.#seal(segment, fresh, isLast, mayBeInline));
      }
    } catch (error) {
      this.fail(error);
    }
    return { done: this.#done(sealing, segment) };
  }

  async #done(sealing: Promise<Sealed | undefined> | undefined, segment: Detached): Promise<Sealed | undefined> {
    try {
      return await sealing;
    } catch (error) {
      this.fail(error);
      return undefined;
    } finally {
      this.#context.filling.arrived(segment.heldBytes);
    }
  }

  async #seal(
    segment: Detached,
    fresh: FreshExtent,
    isLast: boolean,
    mayBeInline: boolean,
  ): Promise<Sealed | undefined> {
    const { store } = this.#context;
    const upload = this.#id;
    if (segment.isFirst) {
      const [key, context] = [Buffer.from(fresh.key, 'base64'), Buffer.from(fresh.context, 'base64')];
      const ticket = Buffer.from(fresh.ticket, 'base64');
      // The thread takes requests in their order, so the segment need not wait for this answer.
      detach(store.ask({ op: 'upload.extent', upload, key, context, ticket }), (error) => this.fail(error));
    }
    const { bytes } = segment;
    const result = await store.ask<SealedResult | undefined>(
      { op: 'upload.segment', upload, bytes, isLast, mayBeInline },
      [bytes.buffer as ArrayBuffer],
    );
    if (result === undefined) return undefined;
    const content =
      result.inline === undefined
        ? {
            durable: { digest: base64(result.durable.digest), acknowledgement: base64(result.durable.acknowledgement) },
          }
        : { inline: base64(result.inline) };
    return {
      index: fresh.index,
      objectId: fresh.objectId,
      bytes: segment.extentBytes,
      sealedBytes: result.sealedBytes,
      ...content,
    };
  }

  #sealWithWarden(extent: Sealed): void {
    const { warden, session } = this.#context;
    this.#backlog += sealWeight;
    const copiesBytes = inlineCopies * (extent.inline?.length ?? 0);
    this.#context.filling.sentMore(copiesBytes);
    const sealing = warden
      .call('upload.seal-extent', { token: session.token, upload: this.#id, extent })
      .then(() => {})
      .catch((error: unknown) => {
        this.#isCutOff = true;
        this.fail(error);
      })
      .then(() => this.#context.filling.arrived(copiesBytes));
    this.#seals = held(
      this.#seals.then(async () => {
        await sealing;
        this.#lighter(sealWeight);
      }),
    );
  }

  /**
   * Seals what was pushed so far, with the segment that is not full as the end of
   * an extent. Returns this last extent, which the caller reports to the warden.
   */
  async takeTail(): Promise<Sealed | undefined> {
    const segment = this.#detach(true);
    const sealed = this.#chain.then(async () =>
      segment === undefined ? undefined : (await this.#hand(segment, true, true)).done,
    );
    this.#chain = held(sealed.then(() => {}));
    const tail = await sealed;
    await this.#asked;
    await this.#seals;
    return tail;
  }

  /**
   * Makes everything that was pushed so far durable. More may be pushed
   * meanwhile. Throws the error of the pipeline when it has failed.
   */
  async sync(): Promise<void> {
    const segment = this.#detach(true);
    if (segment !== undefined) this.#fresh = held(segment.fresh.then(() => this.#beginExtent()));
    this.#chain = held(
      this.#chain.then(async () => {
        if (segment !== undefined) this.#askInOrder((await this.#hand(segment, true, true)).done, true);
      }),
    );
    await this.#chain;
    await this.#asked;
    await this.#seals;
    this.requireSound();
  }

  /** Returns the SHA-256 of all bytes, in hexadecimal. */
  digest(): Promise<string> {
    return this.#context.store.ask<string>({ op: 'upload.digest', upload: this.#id });
  }

  /**
   * Ends the pipeline. `stored` is what the warden reports as stored;
   * the running hash of exactly these bytes is kept for a resumption.
   */
  async end(stored: StoredPrefix | undefined): Promise<void> {
    if (this.#segment !== undefined) this.#context.filling.giveBack(this.#segment);
    this.#segment = undefined;
    this.#context.filling.leave(this);
    await this.#context.store
      .ask({ op: 'upload.end', upload: this.#id, stored })
      .catch((error: unknown) =>
        this.#context.node.log.info({ err: error }, 'the store thread could not end an upload'),
      );
  }
}
