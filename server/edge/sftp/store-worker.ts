// Owns: the thread that hashes, seals, sends, reads and opens extents, so that the event loop only moves bytes.
// Must never: write to any file, let plaintext leave towards the store, or keep a key after its extent is done.
import { createHash, type Hash } from 'node:crypto';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { detach } from '../../domain/detached.ts';
import { inPlace, tagBytes } from '../../extents/in-place.ts';
import { headerBytes, SegmentOpener, SegmentSealer, sealedSegment, segmentBytes } from '../../extents/sealed-format.ts';
import { type Put, StoreLink } from './store-link.ts';

/**
 * A request to the thread. An upload has one hash over all of its bytes, and
 * seals one extent at a time. A reader reads one extent that was granted.
 */
export type Request =
  /** Asks by what the thread seals. */
  | { readonly op: 'sealing' }
  /** `lastObject` is the object of the last stored extent, and so identifies what is already stored. */
  | {
      readonly op: 'upload.begin';
      readonly upload: string;
      readonly lastObject: string | undefined;
      readonly storedBytes: number;
    }
  | {
      readonly op: 'upload.extent';
      readonly upload: string;
      readonly key: Uint8Array;
      readonly context: Uint8Array;
      /** The ticket by which the object may be put into the store. */
      readonly ticket: Uint8Array;
    }
  | {
      readonly op: 'upload.segment';
      readonly upload: string;
      readonly bytes: Uint8Array;
      readonly isLast: boolean;
      readonly mayBeInline: boolean;
    }
  | { readonly op: 'upload.verify'; readonly upload: string; readonly source: Source }
  | { readonly op: 'upload.digest'; readonly upload: string }
  /**
   * Ends an upload. `stored` is what the warden reports as stored of it. The
   * running hash is kept for a resumption when it covers exactly these bytes.
   */
  | { readonly op: 'upload.end'; readonly upload: string; readonly stored: Stored | undefined }
  | { readonly op: 'reader.open'; readonly reader: string; readonly source: Source }
  | { readonly op: 'reader.segment'; readonly reader: string; readonly index: number }
  | { readonly op: 'reader.close'; readonly reader: string };
/**
 * A prefix of a file as the warden stores it. An object belongs to one place
 * of one content, so the last object identifies all bytes up to its end.
 */
export type Stored = { readonly storedBytes: number; readonly lastObject?: string | undefined };
export type Source = {
  readonly key: Uint8Array;
  readonly context: Uint8Array;
  readonly plainBytes: number;
  readonly path: string;
  readonly inline?: Uint8Array;
};
export type Sealing = { readonly isNative: boolean; readonly text: string };
/** A sealed extent: its bytes when they are to be stored in a row, or what the store said of the object. */
export type SealedResult = { readonly sealedBytes: number } & (
  | { readonly inline: Uint8Array; readonly durable?: undefined }
  | {
      readonly inline?: undefined;
      readonly durable: { readonly digest: Uint8Array; readonly acknowledgement: Uint8Array };
    }
);
/** What a thread is started with. */
export type ThreadData = { readonly storeSocket: string };
/** An answer of the thread. `buffer` goes back to the pool of the main thread. */
export type Answer =
  | { readonly id: number; readonly ok: true; readonly value: unknown; readonly buffer?: ArrayBuffer }
  | { readonly id: number; readonly ok: false; readonly code: string; readonly text: string };

type Extent = {
  readonly sealer: SegmentSealer;
  readonly ticket: Uint8Array;
  /** The object in the store, from its first segment on. */
  put: Put | undefined;
  sealedBytes: number;
};
type Upload = { hash: Hash; hashedBytes: number; extent: Extent | undefined };
type Kept = { readonly hash: Hash; readonly bytes: number; readonly until: number };

const inlineBytesMax = 65_536;
const keptMax = 1000;
const keptMs = 3_600_000;
const link = new StoreLink((workerData as ThreadData).storeSocket);
const uploads = new Map<string, Upload>();
const readers = new Map<
  string,
  { readonly source: Source; readonly opener: SegmentOpener; readonly file: number | undefined }
>();
const kept = new Map<string, Kept>();

function need<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('no such upload or reader');
  return value;
}

/**
 * Begins an upload. Returns true when the running hash of the stored bytes is known here, or when nothing is stored.
 */
