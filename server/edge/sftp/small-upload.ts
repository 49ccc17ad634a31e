// Owns: a file that was offered to be stored in one call: its bytes stay in memory until CLOSE. Whatever is not the
// plain case turns it into an upload like any other (upload.ts), which then goes on with it: more bytes, bytes out of
// sequence, a size that is set, an fsync, something refused, a request about its name, or the end of the offer.
// Must never: answer a CLOSE with OK before the warden has committed, or keep bytes that no account counts (T-34).
import { createHash } from 'node:crypto';
import { held } from '../../domain/detached.ts';
import { CofferdamError, toCofferdamError } from '../../domain/errors.ts';
import { parsePath, type VirtualPath } from '../../domain/paths.ts';
import { tagBytes } from '../../extents/in-place.ts';
import { headerBytes, SegmentSealer } from '../../extents/sealed-format.ts';
import type { EdgeToWarden } from '../../rpc/edge-warden.ts';
import { inlineExtentBytesMax } from '../../rpc/edge-words.ts';
import type { Params, Result } from '../../rpc/operation.ts';
import type { FieldReader } from './codec.ts';
import { type Filler, fitting } from './filling.ts';
import { overwriting, tooFar } from './reorder.ts';
import { requireNewSize, Upload, type UploadContext } from './upload.ts';
import { inlineCopies } from './upload-pipeline.ts';

type Offer = Extract<Result<EdgeToWarden, 'upload.offer'>, { outcome: 'offer' }>;
type Mode = Parameters<typeof Upload.open>[2];
/** What the session needs of a file that is open for writing. */
export type WritableFile = Pick<
  Upload,
  | 'id'
  | 'size'
  | 'isBehindEnd'
  | 'isFull'
  | 'room'
  | 'refuse'
  | 'isNext'
  | 'write'
  | 'resize'
  | 'sync'
  | 'close'
  | 'interrupt'
  | 'modifiedAt'
  | 'onRoom'
>;

/** Opens a path for writing: as an offer where the warden makes one, otherwise as an upload. */
export async function openForWriting(context: UploadContext, path: VirtualPath, mode: Mode): Promise<WritableFile> {
  // What must exist is gone on from, or refused.
  if (mode.appends || mode.mustExist) return Upload.open(context, path, mode);
  const answer = await context.warden.call('upload.offer', {
    token: context.session.token,
    path: [...path],
    continue: mode.continue,
    exclusive: mode.exclusive,
  });
  return answer.outcome === 'offer' ? new SmallUpload(context, path, answer) : Upload.of(context, answer);
}

/** Returns whether one of two paths is the other one, or above it. */
const isRelated = (a: VirtualPath, b: VirtualPath): boolean =>
  a.slice(0, Math.min(a.length, b.length)).every((name, i) => name === b[i]);

/** Reads the paths that a request about names begins with. What is no path is refused where it is used. */
function pathsOf(fields: FieldReader, count: number): readonly VirtualPath[] {
  try {
    return Array.from({ length: count }, () => parsePath(fields.string()));
  } catch {
    return [];
  }
}

/** The requests that begin with two paths, and those to which it is all the same what a path names. */
const withTwoPaths: ReadonlySet<string> = new Set(['rename', 'posix-rename']);
const indifferent: ReadonlySet<string> = new Set(['realpath', 'statvfs', 'limits']);

/**
 * Makes sure that a request about names finds the files that this session is writing there as the catalogue has them:
 * what is only offered becomes an upload first. `fields` begins with the first path.
 */
export async function turnNamed(writing: Iterable<WritableFile>, name: string, fields: FieldReader): Promise<void> {
  if (indifferent.has(name)) return;
  const small = [...writing].filter((file) => file instanceof SmallUpload).filter((file) => file.isOffer);
  if (small.length === 0) return;
  const paths = pathsOf(fields, withTwoPaths.has(name) ? 2 : 1);
  await Promise.all(
    small.filter((file) => paths.some((path) => isRelated(path, file.path))).map((file) => file.turned()),
  );
}

