// Owns: SHA-256 and the two hashes of RFC 6962, and bytes in text: canonical base64, lower-case hexadecimal.
// Must never: accept a second spelling of the same bytes.
import crypto from 'node:crypto';

/**
 * The one-shot function is three times as fast, and exists from Node 20.12 on.
 * @type {(data: Uint8Array) => Buffer}
 */
export const sha256 =
  typeof crypto.hash === 'function'
    ? (data) => crypto.hash('sha256', data, 'buffer')
    : (data) => crypto.createHash('sha256').update(data).digest();

const leafMark = Buffer.of(0);
const nodeMark = Buffer.of(1);

/** @param {Uint8Array} data */
export const leafHash = (data) => sha256(Buffer.concat([leafMark, data]));

/**
 * @param {Uint8Array} left
 * @param {Uint8Array} right
 */
export const nodeHash = (left, right) => sha256(Buffer.concat([nodeMark, left, right]));

/**
 * Returns the bytes of base64 in its one canonical form, or nothing.
 * @param {unknown} text
 * @param {number} bytes
 */
export function fromBase64(text, bytes) {
  if (typeof text !== 'string') return undefined;
  const data = Buffer.from(text, 'base64');
  return data.length === bytes && data.toString('base64') === text ? data : undefined;
}

/**
 * @param {unknown} text
 * @param {number} bytes
 */
export function fromHex(text, bytes) {
  return typeof text === 'string' && text.length === bytes * 2 && /^[0-9a-f]*$/.test(text)
    ? Buffer.from(text, 'hex')
    : undefined;
}

/**
 * @param {unknown} value
 * @returns {value is number}
 */
export const isCount = (value) =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && !Object.is(value, -0);

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/**
 * @param {unknown} value
 * @returns {value is string}
 */
export const isUuid = (value) => typeof value === 'string' && uuid.test(value);

export const commonTree = '00000000-0000-0000-0000-000000000000';
export const headsTree = 'ffffffff-ffff-ffff-ffff-ffffffffffff';
