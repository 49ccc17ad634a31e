// Owns: one file being written: sequence, segments, extents, and the close that acknowledges it.
// Must never: answer a CLOSE with OK before the warden has committed, or hold more than a few segments in memory.
import { runtimePaths } from '../../config/config.ts';
import { detach, held } from '../../domain/detached.ts';
import { CofferdamError, toCofferdamError } from '../../domain/errors.ts';
import { extentPlainBytesMax, firstPlainBytes, laterPlainBytes } from '../../extents/sealed-format.ts';
import type { FreshExtent } from '../../rpc/edge-warden.ts';
import type { EdgeNode, SftpSession, WardenCalls } from '../sftp-seam.ts';
import { objectFile } from './object-file.ts';
import type { Pacer, Pacers } from './pacer.ts';
import { type EarlyAccount, ReorderWindow } from './reorder.ts';
import type { SegmentShelf } from './segment-shelf.ts';
import type { StoreThread } from './store-thread.ts';
import type { SealedResult, Source } from './store-worker.ts';

export type UploadContext = {
  readonly node: EdgeNode;
  readonly session: SftpSession;
  readonly warden: WardenCalls;
  readonly store: StoreThread;
  readonly shelf: SegmentShelf;
  readonly buffers: EarlyAccount;
  readonly pacers: Pacers;
};
type Sealed = {
  readonly index: number;
  readonly objectId: string;
  readonly bytes: number;
  readonly sealedBytes: number;
  readonly inline?: string;
};

/** Segments given to the thread and not yet sealed, above which the client is held back. */
const backlogSegmentsMax = 16;
/** An extent that the warden is making durable counts as so many: at most three at once. */
const sealWeight = 5;

export class Upload {
  readonly #context: UploadContext;
  readonly #id: string;
  readonly #content: string;
  readonly #pacer: Pacer;
  readonly #reorder: ReorderWindow;
  readonly #appends: boolean;
  /** Everything that must happen in order: segments, extents. */
  #chain: Promise<void> = Promise.resolve();
  #seals: Promise<void> = Promise.resolve();
  #backlog = 0;
  #failure: CofferdamError | undefined;
  #isOver = false;
  #fresh: Promise<FreshExtent>;
  #segment: Buffer | undefined;
  #filled = 0;
  #segmentsOfExtent = 0;
  #extentBytes = 0;
  #hashKnown: Promise<boolean>;
  readonly #storedBytes: number;
  modifiedAt: number | undefined;
  onRoom: (() => void) | undefined;

  static async open(
    context: UploadContext,
    path: readonly string[],
    mode: { readonly continue: boolean; readonly exclusive: boolean; readonly appends: boolean },
  ): Promise<Upload> {
    const opened = await context.warden.call('upload.open', {
      token: context.session.token,
      path: [...path],
      continue: mode.continue,
      exclusive: mode.exclusive,
    });
    return new Upload(context, opened, mode.appends);
  }