class SmallUpload implements WritableFile, Filler {
  readonly path: VirtualPath;
  readonly #context: UploadContext;
  readonly #offer: Offer;
  /** The end of the life of the offer. */
  readonly #timer: NodeJS.Timeout;
  #buffer: Buffer | undefined;
  #filled = 0;
  /** True from the CLOSE on: nothing but the CLOSE itself turns the file into an upload any more. */
  #isClosing = false;
  /** True when the file should have become an upload and could not. */
  #hasFailed = false;
  /** What was said to the warden in a put. */
  #said: Params<EdgeToWarden, 'upload.put'> | undefined;
  #modifiedAt: number | undefined;
  #onRoom: (() => void) | undefined;
  /** The upload that this file was turned into. */
  #upload: Upload | undefined;
  #turning: Promise<void> | undefined;
  /** What was asked while the file was being turned into an upload, in order. */
  #later: ((upload: Upload) => void)[] = [];
  #waiting: (() => void)[] = [];
  #laterBytes = 0;
  /** The first error that refused anything on this handle, or because of which it could not be turned. */
  #refusal: CofferdamError | undefined;
  #isOver = false;

  constructor(context: UploadContext, path: VirtualPath, offer: Offer) {
    this.path = path;
    this.#context = context;
    this.#offer = offer;
    this.#timer = setTimeout(() => this.#turn(), offer.lifeMs);
    this.#timer.unref();
    context.filling.join(this);
  }

  /** True while the catalogue knows nothing of the file. */
  get isOffer(): boolean {
    return this.#upload === undefined && !this.#isOver;
  }

  get id(): string {
    return this.#upload?.id ?? this.#offer.upload;
  }

  isBehindEnd(offset: number): boolean {
    return this.#upload === undefined ? offset >= this.size : this.#upload.isBehindEnd(offset);
  }

  get size(): number {
    return this.#upload?.size ?? this.#filled + this.#laterBytes;
  }

  get modifiedAt(): number | undefined {
    return this.#upload === undefined ? this.#modifiedAt : this.#upload.modifiedAt;
  }

