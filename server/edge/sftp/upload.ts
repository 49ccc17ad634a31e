// Owns: one file being written: what a WRITE, a size set by SETSTAT and an fsync mean for it, and the CLOSE that
// acknowledges it.
// Must never: answer a CLOSE with OK before the warden has committed,
// or call a file whole when anything was refused on its handle (T-31).
import { held } from '../../domain/detached.ts';
import { CofferdamError, type ErrorCode, toCofferdamError } from '../../domain/errors.ts';
import type { FreshExtent } from '../../rpc/edge-extents.ts';
import type { EdgeNode, SftpSession, WardenCalls } from '../seam/sftp-seam.ts';
import { copyBase } from './base-copy.ts';
import type { Closings } from './closings.ts';
import { beyondEveryFile } from './codec.ts';
import type { Filling } from './filling.ts';
import type { Pacers } from './pacer.ts';
import { type EarlyAccount, ReorderWindow } from './reorder.ts';
import type { SegmentShelf } from './segment-shelf.ts';
import type { StoreThread } from './store-thread.ts';
import type { Turns } from './turns.ts';
import { type Sealed, UploadPipeline } from './upload-pipeline.ts';

/** Throws `unsupported` for a size that no file gets which has `size` bytes already and is only written onward. */
export function requireNewSize(bytes: number, size: number): void {
  if (bytes >= beyondEveryFile) throw new CofferdamError('unsupported', 'no file is that large');
  if (bytes < size)
    throw new CofferdamError(
      'unsupported',
      'a file cannot be shortened; open it with truncation and write it from the start',
    );
}

export type UploadContext = {
  readonly node: EdgeNode;
  readonly session: SftpSession;
  readonly warden: WardenCalls;
  readonly store: StoreThread;
  readonly shelf: SegmentShelf;
  readonly buffers: EarlyAccount;
  readonly filling: Filling;
  readonly pacers: Pacers;
  readonly grants: Turns;
  readonly closings: Closings;
};
type Opened = {
  readonly upload: string;
  readonly customer: string;
  readonly storedBytes: number;
  readonly baseBytes?: number | undefined;
  readonly lastObject?: string | undefined;
  readonly firstExtent: FreshExtent;
};
/**
 * What existed when the file was opened. `partial` is an incomplete upload: this upload
 * resumes it at its end, or writes it anew from an earlier offset. It makes no file unless
 * something was written and the result is not shorter than what existed. `complete` is a
 * file: this upload continues it or writes over it, and what is not written over is kept.
 */
type Before = { readonly kind: 'nothing' | 'partial' | 'complete'; readonly bytes: number };
type Mode = {
  readonly continue: boolean;
  readonly exclusive: boolean;
  /** The client does not ask for a file to be made: one must be there. */
  readonly mustExist: boolean;
  readonly appends: boolean;
};

const nothingStored = { storedBytes: 0 };
/**
 * Codes that speak of one request only. What is refused later because of it is not malformed, unknown or forbidden
 * itself, and is answered with `conflict` and the same words.
 */
const ofOneRequest: ReadonlySet<ErrorCode> = new Set(['malformed', 'invalid', 'unsupported', 'denied', 'not-found']);

function before({ storedBytes, baseBytes }: Opened): Before {
  if (baseBytes !== undefined) return { kind: 'complete', bytes: baseBytes };
  return storedBytes > 0 ? { kind: 'partial', bytes: storedBytes } : { kind: 'nothing', bytes: 0 };
}