function begin(request: Extract<Request, { op: 'upload.begin' }>): boolean {
  const known = request.lastObject === undefined ? undefined : kept.get(request.lastObject);
  const isKnown = known !== undefined && known.bytes === request.storedBytes && known.until > Date.now();
  const hash = isKnown ? known.hash.copy() : createHash('sha256');
  uploads.set(request.upload, { hash, hashedBytes: isKnown ? request.storedBytes : 0, extent: undefined });
  return isKnown || request.storedBytes === 0;
}

/**
 * The thread's own memory for one segment with its tag, for what is opened and used at once, and for what has no room
 * for a tag where it lies. Nothing refers to it when a request has been answered.
 */
const scratch = Buffer.allocUnsafeSlow(segmentBytes);

/**
 * Returns memory that begins with the bytes of a segment and has room for its tag: where they lie, in the buffer that
 * the main thread gave away with them, or in a copy when they fill it.
 */
function roomFor(bytes: Uint8Array): Uint8Array {
  const { buffer, byteOffset, length } = bytes;
  if (byteOffset + length + tagBytes <= buffer.byteLength) return new Uint8Array(buffer, byteOffset, length + tagBytes);
  scratch.set(bytes);
  return scratch;
}

/**
 * Hashes and seals a segment at once, and sends it. Resolves when its buffer is used no longer: with the sealed extent
 * when this was its last segment. Segments of an upload are sent in the order of the requests.
 */
function segment(
  request: Extract<Request, { op: 'upload.segment' }>,
): Promise<SealedResult | undefined> | SealedResult {
  const upload = need(uploads.get(request.upload));
  const extent = need(upload.extent);
  upload.hash.update(request.bytes);
  upload.hashedBytes += request.bytes.length;
  const isFirst = extent.sealedBytes === 0;
  // The plaintext is hashed by now. Its buffer goes back to the main thread's pool, mostly with the ciphertext in it.
  const sealed = extent.sealer.seal(roomFor(request.bytes), request.bytes.length, request.isLast);
  const parts = isFirst ? [extent.sealer.header, sealed] : [sealed];
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  if (isFirst && request.isLast && request.mayBeInline && request.bytes.length <= inlineBytesMax) {
    upload.extent = undefined;
    return { sealedBytes: length, inline: Buffer.concat(parts) };
  }
  extent.put ??= link.put(extent.ticket);
  extent.sealedBytes += length;
  // A segment that lies in the thread's own memory is copied, because that memory is used again at once.
  const sent = parts.map((part) => (part.buffer === scratch.buffer ? Buffer.from(part) : part));
  const sending = extent.put.write(sent);
  if (!request.isLast) return sending.then(() => undefined);
  upload.extent = undefined;
  return stored(extent.put, sending, extent.sealedBytes);
}

/** Ends an object, and returns what the store said of it. */
async function stored(put: Put, sending: Promise<void>, sealedBytes: number): Promise<SealedResult> {
  try {
    await sending;
    const { digest, acknowledgement, sealedBytes: storedBytes } = await put.end();
    if (storedBytes !== sealedBytes) throw new Error('the store has another length of an object');
    return { sealedBytes, durable: { digest, acknowledgement } };
  } catch (error) {
    put.abort();
    throw error;
  }
}

/** Reads `into.length` bytes of a sealed extent from `offset` on. Returns what there was, a part of `into`. */
function readSealed(source: Source, file: number | undefined, offset: number, into: Buffer): Buffer {
  if (source.inline !== undefined) {
    // A copy, because a segment is opened where it lies, and may be asked for again.
    const part = source.inline.subarray(offset, offset + into.length);
    into.set(part);
    return into.subarray(0, part.length);
  }
  let done = 0;
  while (file !== undefined && done < into.length) {
    const got = readSync(file, into, done, into.length - done, offset + done);
    if (got === 0) break;
    done += got;
  }
  return into.subarray(0, done);
}

function openSource(source: Source): { source: Source; opener: SegmentOpener; file: number | undefined } {
  const file =
    source.inline === undefined ? openSync(source.path, constants.O_RDONLY | constants.O_NOFOLLOW) : undefined;
  try {
    return {
      source,
      file,
      opener: new SegmentOpener(
        Buffer.from(source.key),
        Buffer.from(source.context),
        readSealed(source, file, 0, scratch.subarray(0, headerBytes)),
        source.plainBytes,
      ),
    };
  } catch (error) {
    if (file !== undefined) closeSync(file);
    throw error;
  }
}

