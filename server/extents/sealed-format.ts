// Owns: the format of sealed extents: Tink's streaming AEAD AES256-GCM-HKDF with SHA-256 and ciphertext segments of 256
// KiB.
// Source: Tink wire format "Streaming AEAD, AES-GCM-HKDF". The header is length (40) ‖ salt (32) ‖ nonce prefix
// (7). The derived key is HKDF-SHA256(key, salt, info = associated data). Segment i is AES-256-GCM with the
// nonce: nonce prefix ‖ u32 i ‖ last flag. The first segment is shorter by the length of the header, so that
// every full segment ends at a multiple of 256 KiB. Reordered, truncated or spliced segments do not verify.
// Must never: return a byte of a segment whose tag was not verified.
import { hkdfSync, randomBytes } from 'node:crypto';
import { CofferdamError } from '../domain/errors.ts';
import { type InPlace, inPlace, tagBytes } from './in-place.ts';

export const segmentBytes = 256 * 1024;
export const headerBytes = 40;
const saltBytes = 32;
const prefixBytes = 7;
const segmentsPerExtent = 64;
/** The number of plaintext bytes in the first segment, and in every later full segment. */
export const firstPlainBytes = segmentBytes - headerBytes - tagBytes;
export const laterPlainBytes = segmentBytes - tagBytes;
/** The number of plaintext bytes in the largest extent, which has 16 MiB of ciphertext. */
export const extentPlainBytesMax = firstPlainBytes + (segmentsPerExtent - 1) * laterPlainBytes;

/**
 * Returns how many segments hold `plainBytes` bytes; `plainBytes` is at least 1. The first one holds less than any
 * later one.
 */
export function segmentCount(plainBytes: number): number {
  return 1 + Math.ceil((plainBytes - firstPlainBytes) / laterPlainBytes);
}

/** Returns the length of the sealed extent in bytes, including the header. */
export function sealedLength(plainBytes: number): number {
  return plainBytes + headerBytes + segmentCount(plainBytes) * tagBytes;
}

/**
 * Returns the index of the segment that holds the plaintext byte at
 * `offset`, and the offset at which the plaintext of that segment starts.
 */
export function segmentAt(offset: number): { readonly index: number; readonly plainStart: number } {
  if (offset < firstPlainBytes) return { index: 0, plainStart: 0 };
  const index = 1 + Math.floor((offset - firstPlainBytes) / laterPlainBytes);
  return { index, plainStart: firstPlainBytes + (index - 1) * laterPlainBytes };
}

/** Returns how many plaintext bytes segment `index` of an extent of `plainBytes` bytes holds. */
export function segmentPlainBytes(index: number, plainBytes: number): number {
  const start = index === 0 ? 0 : firstPlainBytes + (index - 1) * laterPlainBytes;
  return Math.min(index === 0 ? firstPlainBytes : laterPlainBytes, plainBytes - start);
}

/**
 * Returns where the ciphertext of segment `index` lies in the object: its offset and its length
 * with the tag, without the header. Throws RangeError when the extent has no such segment.
 */
export function sealedSegment(
  index: number,
  plainBytes: number,
): { readonly offset: number; readonly length: number; readonly isLast: boolean } {
  const count = segmentCount(plainBytes);
  if (index < 0 || index >= count) throw new RangeError('no such segment');
  const offset = index === 0 ? headerBytes : index * segmentBytes;
  const isLast = index === count - 1;
  return { offset, length: isLast ? sealedLength(plainBytes) - offset : (index + 1) * segmentBytes - offset, isLast };
}

function deriveKey(key: Buffer, salt: Buffer, associatedData: Buffer): Buffer {
  if (key.length !== 32) throw new RangeError('extent key must be 32 bytes');
  return Buffer.from(hkdfSync('sha256', key, salt, associatedData, 32));
}

/** Returns a nonce that still needs the number of its segment. */
function nonceOf(prefix: Buffer): Buffer {
  const nonce = Buffer.alloc(prefixBytes + 5);
  prefix.copy(nonce);
  return nonce;
}

