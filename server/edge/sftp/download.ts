// Owns: reading one file: finding its extents, asking for their
// grants, opening segments in the store thread, and reading ahead.
// Must never: hold more than a few segments, or return a byte of an extent that was not granted.
import { randomUUID } from 'node:crypto';
import { detach, givenUp, held } from '../../domain/detached.ts';
import { CofferdamError, toCofferdamError } from '../../domain/errors.ts';
import { segmentAt, segmentCount, segmentPlainBytes } from '../../extents/sealed-format.ts';
import type { EdgeToWarden } from '../../rpc/edge-warden.ts';
import type { Result } from '../../rpc/operation.ts';
import { objectFile } from './object-file.ts';
import type { Pacer } from './pacer.ts';
import type { UploadContext } from './upload.ts';

type Located = { readonly index: number; readonly offset: number; readonly bytes: number };
/**
 * A segment that is kept or being opened. `gone` is called when it is dropped, and then no longer counts it as buffer
 * memory.
 */
type Kept = { readonly bytes: Promise<Buffer>; gone(): void };
type OpenExtent = { readonly located: Located; readonly reader: Promise<string>; readonly segments: Map<number, Kept> };

/** How many extents are kept open. A READ may start more, and the oldest is closed. */
const openExtentsMax = 3;
/**
 * How many extents one READ opens at the same time; it opens further ones after these. A file may
 * consist of extents of one byte each, and each extent is a call, a charge and a ledger entry.
 */
export const extentsAtOnceMax = 32;
/**
 * A smaller part of a segment than this is copied, so that a
 * waiting reply does not keep the whole segment in memory; bytes.
 */
const sliceBytesMin = 65_536;
const readAheadSegments = 4;
/**
 * The pause between a grant that was not answered in time and the next attempt for the same extent, in milliseconds.
 */
const pauseMs = 500;

const bytesOf = (slices: readonly Buffer[]): number => slices.reduce((sum, slice) => sum + slice.length, 0);

export class Download {
  readonly #context: UploadContext;
  readonly #path: readonly string[];
  /** The version that was opened. */
  readonly #version: string;
  readonly #closesAside: boolean;
  #id: string;
  /** True when the key of any extent was released: from then on the warden knows the handle for good. */
  #isGranted = false;
  #reopening: Promise<void> | undefined;
  readonly #pacer: Pacer;
  readonly size: number;
  readonly modifiedAt: number;
  readonly #located = new Map<number, Located>();
  readonly #open = new Map<number, OpenExtent>();
  #locating: Promise<void> | undefined;
  #next = 0;
  #sentBytes = 0;
  #isClosed = false;

  static async open(context: UploadContext, path: readonly string[]): Promise<Download> {
    const opened = await context.warden.callRepeatable('download.open', {
      token: context.session.token,
      path: [...path],
    });
    return new Download(context, path, opened);
  }

  private constructor(context: UploadContext, path: readonly string[], opened: Result<EdgeToWarden, 'download.open'>) {
    this.#context = context;
    this.#path = path;
    this.#version = opened.version;
    this.#closesAside = opened.closesAside === true;
    this.#pacer = context.pacers.get(opened.customer, 'out');
    this.#id = opened.download;
    this.size = opened.size;
    this.modifiedAt = opened.modifiedAt;
    for (const one of opened.extents ?? []) this.#located.set(one.index, one);
  }