/** Opens a segment in the memory that `take` returns for its ciphertext. The plaintext is a part of that memory. */
function openSegment(
  reader: { source: Source; opener: SegmentOpener; file: number | undefined },
  index: number,
  take: (bytes: number) => Buffer,
): Buffer {
  const { offset, length } = sealedSegment(index, reader.source.plainBytes);
  return reader.opener.open(index, readSealed(reader.source, reader.file, offset, take(length)));
}

function verify(request: Extract<Request, { op: 'upload.verify' }>): void {
  const upload = need(uploads.get(request.upload));
  const reader = openSource(request.source);
  try {
    let done = 0;
    for (let index = 0; done < request.source.plainBytes; index += 1) {
      const plain = openSegment(reader, index, (bytes) => scratch.subarray(0, bytes));
      upload.hash.update(plain);
      done += plain.length;
    }
    upload.hashedBytes += done;
  } finally {
    if (reader.file !== undefined) closeSync(reader.file);
  }
}

function end(request: Extract<Request, { op: 'upload.end' }>): void {
  const upload = uploads.get(request.upload);
  if (upload === undefined) return;
  uploads.delete(request.upload);
  upload.extent?.put?.abort();
  const { stored } = request;
  if (stored?.lastObject === undefined || stored.storedBytes !== upload.hashedBytes) return;
  for (const [object, one] of kept) if (kept.size >= keptMax || one.until < Date.now()) kept.delete(object);
  kept.set(stored.lastObject, { hash: upload.hash, bytes: upload.hashedBytes, until: Date.now() + keptMs });
}

function handle(request: Request): unknown {
  switch (request.op) {
    case 'sealing': {
      const { isNative, text } = inPlace();
      return { isNative, text } satisfies Sealing;
    }
    case 'upload.begin':
      return begin(request);
    case 'upload.extent':
      need(uploads.get(request.upload)).extent = {
        sealer: new SegmentSealer(Buffer.from(request.key), Buffer.from(request.context)),
        ticket: request.ticket,
        put: undefined,
        sealedBytes: 0,
      };
      return undefined;
    case 'upload.segment':
      return segment(request);
    case 'upload.verify':
      return verify(request);
    case 'upload.digest':
      return need(uploads.get(request.upload)).hash.copy().digest('hex');
    case 'upload.end':
      return end(request);
    case 'reader.open':
      readers.set(request.reader, openSource(request.source));
      return undefined;
    case 'reader.segment':
      // The main thread gets this memory and keeps it as long as a client reads it, so it is not used again here.
      return openSegment(need(readers.get(request.reader)), request.index, Buffer.allocUnsafeSlow);
    case 'reader.close': {
      const reader = readers.get(request.reader);
      readers.delete(request.reader);
      if (reader?.file !== undefined) closeSync(reader.file);
      return undefined;
    }
  }
}

function answer(id: number, request: Request, value: unknown): void {
  if (request.op === 'reader.segment' && value instanceof Uint8Array)
    parentPort?.postMessage({ id, ok: true, value } satisfies Answer, [value.buffer as ArrayBuffer]);
  else if (request.op === 'upload.segment')
    parentPort?.postMessage({ id, ok: true, value, buffer: request.bytes.buffer as ArrayBuffer } satisfies Answer, [
      request.bytes.buffer as ArrayBuffer,
    ]);
  else parentPort?.postMessage({ id, ok: true, value } satisfies Answer);
}

function refuse(id: number, error: unknown): void {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'bug';
  const text = error instanceof Error ? error.message : 'unknown error';
  parentPort?.postMessage({ id, ok: false, code, text } satisfies Answer);
}

parentPort?.on('message', ({ id, request }: { id: number; request: Request }) => {
  try {
    const value = handle(request);
    if (!(value instanceof Promise)) return answer(id, request, value);
    detach(
      value.then((result) => answer(id, request, result)),
      (error) => refuse(id, error),
    );
  } catch (error) {
    refuse(id, error);
  }
});
