// Owns: one file being read: which extents, their grants, segments opened in the store thread, read-ahead.
// Must never: hold more than a few segments, or give a byte of an extent that was not granted.
import { randomUUID } from 'node:crypto';
import { runtimePaths } from '../../config/config.ts';
import { detach, givenUp, held } from '../../domain/detached.ts';
import { CofferdamError } from '../../domain/errors.ts';
import { segmentAt, segmentCount } from '../../extents/sealed-format.ts';
import { objectFile } from './object-file.ts';
import type { Pacer } from './pacer.ts';
import type { UploadContext } from './upload.ts';

type Located = { readonly index: number; readonly offset: number; readonly bytes: number };
/** `gone`: it is in nobody's account any more. */
type Kept = { readonly bytes: Promise<Buffer>; gone(): void };
type OpenExtent = { readonly located: Located; readonly reader: Promise<string>; readonly segments: Map<number, Kept> };

const openExtentsMax = 3;
/** Smaller pieces of a segment are copied, so that a waiting reply does not keep the whole of it. */
const sliceBytesMin = 65_536;
const readAheadSegments = 4;

export class Download {
  readonly #context: UploadContext;
  readonly #id: string;
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
    const opened = await context.warden.callRepeatable('download.open', { token: context.session.token, path: [...path] });
    return new Download(context, opened);
  }

  private constructor(
    context: UploadContext,
    opened: { readonly download: string; readonly customer: string; readonly size: number; readonly modifiedAt: number },
  ) {
    this.#context = context;
    this.#pacer = context.pacers.get(opened.customer, 'out');
    this.#id = opened.download;
    this.size = opened.size;
    this.modifiedAt = opened.modifiedAt;
  }

  /** Slices of at most `length` bytes from `offset`; empty at the end of the file. */
  async read(offset: number, length: number): Promise<readonly Buffer[]> {
    const end = Math.min(this.size, offset + length);
    const slices: Buffer[] = [];
    const isSequential = offset === this.#next;
    this.#next = end;
    for (let at = offset; at < end; ) {
      if (this.#isClosed) throw new CofferdamError('conflict', 'the file is closed');
      const extent = this.#openExtent(await this.#locate(at));
      const within = at - extent.located.offset;
      const { index, plainStart } = segmentAt(within);
      const plain = await this.#segment(extent, index);
      if (isSequential) this.#readAhead(extent, index);
      const slice = plain.subarray(within - plainStart, Math.min(plain.length, end - extent.located.offset - plainStart));
      if (slice.length === 0) throw new CofferdamError('corrupt', 'stored data does not verify');
      slices.push(slice.length < sliceBytesMin ? Buffer.from(slice) : slice);
      at += slice.length;
    }
    if (end > offset) await this.#pacer.pass(end - offset);
    this.#sentBytes += Math.max(0, end - offset);
    return slices;
  }

  async #locate(offset: number): Promise<Located> {
    for (let tries = 0; tries < 2; tries += 1) {
      for (const one of this.#located.values()) if (offset >= one.offset && offset < one.offset + one.bytes) return one;
      this.#locating ??= held(this.#fetchLocations(offset).finally(() => (this.#locating = undefined)));
      await this.#locating;
    }
    throw new CofferdamError('corrupt', 'a part of the file is missing');
  }

  async #fetchLocations(offset: number): Promise<void> {
    const { warden, session } = this.#context;
    const { extents } = await warden.callRepeatable('download.locate', { token: session.token, download: this.#id, offset });
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
    // A refusal is answered to every read that needs this extent; the next read asks again.
    detach(extent.reader, () => {
      if (this.#open.get(located.index) === extent) this.#open.delete(located.index);
    });
    this.#open.set(located.index, extent);
    return extent;
  }

  async #grant(located: Located): Promise<string> {
    const { warden, session, store, node } = this.#context;
    const granted = await warden.callRepeatable('download.grant', { token: session.token, download: this.#id, index: located.index });
    if (granted.bytes !== located.bytes) throw new CofferdamError('corrupt', 'stored data does not verify');
    const reader = randomUUID();
    await store.ask({
      op: 'reader.open',
      reader,
      source: {
        key: Buffer.from(granted.key, 'base64'),
        context: Buffer.from(granted.context, 'base64'),
        plainBytes: granted.bytes,
        path: objectFile(runtimePaths(node.config).objects, granted.objectId),
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
    const gone = this.#context.shelf.keep(() => extent.segments.delete(index));
    detach(loading, () => {
      gone();
      extent.segments.delete(index);
    });
    extent.segments.set(index, { bytes: loading, gone });
    return loading;
  }

  /** While a file is read in sequence: the next segments, and from the middle of an extent on the grant of the next one. */
  #readAhead(extent: OpenExtent, index: number): void {
    const count = segmentCount(extent.located.bytes);
    for (let ahead = index + 1; ahead <= Math.min(count - 1, index + readAheadSegments); ahead += 1)
      // Whoever reads it hears of it, and asks again.
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

  /** `cut`: its client did not close it, so nobody knows what of the bytes that went out arrived. */
  async close(by: 'client' | 'cut'): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const extent of this.#open.values()) this.#closeReader(extent);
    this.#open.clear();
    const { warden, session } = this.#context;
    await warden.callRepeatable('download.close', { token: session.token, download: this.#id, sentBytes: this.#sentBytes, by });
  }
}
