// Owns: the way of an upload's bytes, in sequence: segments, the thread that hashes and seals, extents, the warden's word that they are durable.
// Must never: hold more than a few segments in memory, leave a rejected promise to nobody, or read state of its own after it has waited.
import { runtimePaths } from '../../config/config.ts';
import { held } from '../../domain/detached.ts';
import { type CofferdamError, toCofferdamError } from '../../domain/errors.ts';
import { extentPlainBytesMax, firstPlainBytes, laterPlainBytes, segmentBytes } from '../../extents/sealed-format.ts';
import type { FreshExtent } from '../../rpc/edge-warden.ts';
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
  /** Ended by us, for want of room. */
  readonly isCut?: true;
};
/** An extent as the warden gives it for reading back. */
export type Stored = {
  readonly objectId: string;
  readonly key: string;
  readonly context: string;
  readonly bytes: number;
  readonly inline?: string | undefined;
};
/** A segment that was detached from what is being filled: nothing that comes later touches it. */
type Detached = {
  readonly bytes: Buffer;
  /** Of its buffer, which is in the account. */
  readonly heldBytes: number;
  readonly isFirst: boolean;
  /** Of the extent so far, this segment included. */
  readonly extentBytes: number;
  readonly fresh: Promise<FreshExtent | undefined>;
};

/** Segments given to the thread and not yet sealed, above which the client is held back. */
const backlogSegmentsMax = 16;
/** An extent that the warden is making durable counts as so many: at most three at once. */
const sealWeight = 5;
/** The ciphertext of an extent that goes into its row, as text, as a message, and as what the socket takes. */
const inlineCopies = 3;

export class UploadPipeline implements Filler {
  readonly #context: UploadContext;
  readonly #id: string;
  readonly #pacer: Pacer;
  readonly #onRoom: () => void;
  /** Everything that must happen in order: hashing what is stored, segments, extents. Never rejected, like every promise that is kept here. */
  #chain: Promise<void> = Promise.resolve();
  #seals: Promise<void> = Promise.resolve();
  #fresh: Promise<FreshExtent | undefined> = Promise.resolve(undefined);
  #backlog = 0;
  #failure: CofferdamError | undefined;
  #segment: Buffer | undefined;
  #filled = 0;
  /** The segment before was filled: this is no upload of a few bytes. */
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

  /** What broke it, for good. */
  get failure(): CofferdamError | undefined {
    return this.#failure;
  }