function number(nonce: Buffer, index: number, isLast: boolean): Buffer {
  nonce.writeUInt32BE(index, prefixBytes);
  nonce[prefixBytes + 4] = isLast ? 1 : 0;
  return nonce;
}

/**
 * Seals one extent segment by segment. The caller cuts the plaintext: every segment
 * has `plainCapacity` bytes except the last, which may be shorter and is marked.
 */
export class SegmentSealer {
  readonly header: Buffer;
  readonly #key: Buffer;
  readonly #nonce: Buffer;
  readonly #means: InPlace;
  #next = 0;
  #isDone = false;

  constructor(
    key: Buffer,
    associatedData: Buffer,
    random: (bytes: number) => Buffer = randomBytes,
    means: InPlace = inPlace(),
  ) {
    const salt = random(saltBytes);
    const prefix = random(prefixBytes);
    this.#nonce = nonceOf(prefix);
    this.#means = means;
    this.#key = deriveKey(key, salt, associatedData);
    this.header = Buffer.concat([Buffer.of(headerBytes), salt, prefix]);
  }

  get plainCapacity(): number {
    return this.#next === 0 ? firstPlainBytes : laterPlainBytes;
  }

  /**
   * Seals the next segment, the first `plainBytes` bytes of `memory`, where it lies, and puts the tag after it.
   * Returns both together, a part of `memory`. Throws RangeError for a segment of a wrong length, when `memory` has no
   * room for the tag, and after the last segment.
   */
  seal(memory: Uint8Array, plainBytes: number, isLast: boolean): Buffer {
    if (this.#isDone || plainBytes > this.plainCapacity || (!isLast && plainBytes !== this.plainCapacity))
      throw new RangeError('segment of the wrong length');
    if (memory.length < plainBytes + tagBytes) throw new RangeError('no room for the tag of a segment');
    const nonce = number(this.#nonce, this.#next, isLast);
    // The number counts as used before anything is sealed with it: no failure makes a nonce return.
    this.#next += 1;
    this.#isDone = isLast;
    this.#means.seal(this.#key, nonce, memory, 0, plainBytes, plainBytes);
    return Buffer.from(memory.buffer, memory.byteOffset, plainBytes + tagBytes);
  }
}

/** Opens the segments of one extent, in any order. */
export class SegmentOpener {
  readonly #key: Buffer;
  readonly #nonce: Buffer;
  readonly #plainBytes: number;
  readonly #means: InPlace;

  /**
   * `header` is the first 40 bytes of the object; `plainBytes` is the length of the
   * extent according to the catalogue. Throws `corrupt` for a malformed header.
   */
  constructor(key: Buffer, associatedData: Buffer, header: Buffer, plainBytes: number, means: InPlace = inPlace()) {
    if (header.length !== headerBytes || header[0] !== headerBytes)
      throw new CofferdamError('corrupt', 'stored data does not verify');
    this.#key = deriveKey(key, header.subarray(1, 1 + saltBytes), associatedData);
    this.#nonce = nonceOf(header.subarray(1 + saltBytes));
    this.#plainBytes = plainBytes;
    this.#means = means;
  }

  /**
   * Opens one segment where it lies. `sealed` is its ciphertext with the tag; the plaintext that is returned is a part
   * of the same memory. Throws `corrupt` when anything about the segment differs from what was sealed; then no
   * plaintext is in `sealed`.
   */
  open(index: number, sealed: Uint8Array): Buffer {
    const { length, isLast } = sealedSegment(index, this.#plainBytes);
    if (sealed.length !== length) throw new CofferdamError('corrupt', 'stored data does not verify');
    const plainBytes = length - tagBytes;
    try {
      this.#means.open(this.#key, number(this.#nonce, index, isLast), sealed, 0, plainBytes, plainBytes);
    } catch (cause) {
      if (!(cause instanceof Error && 'code' in cause && cause.code === 'corrupt')) throw cause;
      throw new CofferdamError('corrupt', 'stored data does not verify', { cause });
    }
    return Buffer.from(sealed.buffer, sealed.byteOffset, plainBytes);
  }
}