  /**
   * Returns slices of together `length` bytes from `offset`; fewer only at the end of the file. scp, PuTTY and sshfs
   * treat a short reply in the middle of a file as its end, because their next requests are already under way.
   */
  async read(offset: number, length: number): Promise<readonly Buffer[]> {
    const end = Math.min(this.size, offset + length);
    const isSequential = offset === this.#next;
    this.#next = end;
    const slices: Buffer[] = [];
    for (let at = offset; at < end; ) {
      const round = await Promise.all(await this.#begin(at, end, isSequential));
      slices.push(...round);
      at += bytesOf(round);
    }
    const bytes = bytesOf(slices);
    if (bytes > 0) await this.#pacer.pass(bytes);
    this.#sentBytes += bytes;
    return slices;
  }

  /**
   * Returns the parts of the segments from `offset` on, in order, as promises:
   * up to `end`, or of as many extents as are opened at the same time.
   */
  async #begin(offset: number, end: number, isSequential: boolean): Promise<readonly Promise<Buffer>[]> {
    const parts: Promise<Buffer>[] = [];
    const extents = new Set<number>();
    for (let at = offset; at < end; ) {
      const located = await this.#locate(at);
      if (extents.add(located.index).size > extentsAtOnceMax) break;
      if (this.#isClosed) throw new CofferdamError('conflict', 'the file is closed');
      const extent = this.#openExtent(located);
      const { index, plainStart } = segmentAt(at - located.offset);
      const start = located.offset + plainStart;
      const stop = Math.min(end, start + segmentPlainBytes(index, located.bytes));
      parts.push(held(this.#part(this.#segment(extent, index), at - start, stop - start)));
      if (isSequential) this.#readAhead(extent, index);
      at = stop;
    }
    return parts;
  }

  async #part(segment: Promise<Buffer>, from: number, to: number): Promise<Buffer> {
    const plain = await segment;
    if (plain.length < to) throw new CofferdamError('corrupt', 'stored data does not verify');
    const slice = plain.subarray(from, to);
    return slice.length < sliceBytesMin ? Buffer.from(slice) : slice;
  }

  #known(offset: number): Located | undefined {
    for (const one of this.#located.values()) if (offset >= one.offset && offset < one.offset + one.bytes) return one;
    return undefined;
  }

  /**
   * Returns the extent that holds the byte at `offset`. One question to the warden is under way at a time. The
   * answer to a READ at another offset may hold this offset as well; if it does not, this offset is asked for next.
   */
  async #locate(offset: number): Promise<Located> {
    for (let hasAsked = false; ; ) {
      const known = this.#known(offset);
      if (known !== undefined) return known;
      if (hasAsked) throw new CofferdamError('corrupt', 'a part of the file is missing');
      hasAsked = this.#locating === undefined;
      this.#locating ??= held(this.#fetchLocations(offset).finally(() => (this.#locating = undefined)));
      await this.#locating;
    }
  }

  async #fetchLocations(offset: number): Promise<void> {
    const { warden, session } = this.#context;
    const { extents } = await warden.callRepeatable('download.locate', {
      token: session.token,
      download: this.#id,
      offset,
    });
    if (this.#located.size > 1024) this.#located.clear();
    for (const one of extents) this.#located.set(one.index, one);
  }

  #openExtent(located: Located): OpenExtent {
    const known = this.#open.get(located.index);
    if (known !== undefined) return known;
    for (const [index, extent] of this.#open) {
      if (this.#open.size < openExtentsMax) break;
      this.#open.delete(index);
      this.#closeReader(extent);
    }
    const extent: OpenExtent = { located, reader: this.#grant(located), segments: new Map() };
    // A refused grant is reported to every READ that needs this extent. The next READ asks for the grant again.
    detach(extent.reader, () => {
      if (this.#open.get(located.index) === extent) this.#open.delete(located.index);
    });
    this.#open.set(located.index, extent);
    return extent;
  }

  /**
   * Returns the grant of one extent, with its key. A READ waits for the grant as long as
   * the record may be late (`witnessStopMs`). Rejects with the warden's error after that
   * time, and at once when the error is not `unavailable` or the download was closed.
   */
  async #key(index: number): Promise<Result<EdgeToWarden, 'download.grant'>> {
    const { warden, session, node, grants } = this.#context;
    const { witnessStopMs, wardenRetryMs } = node.limits;
    // The last of the repeated calls waits for `wardenRetryMs` by itself.
    const until = performance.now() + witnessStopMs - wardenRetryMs;
    for (;;) {
      const used = this.#id;
      try {
        const granted = await grants.run(() =>
          warden.callRepeatable('download.grant', { token: session.token, download: used, index }),
        );
        this.#isGranted = true;
        return granted;
      } catch (thrown) {
        const error = await this.#afterReopening(used, thrown);
        if (error === undefined && performance.now() <= until) continue;
        if (toCofferdamError(error ?? thrown).code !== 'unavailable' || this.#isClosed || performance.now() > until)
          throw error ?? thrown;
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
        if (this.#isClosed) throw error ?? thrown;
      }
    }
  }

  /**
   * Opens the file again when its warden does not know the handle `used`, of which nothing was read. Returns undefined
   * when there is another handle of the same version now; otherwise why there is none.
   */
  async #afterReopening(used: string, thrown: unknown): Promise<unknown> {
    if (toCofferdamError(thrown).code !== 'not-found') return thrown;
    if (this.#id === used && !this.#isGranted && !this.#isClosed)
      try {
        this.#reopening ??= held(this.#reopen().finally(() => (this.#reopening = undefined)));
        await this.#reopening;
      } catch (error) {
        return error;
      }
    return this.#id === used ? thrown : undefined;
  }

  async #reopen(): Promise<void> {
    const { warden, session } = this.#context;
    const again = await warden.callRepeatable('download.open', { token: session.token, path: [...this.#path] });
    if (again.version === this.#version) this.#id = again.download;
  }

  async #grant(located: Located): Promise<string> {
    const { store, node } = this.#context;
    const granted = await this.#key(located.index);
    if (granted.bytes !== located.bytes) throw new CofferdamError('corrupt', 'stored data does not verify');
    const reader = randomUUID();
    await store.ask({
      op: 'reader.open',
      reader,
      source: {
        key: Buffer.from(granted.key, 'base64'),
        context: Buffer.from(granted.context, 'base64'),
        plainBytes: granted.bytes,
        path: objectFile(node.paths.objects, granted.objectId),
        ...(granted.inline === undefined ? {} : { inline: Buffer.from(granted.inline, 'base64') }),
      },
    });
    return reader;
  }

  #segment(extent: OpenExtent, index: number): Promise<Buffer> {
    const known = extent.segments.get(index);
    if (known !== undefined) return known.bytes;
    const loading = extent.reader.then(async (reader) => {
      const bytes = await this.#context.store.ask<Uint8Array>({ op: 'reader.segment', reader, index });
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    });
    const gone = this.#context.shelf.keep(segmentPlainBytes(index, extent.located.bytes), () =>
      extent.segments.delete(index),
    );
    detach(loading, () => {
      gone();
      extent.segments.delete(index);
    });
    extent.segments.set(index, { bytes: loading, gone });
    return loading;
  }

  /**
   * Opens the next segments while a file is read in sequence, and fetches
   * the grant of the next extent from the middle of an extent on.
   */
  #readAhead(extent: OpenExtent, index: number): void {
    const count = segmentCount(extent.located.bytes);
    for (let ahead = index + 1; ahead <= Math.min(count - 1, index + readAheadSegments); ahead += 1)
      // A READ that needs this segment reports its failure, and asks again.
      detach(this.#segment(extent, ahead), givenUp);
    if (index < count / 2) return;
    const next = this.#located.get(extent.located.index + 1);
    if (next === undefined || this.#open.has(next.index)) return;
    const following = this.#openExtent(next);
    if (index + readAheadSegments >= count) detach(this.#segment(following, 0), givenUp);
  }

  #closeReader(extent: OpenExtent): void {
    for (const { gone } of extent.segments.values()) gone();
    extent.segments.clear();
    detach(
      extent.reader.then((reader) => this.#context.store.ask({ op: 'reader.close', reader })),
      givenUp,
    );
  }

  /**
   * Closes the download. `cut` means that the client did not close
   * it, so nobody knows how many of the bytes that were sent arrived. Where nothing depends on when it is recorded, a
   * client does not wait for that.
   */
  async close(by: 'client' | 'cut'): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const extent of this.#open.values()) this.#closeReader(extent);
    this.#open.clear();
    const { warden, session, closings } = this.#context;
    const said = { token: session.token, download: this.#id, sentBytes: this.#sentBytes, by };
    const close = async (): Promise<void> => {
      await warden.callRepeatable('download.close', said);
    };
    await (this.#closesAside && by === 'client' ? closings.add(close) : close());
  }
}