  /** Too much waits here, or in this session. */
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
    if (this.#failure === undefined && error.code === 'bug') this.#context.node.log.error({ err: thrown }, 'an upload failed');
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

  /** Begins (once more) at the end of what is stored: the SHA-256 of the whole is known here, or made by reading that back, on the record. */
  begin({ storedBytes, lastObject }: StoredPrefix, firstExtent: FreshExtent): void {
    this.#fresh = Promise.resolve(firstExtent);
    const hashed = this.#chain.then(async () => {
      const isKnown = await this.#context.store.ask<boolean>({ op: 'upload.begin', upload: this.#id, lastObject, storedBytes });
      if (!isKnown) await this.#hashStored(storedBytes);
    });
    this.#chain = held(hashed.catch((error: unknown) => this.fail(error)));
  }

  async #hashStored(storedBytes: number): Promise<void> {
    const { warden, session, store } = this.#context;
    for (let done = 0, index = 0; done < storedBytes; index += 1) {
      const extent = await warden.callRepeatable('upload.verify-extent', { token: session.token, upload: this.#id, index });
      await store.ask({ op: 'upload.verify', upload: this.#id, source: this.source(extent) });
      done += extent.bytes;
    }
  }

  source(extent: Stored): Source {
    return {
      key: Buffer.from(extent.key, 'base64'),
      context: Buffer.from(extent.context, 'base64'),
      plainBytes: extent.bytes,
      path: objectFile(runtimePaths(this.#context.node.config).objects, extent.objectId),
      ...(extent.inline === undefined ? {} : { inline: Buffer.from(extent.inline, 'base64') }),
    };
  }

  #capacity(): number {
    return this.#segmentsOfExtent === 0 ? firstPlainBytes : laterPlainBytes;
  }

  /** Takes the next bytes of the file. They are copied. */
  push(slice: Buffer): void {
    let rest = slice;
    while (rest.length > 0) {
      // A full segment goes only when another byte follows: only then it is known not to be the last.
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

  /** The current segment, in a buffer for at least `bytes`: a file of a few bytes keeps no whole one, and a large file copies none twice. */
  #roomFor(bytes: number): Buffer {
    const { filling } = this.#context;
    if (this.#segment === undefined) this.#segment = filling.take(this.#isFlowing ? segmentBytes : bytes);
    else if (this.#segment.length < bytes) this.#segment = filling.move(this.#segment, this.#filled, bytes);
    return this.#segment;
  }

  /** Takes the current segment out; what is pushed from now on fills another one, behind it. `isLast`: of its extent. */
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

  /** Hands the current segment to the thread; the last of an extent seals it with the warden, beside the next extent's segments. */
  #sendSegment(isLast: boolean, mayBeInline = false, isCut?: true): void {
    const segment = this.#detach(isLast);
    if (segment === undefined) return;
    if (isLast) this.#fresh = held(segment.fresh.then(() => this.#beginExtent()));
    this.#backlog += 1;
    this.#chain = held(
      this.#chain.then(async () => {
        const sealed = await this.#sealed(segment, isLast, mayBeInline);
        if (sealed !== undefined) this.#sealWithWarden(isCut === undefined ? sealed : { ...sealed, isCut });
        this.#lighter(1);
      }),
    );
  }

  /** The next extent's key; undefined when the warden gives none: the upload has failed then. */
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

  /** Never rejects. undefined: the extent is not at its end, or the upload has failed. */
  async #sealed(segment: Detached, isLast: boolean, mayBeInline: boolean): Promise<Sealed | undefined> {
    try {
      if (this.#failure !== undefined) return undefined;
      await this.#pacer.pass(segment.bytes.length);
      const fresh = await segment.fresh;
      return fresh === undefined ? undefined : await this.#seal(segment, fresh, isLast, mayBeInline);
    } catch (error) {
      this.fail(error);
      return undefined;
    } finally {
      this.#context.filling.arrived(segment.heldBytes);
    }
  }

  async #seal(segment: Detached, fresh: FreshExtent, isLast: boolean, mayBeInline: boolean): Promise<Sealed | undefined> {
    const { store, node } = this.#context;
    const upload = this.#id;
    if (segment.isFirst) {
      const path = `${runtimePaths(node.config).incoming(node.node)}/${fresh.objectId}`;
      const [key, context] = [Buffer.from(fresh.key, 'base64'), Buffer.from(fresh.context, 'base64')];
      await store.ask({ op: 'upload.extent', upload, key, context, path });
    }
    const { bytes } = segment;
    const result = await store.ask<SealedResult | undefined>({ op: 'upload.segment', upload, bytes, isLast, mayBeInline }, [
      bytes.buffer as ArrayBuffer,
    ]);
    if (result === undefined) return undefined;
    const inline = result.inline === undefined ? {} : { inline: Buffer.from(result.inline).toString('base64') };
    return { index: fresh.index, objectId: fresh.objectId, bytes: segment.extentBytes, sealedBytes: result.sealedBytes, ...inline };
  }

  #sealWithWarden(extent: Sealed): void {
    const { warden, session } = this.#context;
    this.#backlog += sealWeight;
    const copiesBytes = inlineCopies * (extent.inline?.length ?? 0);
    this.#context.filling.sentMore(copiesBytes);
    const sealing = warden
      .call('upload.seal-extent', { token: session.token, upload: this.#id, extent })
      .then(() => {})
      .catch((error: unknown) => this.fail(error))
      .then(() => this.#context.filling.arrived(copiesBytes));
    this.#seals = held(
      this.#seals.then(async () => {
        await sealing;
        this.#lighter(sealWeight);
      }),
    );
  }

  /** Seals what was pushed so far, the unfilled segment as the end of an extent. That last extent is the caller's to tell the warden of. */
  async takeTail(): Promise<Sealed | undefined> {
    const segment = this.#detach(true);
    const sealed = this.#chain.then(() => segment && this.#sealed(segment, true, true));
    this.#chain = held(sealed.then(() => {}));
    const tail = await sealed;
    await this.#seals;
    return tail;
  }

  /** Makes everything that was pushed so far durable; more may be pushed meanwhile. Throws when it is not. */
  async sync(): Promise<void> {
    const segment = this.#detach(true);
    if (segment !== undefined) this.#fresh = held(segment.fresh.then(() => this.#beginExtent()));
    this.#chain = held(
      this.#chain.then(async () => {
        const sealed = segment && (await this.#sealed(segment, true, true));
        if (sealed !== undefined) this.#sealWithWarden(sealed);
      }),
    );
    await this.#chain;
    await this.#seals;
    this.requireSound();
  }

  /** SHA-256 of the whole, hexadecimal. */
  digest(): Promise<string> {
    return this.#context.store.ask<string>({ op: 'upload.digest', upload: this.#id });
  }

  /** `stored`: what the warden said that is stored; the running hash of exactly that is worth keeping for a continuation. */
  async end(stored: StoredPrefix | undefined): Promise<void> {
    if (this.#segment !== undefined) this.#context.filling.giveBack(this.#segment);
    this.#segment = undefined;
    this.#context.filling.leave(this);
    await this.#context.store
      .ask({ op: 'upload.end', upload: this.#id, stored })
      .catch((error: unknown) => this.#context.node.log.info({ err: error }, 'the store thread did not forget an upload'));
  }
}