  private constructor(
    context: UploadContext,
    opened: {
      readonly upload: string;
      readonly customer: string;
      readonly storedBytes: number;
      readonly content: string;
      readonly firstExtent: FreshExtent;
    },
    appends: boolean,
  ) {
    this.#context = context;
    this.#id = opened.upload;
    this.#content = opened.content;
    this.#pacer = context.pacers.get(opened.customer, 'in');
    this.#storedBytes = opened.storedBytes;
    this.#appends = appends;
    this.#reorder = new ReorderWindow(opened.storedBytes, context.node.config.limits.reorderWindowBytes, context.buffers);
    this.#fresh = Promise.resolve(opened.firstExtent);
    this.#hashKnown = held(
      context.store.ask<boolean>({ op: 'upload.begin', upload: this.#id, content: opened.content, storedBytes: opened.storedBytes }),
    );
    detach(this.#hashKnown, (error) => this.#fail(error));
    if (opened.storedBytes > 0) this.#chain = held(this.#hashStored());
  }

  /** Bytes of the file as its writer sees them. */
  get size(): number {
    return this.#reorder.position;
  }

  /** True while the client must be held back; `onRoom` follows. */
  get isFull(): boolean {
    return this.#backlog >= backlogSegmentsMax;
  }

  #fail(thrown: unknown): void {
    const error = toCofferdamError(thrown);
    if (this.#failure === undefined && error.code === 'bug') this.#context.node.log.error({ err: thrown }, 'an upload failed');
    this.#failure ??= error;
  }

  /** A continued upload gets the SHA-256 of the whole: what this process did not hash itself is read back and verified, on the record. */
  async #hashStored(): Promise<void> {
    try {
      if (await this.#hashKnown) return;
      const { warden, session, store, node } = this.#context;
      for (let done = 0, index = 0; done < this.#storedBytes; index += 1) {
        const extent = await warden.callRepeatable('upload.verify-extent', { token: session.token, upload: this.#id, index });
        const source: Source = {
          key: Buffer.from(extent.key, 'base64'),
          context: Buffer.from(extent.context, 'base64'),
          plainBytes: extent.bytes,
          path: objectFile(runtimePaths(node.config).objects, extent.objectId),
          ...(extent.inline === undefined ? {} : { inline: Buffer.from(extent.inline, 'base64') }),
        };
        await store.ask({ op: 'upload.verify', upload: this.#id, source });
        done += extent.bytes;
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Takes one WRITE; returns when its bytes are in the pipeline. Throws what the client is to be told. */
  write(offset: number, slices: readonly Buffer[]): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#isOver) throw new CofferdamError('conflict', 'the file is closed');
    for (const slice of this.#reorder.write(this.#appends ? this.#reorder.position : offset, slices)) this.#append(slice);
  }

  #capacity(): number {
    return this.#segmentsOfExtent === 0 ? firstPlainBytes : laterPlainBytes;
  }

  #append(slice: Buffer): void {
    let rest = slice;
    while (rest.length > 0) {
      // A full segment goes only when another byte follows: only then it is known not to be the last.
      if (this.#segment !== undefined && this.#filled === this.#capacity())
        this.#pushSegment(this.#extentBytes + this.#filled === extentPlainBytesMax);
      this.#segment ??= this.#context.store.takeBuffer();
      const count = Math.min(rest.length, this.#capacity() - this.#filled);
      rest.copy(this.#segment, this.#filled, 0, count);
      this.#filled += count;
      rest = rest.subarray(count);
    }
  }

  /** Hands the current segment to the thread; the last of an extent seals it with the warden, beside the next extent's segments. */
  #pushSegment(isLast: boolean): void {
    const segment = this.#segment;
    if (segment === undefined) return;
    const bytes = segment.subarray(0, this.#filled);
    const isFirst = this.#segmentsOfExtent === 0;
    const extentBytes = this.#extentBytes + this.#filled;
    const fresh = this.#fresh;
    this.#segment = undefined;
    this.#filled = 0;
    this.#segmentsOfExtent = isLast ? 0 : this.#segmentsOfExtent + 1;
    this.#extentBytes = isLast ? 0 : extentBytes;
    if (isLast) this.#fresh = held(this.#begin());
    this.#backlog += 1;
    const chained = this.#chain.then(async () => {
      try {
        if (this.#failure !== undefined) return;
        await this.#pacer.pass(bytes.length);
        const sealed = await this.#seal(await fresh, bytes, isFirst, isLast, false, extentBytes);
        if (sealed !== undefined) this.#sealWithWarden(sealed);
      } catch (error) {
        this.#fail(error);
      } finally {
        this.#backlog -= 1;
        this.onRoom?.();
      }
    });
    this.#chain = held(chained);
  }

  #begin(): Promise<FreshExtent> {
    const { warden, session } = this.#context;
    const next = warden.call('upload.begin-extent', { token: session.token, upload: this.#id });
    detach(next, (error) => this.#fail(error));
    return next;
  }

  async #seal(
    fresh: FreshExtent,
    bytes: Buffer,
    isFirst: boolean,
    isLast: boolean,
    mayBeInline: boolean,
    extentBytes: number,
  ): Promise<Sealed | undefined> {
    const { store, node } = this.#context;
    if (isFirst) {
      const path = `${runtimePaths(node.config).incoming(node.node)}/${fresh.objectId}`;
      await store.ask({
        op: 'upload.extent',
        upload: this.#id,
        key: Buffer.from(fresh.key, 'base64'),
        context: Buffer.from(fresh.context, 'base64'),
        path,
      });
    }
    const result = await store.ask<SealedResult | undefined>({ op: 'upload.segment', upload: this.#id, bytes, isLast, mayBeInline }, [
      bytes.buffer as ArrayBuffer,
    ]);
    if (result === undefined) return undefined;
    const inline = result.inline === undefined ? {} : { inline: Buffer.from(result.inline).toString('base64') };
    return { index: fresh.index, objectId: fresh.objectId, bytes: extentBytes, sealedBytes: result.sealedBytes, ...inline };
  }

  #sealWithWarden(extent: Sealed): void {
    const { warden, session } = this.#context;
    this.#backlog += sealWeight;
    const sealing = held(warden.call('upload.seal-extent', { token: session.token, upload: this.#id, extent }));
    const sealed = this.#seals.then(async () => {
      try {
        await sealing;
      } catch (error) {
        this.#fail(error);
      } finally {
        this.#backlog -= sealWeight;
        this.onRoom?.();
      }
    });
    this.#seals = held(sealed);
  }

  /** Everything given so far is sealed, except what `lastExtent` then carries: the tail, still to be told to the warden. */
  async #flush(): Promise<Sealed | undefined> {
    await this.#chain;
    let last: Sealed | undefined;
    if (this.#failure === undefined && this.#segment !== undefined && this.#filled > 0) {
      const bytes = this.#segment.subarray(0, this.#filled);
      await this.#pacer.pass(bytes.length);
      last = await this.#seal(await this.#fresh, bytes, this.#segmentsOfExtent === 0, true, true, this.#extentBytes + this.#filled);
      this.#segment = undefined;
      this.#filled = 0;
      this.#segmentsOfExtent = 0;
      this.#extentBytes = 0;
    }
    await this.#seals;
    return last;
  }

  /** Makes everything written so far durable. fsync@openssh.com. */
  async sync(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const last = await this.#flush();
    if (last !== undefined) {
      // Taken over or refused, there is no next extent: the next segment meets it, and until then it is nobody's emergency.
      this.#fresh = held(this.#fresh.then(() => this.#begin()));
      this.#sealWithWarden(last);
      await this.#seals;
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Commits the file. Resolves only when it is durable and recorded; then the client may hear OK. */
  async close(): Promise<void> {
    this.#isOver = true;
    const { warden, session, store } = this.#context;
    let isDone = false;
    try {
      if (this.#reorder.hasGap) throw new CofferdamError('conflict', 'a part of the file is missing; it stays incomplete');
      const lastExtent = await this.#flush();
      if (this.#failure !== undefined) throw this.#failure;
      const sha256 = await store.ask<string>({ op: 'upload.digest', upload: this.#id });
      // A repeated close is answered with what the first one did.
      await warden.callRepeatable('upload.close', {
        token: session.token,
        upload: this.#id,
        size: this.#reorder.position,
        sha256,
        ...(this.modifiedAt === undefined ? {} : { modifiedAt: this.modifiedAt }),
        ...(lastExtent === undefined ? {} : { lastExtent }),
      });
      isDone = true;
    } finally {
      this.#reorder.drop();
      // The content may be continued as long as nobody has read it: its hash is worth keeping.
      await store.ask({ op: 'upload.end', upload: this.#id, keep: isDone }).catch(() => {});
      if (!isDone) await this.#release(undefined);
    }
  }

  /** The client is gone in mid-file: what arrived in sequence is kept for a continuation. */
  async interrupt(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    const { store } = this.#context;
    try {
      const lastExtent = await this.#flush();
      await this.#release(this.#failure === undefined ? lastExtent : undefined);
    } finally {
      this.#reorder.drop();
      await store.ask({ op: 'upload.end', upload: this.#id, keep: this.#failure === undefined }).catch(() => {});
    }
  }

  async #release(lastExtent: Sealed | undefined): Promise<void> {
    const { warden, session, node } = this.#context;
    await warden
      .call('upload.interrupt', { token: session.token, upload: this.#id, ...(lastExtent === undefined ? {} : { lastExtent }) })
      .catch((error: unknown) =>
        node.log.info(
          { err: error, content: this.#content },
          'an interrupted upload could not be released; the end of its session does it',
        ),
      );
  }
}