export class Upload {
  readonly #context: UploadContext;
  readonly #opened: Opened;
  readonly #appends: boolean;
  readonly #pipeline: UploadPipeline;
  #before: Before;
  #reorder: ReorderWindow;
  /**
   * True once it is decided where the upload begins. When nothing existed, that is at the opening; otherwise at the
   * first non-empty WRITE, or when the client sets the size to 0.
   */
  #isStarted: boolean;
  /**
   * Defined while the beginning of the upload is prepared: the warden is asked to begin it anew, or existing bytes are
   * being copied. What is written meanwhile waits in `#waitingSlices`. This promise never rejects.
   */
  #preparing: Promise<void> | undefined;
  #waitingSlices: Buffer[] = [];
  /** The first error that refused anything on this handle. The handle can no longer become a file. */
  #refusal: CofferdamError | undefined;
  #announcedBytes = 0;
  #isOver = false;
  #isLeft = false;
  #waiting: (() => void)[] = [];
  modifiedAt: number | undefined;
  onRoom: (() => void) | undefined;

  static async open(context: UploadContext, path: readonly string[], mode: Mode): Promise<Upload> {
    const opened = await context.warden.call('upload.open', {
      token: context.session.token,
      path: [...path],
      continue: mode.continue,
      exclusive: mode.exclusive,
      mustExist: mode.mustExist,
    });
    return new Upload(context, opened, mode.appends);
  }

  /** An upload that the warden has opened already. */
  static of(context: UploadContext, opened: Opened): Upload {
    return new Upload(context, opened, false);
  }