  set modifiedAt(seconds: number | undefined) {
    this.#modifiedAt = seconds;
    if (this.#upload !== undefined) this.#upload.modifiedAt = seconds;
  }

  get onRoom(): (() => void) | undefined {
    return this.#onRoom;
  }

  set onRoom(call: (() => void) | undefined) {
    this.#onRoom = call;
    if (this.#upload !== undefined) this.#upload.onRoom = call;
  }

  get isFull(): boolean {
    if (this.#upload !== undefined) return this.#upload.isFull;
    // When no upload could begin, everything is answered with the reason, and there is nothing to wait for.
    if (this.#hasFailed) return false;
    return this.#turning !== undefined || this.#context.filling.isFull;
  }

  async room(): Promise<void> {
    while (this.#upload === undefined && this.isFull) {
      if (this.#isOver) throw new CofferdamError('conflict', 'the file is closed');
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    await this.#upload?.room();
  }

  /** The number of bytes that could be sealed early. What is on its way into an upload is not. */
  get filledBytes(): number {
    return this.#turning === undefined && !this.#isClosing ? this.#filled : 0;
  }

  fit(): void {
    const { filling } = this.#context;
    if (this.#buffer !== undefined && this.#filled === 0) this.#giveBack();
    else if (this.#buffer !== undefined && this.#buffer.length > fitting(this.#filled))
      this.#buffer = filling.move(this.#buffer, this.#filled, this.#filled);
  }

  seal(): void {
    // The bytes of a file that is being closed leave with its put.
    if (!this.#isClosing) this.#turn();
  }

  wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
    if (this.#upload === undefined) this.#onRoom?.();
  }

  #requireSound(): void {
    if (this.#refusal !== undefined) throw this.#refusal;
    if (this.#isOver) throw new CofferdamError('conflict', 'the file is closed');
  }

  /** Has an upload do this: at once, or when the file has been turned into one. */
  #withUpload(work: (upload: Upload) => void): void {
    if (this.#upload !== undefined) return work(this.#upload);
    // Nobody would ever take it up.
    if (this.#hasFailed) return;
    this.#later.push(work);
    this.#turn();
  }

  refuse(thrown: unknown): void {
    // What is refused later because of it is neither malformed nor forbidden itself.
    this.#refusal ??= new CofferdamError('conflict', toCofferdamError(thrown).message);
    this.#withUpload((upload) => upload.refuse(thrown));
  }

  isNext(offset: number): boolean {
    if (this.#upload !== undefined) return this.#upload.isNext(offset);
    return this.#turning === undefined && this.#refusal === undefined && !this.#isOver && offset === this.#filled;
  }

  write(offset: number, slices: readonly Buffer[]): void {
    if (this.#upload !== undefined) return this.#upload.write(offset, slices);
    this.#requireSound();
    const bytes = slices.reduce((sum, slice) => sum + slice.length, 0);
    if (bytes === 0) return;
    // What no upload would take is refused at once, and not when the file was turned into one.
    const isTooFar = offset + bytes > this.size + this.#context.node.limits.reorderWindowBytes;
    if (offset < this.#filled || isTooFar) {
      const error = isTooFar ? tooFar() : overwriting();
      this.refuse(error);
      throw error;
    }
    const fits = offset === this.#filled && this.#filled + bytes <= inlineExtentBytesMax;
    if (this.#turning === undefined && fits) return this.#keep(slices, bytes);
    this.#turn();
    // The slices are copied, because they wait, and belong to buffers that are much larger.
    const own = Buffer.concat(slices);
    this.#laterBytes += bytes;
    this.#context.filling.sentMore(bytes);
    this.#later.push((upload) => {
      this.#laterBytes -= bytes;
      this.#context.filling.arrived(bytes);
      upload.write(offset, [own]);
    });
  }

  #keep(slices: readonly Buffer[], bytes: number): void {
    const { filling } = this.#context;
    const needed = this.#filled + bytes;
    if (this.#buffer === undefined) this.#buffer = filling.take(needed);
    else if (this.#buffer.length < needed) this.#buffer = filling.move(this.#buffer, this.#filled, needed);
    for (const slice of slices) this.#filled += slice.copy(this.#buffer, this.#filled);
    filling.relieve();
  }

  resize(bytes: number): void {
    if (this.#upload !== undefined) return this.#upload.resize(bytes);
    try {
      this.#requireSound();
      requireNewSize(bytes, this.size);
    } catch (error) {
      this.refuse(error);
      throw error;
    }
    this.#withUpload((upload) => upload.resize(bytes));
  }

  /**
   * Turns the file into an upload, once. Never rejects: when it fails, every later request is answered with the error.
   */
  turned(): Promise<void> {
    this.#turn();
    return this.#turning ?? Promise.resolve();
  }

  #turn(): void {
    if (this.#turning !== undefined || this.#isOver) return;
    clearTimeout(this.#timer);
    this.#turning = held(this.#begin());
  }

  async #begin(): Promise<void> {
    const { warden, session } = this.#context;
    const { upload: offer, standing } = this.#offer;
    try {
      const opened = await warden.call('upload.begin', {
        token: session.token,
        upload: offer,
        path: [...this.path],
        standing,
      });
      this.#become(Upload.of(this.#context, opened));
    } catch (error) {
      this.#hasFailed = true;
      this.#refusal ??= toCofferdamError(error);
      this.#later = [];
      this.#context.filling.arrived(this.#laterBytes);
      this.#laterBytes = 0;
    } finally {
      this.#giveBack();
      this.#context.filling.leave(this);
      this.wake();
      this.#onRoom?.();
    }
  }

  /** Hands everything over, in the order in which it came. What the upload refuses, it remembers. */
  #become(upload: Upload): void {
    upload.modifiedAt = this.#modifiedAt;
    upload.onRoom = this.#onRoom;
    const work = this.#later;
    this.#later = [];
    this.#upload = upload;
    const handed = (one: () => void): void => {
      try {
        one();
      } catch (error) {
        upload.refuse(error);
      }
    };
    if (this.#buffer !== undefined) {
      const bytes = this.#buffer.subarray(0, this.#filled);
      handed(() => upload.write(0, [bytes]));
    }
    for (const one of work) handed(() => one(upload));
  }

  #giveBack(): void {
    if (this.#buffer !== undefined) this.#context.filling.giveBack(this.#buffer);
    this.#buffer = undefined;
  }

  async sync(): Promise<void> {
    await this.turned();
    if (this.#upload === undefined) throw this.#failure();
    await this.#upload.sync();
  }

  /** Why there is no upload. */
  #failure(): CofferdamError {
    return this.#refusal ?? new CofferdamError('conflict', 'the file is closed');
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    if (this.#turning === undefined) {
      clearTimeout(this.#timer);
      const isStored = await this.#put();
      if (isStored) return;
    }
    await this.turned();
    this.#isOver = true;
    if (this.#upload !== undefined) return this.#upload.close();
    // The put may have been under way when its warden ended, and no upload begins because its file is there by now.
    if (this.#said === undefined || !(await this.#wasStored(this.#said))) throw this.#failure();
  }

  /** Whether a put that was sent before stored the file after all. Nothing is stored by asking. */
  async #wasStored(said: Params<EdgeToWarden, 'upload.put'>): Promise<boolean> {
    try {
      await this.#context.warden.callRepeatable('upload.put', said);
      return true;
    } catch (error) {
      if (toCofferdamError(error).code !== 'not-found') throw error;
      return false;
    }
  }

  /**
   * Stores the file in one call. Returns false when the offer is over, so that the file has to be uploaded like any
   * other; nothing was stored then. Meanwhile the handle is closed, and nothing else is asked on it.
   */
  async #put(): Promise<boolean> {
    const { warden, session, pacers, filling } = this.#context;
    let copiesBytes = 0;
    let isStored = true;
    try {
      this.#requireSound();
      await pacers.get(this.#offer.customer, 'in').pass(this.#filled);
      this.#requireSound();
      const { sha256, extent } = this.#sealed();
      copiesBytes = inlineCopies * (extent?.inline.length ?? 0);
      filling.sentMore(copiesBytes);
      this.#said = {
        token: session.token,
        upload: this.#offer.upload,
        whole: true,
        size: this.#filled,
        sha256,
        ...(this.#modifiedAt === undefined ? {} : { modifiedAt: this.#modifiedAt }),
        ...(extent === undefined ? {} : { extent }),
      };
      // A repeated put is answered with the result of the first one.
      await warden.callRepeatable('upload.put', this.#said);
    } catch (error) {
      if (toCofferdamError(error).code !== 'not-found') throw error;
      isStored = false;
    } finally {
      filling.arrived(copiesBytes);
      // An upload takes the bytes over, unless there was an answer.
      if (isStored) this.#end();
    }
    return isStored;
  }

  #sealed() {
    const bytes = this.#filled;
    const plain = this.#buffer?.subarray(0, bytes) ?? Buffer.alloc(0);
    if (plain.length !== bytes) throw new CofferdamError('bug', 'the bytes of a small file are gone before its put');
    const sha256 = createHash('sha256').update(plain).digest('hex');
    if (bytes === 0) return { sha256, extent: undefined };
    const { extent } = this.#offer;
    const memory = Buffer.alloc(headerBytes + bytes + tagBytes);
    plain.copy(memory, headerBytes);
    const sealer = new SegmentSealer(Buffer.from(extent.key, 'base64'), Buffer.from(extent.context, 'base64'));
    sealer.header.copy(memory);
    sealer.seal(memory.subarray(headerBytes), bytes, true);
    const inline = memory.toString('base64');
    return { sha256, extent: { objectId: extent.objectId, bytes, sealedBytes: memory.length, inline } };
  }

  #end(): void {
    this.#isOver = true;
    this.#giveBack();
    this.#context.filling.leave(this);
  }

  /** The client or its session is gone. What was not made durable leaves nothing, as if it had not begun. */
  async interrupt(): Promise<void> {
    clearTimeout(this.#timer);
    if (this.#turning === undefined) {
      if (this.#isOver) return;
      this.#end();
      return this.wake();
    }
    await this.#turning;
    await this.#upload?.interrupt();
  }
}
