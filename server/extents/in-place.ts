// Owns: AES-256-GCM over bytes where they lie, without a fresh buffer for each segment: by our own piece of native code
// (scripts/native/seal-in-place.c), or by node:crypto when that was not built or does not calculate as it should
// (decision 56). Both take the same arguments, refuse the same, and make the same bytes.
// Must never: leave a byte readable whose tag did not verify.
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { isUint8Array } from 'node:util/types';

const keyBytes = 32;
const nonceBytes = 12;
export const tagBytes = 16;
const lengthMax = 2 ** 30;

/**
 * Works on `length` bytes of `buffer` from `offset` on, and on the tag of 16 bytes at `tagOffset` of the same buffer.
 * Throws TypeError or RangeError for wrong arguments, and has then touched nothing.
 */
type Work = (
  key: Uint8Array,
  nonce: Uint8Array,
  buffer: Uint8Array,
  offset: number,
  length: number,
  tagOffset: number,
) => void;
export type InPlace = {
  readonly isNative: boolean;
  /** What is used, and why, for the log. */
  readonly text: string;
  /** Replaces the plaintext by its ciphertext, and writes the tag. After a failure the bytes are zeros. */
  readonly seal: Work;
  /** Replaces the ciphertext by its plaintext. Throws `corrupt` for a wrong tag; the bytes are then zeros. */
  readonly open: Work;
};

function requireCount(value: unknown): void {
  if (typeof value !== 'number') throw new TypeError('offset, length and offset of the tag must be numbers');
  if (!Number.isSafeInteger(value) || value < 0)
    throw new RangeError('offset, length and offset of the tag must be whole numbers from 0 on');
}

/** Refuses what the native code refuses. */
function requireArguments(...[key, nonce, buffer, offset, length, tagOffset]: Parameters<Work>): void {
  if (![key, nonce, buffer].every(isUint8Array)) throw new TypeError('key, nonce and buffer must be Uint8Arrays');
  for (const count of [offset, length, tagOffset]) requireCount(count);
  if (key.length !== keyBytes) throw new RangeError('the key must have 32 bytes');
  if (nonce.length !== nonceBytes) throw new RangeError('the nonce must have 12 bytes');
  if (length > lengthMax) throw new RangeError('the segment is too long');
  if (offset + length > buffer.length) throw new RangeError('the segment is outside of the buffer');
  if (tagOffset + tagBytes > buffer.length) throw new RangeError('the tag is outside of the buffer');
  if (length > 0 && tagOffset < offset + length && offset < tagOffset + tagBytes)
    throw new RangeError('the tag is inside the segment');
}

const options = { authTagLength: tagBytes };

/** Makes the same as the native code, by way of a fresh buffer for each call. */
export const byNodeCrypto: Pick<InPlace, 'seal' | 'open'> = {
  seal(key, nonce, buffer, offset, length, tagOffset) {
    requireArguments(key, nonce, buffer, offset, length, tagOffset);
    const cipher = createCipheriv('aes-256-gcm', key, nonce, options);
    const sealed = cipher.update(buffer.subarray(offset, offset + length));
    cipher.final();
    buffer.set(sealed, offset);
    buffer.set(cipher.getAuthTag(), tagOffset);
  },
  open(key, nonce, buffer, offset, length, tagOffset) {
    requireArguments(key, nonce, buffer, offset, length, tagOffset);
    const decipher = createDecipheriv('aes-256-gcm', key, nonce, options);
    decipher.setAuthTag(buffer.subarray(tagOffset, tagOffset + tagBytes));
    const plain = decipher.update(buffer.subarray(offset, offset + length));
    try {
      decipher.final();
    } catch (cause) {
      plain.fill(0);
      buffer.fill(0, offset, offset + length);
      throw Object.assign(new Error('the tag does not verify', { cause }), { code: 'corrupt' });
    }
    buffer.set(plain, offset);
  },
};

/** Test case 15 of "The Galois/Counter Mode of Operation (GCM)", McGrew and Viega. */
const known = {
  key: Buffer.from('feffe9928665731c6d6a8f9467308308'.repeat(2), 'hex'),
  nonce: Buffer.from('cafebabefacedbaddecaf888', 'hex'),
  plain: Buffer.from(
    'd9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72' +
      '1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255',
    'hex',
  ),
  sealed: Buffer.from(
    '522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa' +
      '8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad' +
      'b094dac5d93471bdec1a502270e3cc6c',
    'hex',
  ),
};

/** Returns what is wrong with the answers to a known question, or undefined. */
function faultOf({ seal, open }: Pick<InPlace, 'seal' | 'open'>): string | undefined {
  const { key, nonce, plain, sealed } = known;
  const length = plain.length;
  const memory = Buffer.concat([plain, Buffer.alloc(tagBytes)]);
  seal(key, nonce, memory, 0, length, length);
  if (!memory.equals(sealed)) return 'it seals otherwise';
  open(key, nonce, memory, 0, length, length);
  if (!memory.subarray(0, length).equals(plain)) return 'it opens otherwise';
  const forged = Buffer.from(sealed);
  forged[length] = (forged[length] ?? 0) ^ 1;
  try {
    open(key, nonce, forged, 0, length, length);
    return 'it opens what was forged';
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'corrupt')) return 'it refuses otherwise';
  }
  return forged.subarray(0, length).every((byte) => byte === 0) ? undefined : 'it leaves what was forged';
}

/** Returns the native code that `load` loads when its answers to a known question are right, else node:crypto. */
export function choose(load: () => unknown): InPlace {
  let why: string | undefined;
  try {
    const native = load() as Pick<InPlace, 'seal' | 'open'>;
    why = faultOf(native);
    if (why === undefined)
      return { isNative: true, text: 'segments are sealed in place', seal: native.seal, open: native.open };
  } catch (error) {
    why = error instanceof Error ? error.message : 'it does not load';
  }
  const [reason] = why.split('\n');
  return {
    isNative: false,
    text: `segments are sealed by node:crypto, which costs more processor time: ${reason}`,
    ...byNodeCrypto,
  };
}

/** Where scripts/prepare.cjs compiles the native code. */
const built = join(import.meta.dirname, '../../node_modules/.cofferdam-native/build/Release/seal-in-place.node');
let chosen: InPlace | undefined;

/** Returns what this thread uses. The native code is loaded once for each thread that asks. */
export function inPlace(): InPlace {
  chosen ??= choose(() => createRequire(import.meta.url)(built));
  return chosen;
}