  private constructor(context: UploadContext, opened: Opened, appends: boolean) {
    this.#context = context;
    this.#opened = opened;
    this.#appends = appends;
    this.#before = before(opened);
    this.#reorder = this.#windowFrom(opened.storedBytes);
    this.#pipeline = new UploadPipeline(context, opened.upload, opened.customer, () => this.#wake());
    this.#isStarted = this.#before.kind === 'nothing';
    if (this.#isStarted) this.#pipeline.begin(nothingStored, opened.firstExtent);
  }

  /** The name under which the warden knows the upload. */
  get id(): string {
    return this.#opened.upload;
  }

  /** Whether a READ at this offset finds nothing, because the file has ended there so far. */
  isBehindEnd(offset: number): boolean {
    return offset >= this.size && !this.#reorder.hasGap;
  }

  /** The size of the file in bytes, as its writer sees it. */
  get size(): number {
    return Math.max(this.#reorder.position, this.#before.bytes);
  }

  /** True while the client must be held back. `onRoom` is called afterwards. */
  get isFull(): boolean {
    return this.#preparing !== undefined || this.#pipeline.isFull;
  }

  /** Resolves when more may be written. Rejects with `conflict` when the upload ends before. */
  async room(): Promise<void> {
    while (this.isFull) {
      if (this.#isOver) throw new CofferdamError('conflict', 'the file is closed');
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** Wakes everybody who waits for room: there may be room, or nothing to wait for any more. */
  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
    this.onRoom?.();
  }

  /**
   * Records that something on this handle was refused. Whatever follows,
   * it makes no file, and every later request is answered with the words of this error.
   */
  refuse(thrown: unknown): void {
    const { code, message } = toCofferdamError(thrown);
    this.#refusal ??= ofOneRequest.has(code) ? new CofferdamError('conflict', message) : toCofferdamError(thrown);
  }

  #windowFrom(position: number): ReorderWindow {
    return new ReorderWindow(position, this.#context.node.limits.reorderWindowBytes, this.#context.buffers);
  }

  #requireSound(): void {
    if (this.#refusal !== undefined) throw this.#refusal;
    this.#pipeline.requireSound();
    if (this.#isOver) throw new CofferdamError('conflict', 'the file is closed');
  }

  /** Whether a WRITE at this offset is the next in sequence, and nothing stands between it and the pipeline. */
  isNext(offset: number): boolean {
    if (this.#refusal !== undefined || this.#pipeline.failure !== undefined || this.#isOver) return false;
    if (!this.#isStarted || this.#preparing !== undefined || this.#reorder.hasGap) return false;
    return (this.#appends ? this.size : offset) === this.#reorder.position;
  }

  /**
   * Takes one WRITE, and returns when its bytes are in the pipeline.
   * Throws what the client is to be told; the handle makes no file then.
   */
  write(offset: number, slices: readonly Buffer[]): void {
    try {
      this.#requireSound();
      if (slices.every((slice) => slice.length === 0)) return;
      const at = this.#appends ? this.size : offset;
      this.#start(at);
      const ready = this.#reorder.write(at, slices);
      // The slices are copied, because they may wait for long and belong to buffers that are much larger.
      if (this.#preparing !== undefined) this.#waitingSlices.push(...ready.map((slice) => Buffer.from(slice)));
      else for (const slice of ready) this.#pipeline.push(slice);
    } catch (error) {
      this.refuse(error);
      throw error;
    }
  }

  /**
   * Handles a size that the client sets. A size that is not smaller than the file is a promise that CLOSE
   * checks. A size of 0 before the first WRITE begins the file anew. Throws `unsupported` for any other size.
   */
  resize(bytes: number): void {
    try {
      this.#requireSound();
      const isCut = bytes === 0 && !this.#isStarted;
      if (!isCut) requireNewSize(bytes, this.size);
      this.#announcedBytes = bytes;
      if (!isCut) return;
      this.#isStarted = true;
      this.#before = { kind: 'nothing', bytes: 0 };
      this.#reorder = this.#windowFrom(0);
      this.#prepare(() => this.#rewrite(true));
    } catch (error) {
      this.refuse(error);
      throw error;
    }
  }

  /**
   * Decides at the first WRITE how the upload begins. On an incomplete upload, a WRITE at or beyond its
   * end resumes it, and a WRITE at an earlier offset begins it anew. On a complete file a version of
   * its own begins. In the last two cases the bytes before the WRITE are copied from what was there.
   */
  #start(at: number): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    const { firstExtent } = this.#opened;
    const { kind, bytes } = this.#before;
    if (kind === 'partial' && at >= bytes) return this.#pipeline.begin(this.#opened, firstExtent);
    const from = Math.min(at, bytes);
    this.#reorder = this.#windowFrom(from);
    this.#prepare(async () => {
      if (kind === 'partial') await this.#rewrite(false);
      else this.#pipeline.begin(nothingStored, firstExtent);
      await copyBase(this.#context, this.#opened.upload, this.#pipeline, 0, from);
    });
  }

  async #rewrite(cut: boolean): Promise<void> {
    const { warden, session } = this.#context;
    const anew = await warden.call('upload.rewrite', { token: session.token, upload: this.#opened.upload, cut });
    this.#pipeline.begin(nothingStored, anew.firstExtent);
  }

  #prepare(work: () => Promise<void>): void {
    const done = work().catch((error: unknown) => this.#pipeline.fail(error));
    this.#preparing = held(
      done.then(() => {
        const waiting = this.#waitingSlices;
        this.#waitingSlices = [];
        this.#preparing = undefined;
        for (const slice of waiting) this.#pipeline.push(slice);
        this.#wake();
      }),
    );
  }

  /**
   * Makes durable every byte that was written in sequence so far (fsync@openssh.com). Bytes that arrived beyond a gap
   * stay in memory.
   */
  async sync(): Promise<void> {
    try {
      this.#requireSound();
      // When nothing is being prepared, the pipeline takes out what was pushed before this turn of the event loop ends,
      // so that later WRITEs are no part of it.
      if (this.#preparing !== undefined) await this.#preparing;
      await this.#pipeline.sync();
    } catch (error) {
      this.refuse(error);
      throw error;
    }
  }

  /** Commits the file. Resolves only when the file is durable and recorded; then the client may be told OK. */
  async close(): Promise<void> {
    this.#isOver = true;
    let tail: Sealed | undefined;
    let isDone = false;
    try {
      await this.#preparing;
      this.#requireWhole();
      if (!this.#isStarted) return await this.#leave();
      const { upload } = this.#opened;
      if (this.#before.kind === 'complete')
        await copyBase(this.#context, upload, this.#pipeline, this.#reorder.position, this.#before.bytes);
      tail = await this.#pipeline.takeTail();
      this.#requireWhole();
      await this.#commit(tail);
      isDone = true;
    } finally {
      this.#reorder.drop();
      if (isDone || this.#isLeft) await this.#pipeline.end(undefined);
      else await this.#letGo(tail);
    }
  }

  /**
   * Ends a handle on a complete file that was not changed. The file
   * stays what it was, if it still exists, which only the warden knows.
   */
  async #leave(): Promise<void> {
    const { warden, session } = this.#context;
    await warden.call('upload.interrupt', { token: session.token, upload: this.#opened.upload });
    this.#isLeft = true;
  }

  async #commit(lastExtent: Sealed | undefined): Promise<void> {
    const { warden, session } = this.#context;
    const sha256 = await this.#pipeline.digest();
    // A repeated close is answered with the result of the first one.
    await warden.callRepeatable('upload.close', {
      token: session.token,
      upload: this.#opened.upload,
      whole: true,
      size: this.size,
      sha256,
      ...(this.modifiedAt === undefined ? {} : { modifiedAt: this.modifiedAt }),
      ...(lastExtent === undefined ? {} : { lastExtent }),
    });
  }

  /**
   * Applies the whole-file rule (T-31): no file is made when anything was refused on the handle, when a part is
   * missing, or of an incomplete upload to which nothing was added. Throws what the client is to be told.
   */
  #requireWhole(): void {
    // A complete file to which nothing was written yet stays complete.
    const isIncomplete = this.#isStarted || this.#before.kind !== 'complete';
    const stays = (code: CofferdamError['code'], why: string): CofferdamError =>
      new CofferdamError(code, isIncomplete ? `${why}; the file stays incomplete and can be resumed` : why);
    const refused = this.#refusal ?? this.#pipeline.failure;
    if (refused !== undefined) throw stays(refused.code, refused.message);
    if (this.#reorder.hasGap) throw stays('conflict', 'a part of the file is missing');
    if (this.size < this.#announcedBytes)
      throw stays('conflict', `${this.#announcedBytes} bytes were announced and the file has ${this.size}`);
    if (this.#before.kind !== 'partial') return;
    if (!this.#isStarted) throw stays('conflict', 'nothing was added');
    if (this.#reorder.position < this.#before.bytes)
      throw stays(
        'conflict',
        'fewer bytes were written than the incomplete file already had: remove it first, or open it with truncation',
      );
  }

  /**
   * Interrupts the upload, because the client or its session is gone in the
   * middle of the file. What arrived in sequence is kept for a resumption.
   */
  async interrupt(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#wake();
    try {
      await this.#preparing;
      await this.#letGo(undefined);
    } finally {
      this.#reorder.drop();
    }
  }

  /**
   * Interrupts the upload in the warden. `tail` is an extent that was already sealed and that the warden does not know.
   */
  async #letGo(tail: Sealed | undefined): Promise<void> {
    const { warden, session, node } = this.#context;
    const lastExtent = this.#pipeline.failure === undefined ? (tail ?? (await this.#pipeline.takeTail())) : undefined;
    const isSound = this.#pipeline.failure === undefined;
    this.#pipeline.cutOff();
    // The running hash is kept only for the bytes that the warden reports as
    // stored, because another upload may have taken the place of this one.
    const stored = await warden
      .call('upload.interrupt', {
        token: session.token,
        upload: this.#opened.upload,
        ...(lastExtent === undefined || !isSound ? {} : { lastExtent }),
      })
      .catch((error: unknown) => {
        node.log.info(
          { err: error, upload: this.#opened.upload },
          'an interrupted upload could not be released; the end of its session does it',
        );
        return undefined;
      });
    await this.#pipeline.end(isSound ? stored : undefined);
  }
}
