// Owns: reading files and streams line by line: plain or compressed, strictly UTF-8, with a limit on the length of a
// line.
// Must never: hold a file in memory, or accept broken text as text.
import { isUtf8 } from 'node:buffer';
import { closeSync, constants, createReadStream, fstatSync, openSync } from 'node:fs';
import { createGunzip } from 'node:zlib';

/** @typedef {import('node:stream').Readable} Readable */

const lineBytesMax = 16 * 1024 * 1024;

/** What stands for a line that is not UTF-8: it is no JSON either. */
const brokenLine = '\ufffd';

/**
 * Opens a file in a directory of somebody else. It follows no link, and does not wait for the other end of a pipe.
 * Throws unless it is a regular file.
 * @param {string} path
 * @returns {Readable}
 */
export function openRegular(path) {
  const fd = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
  if (!fstatSync(fd).isFile()) {
    closeSync(fd);
    throw new Error('this is no regular file');
  }
  return createReadStream(path, { fd, highWaterMark: 1 << 20 });
}

/**
 * Returns the bytes of a file, unpacked. `onBytes` gets what was read, before it is unpacked. `isForeign`: whether the
 * file is in a directory of somebody else, in which only regular files are read.
 * @param {string} path
 * @param {((bytes: Buffer) => void) | undefined} [onBytes]
 * @param {boolean} [isForeign]
 * @returns {Readable}
 */
export function openFile(path, onBytes, isForeign = false) {
  /** @type {Readable} */
  const raw = isForeign ? openRegular(path) : createReadStream(path, { highWaterMark: 1 << 20 });
  if (onBytes !== undefined) raw.on('data', (/** @type {Buffer} */ chunk) => onBytes(chunk));
  if (!path.endsWith('.gz')) return raw;
  const unpacked = raw.pipe(createGunzip());
  raw.on('error', (/** @type {Error} */ cause) => unpacked.destroy(cause));
  unpacked.on('close', () => raw.destroy());
  return unpacked;
}

/**
 * Returns the lines of a file or stream, in batches. `isTornKept`: whether a last line without its newline counts.
 * `onBytes` gets what was read, before it is unpacked. `isForeign`: whether `source` is a path in a directory of
 * somebody else, in which only regular files are read.
 * @param {string | Readable} source
 * @param {boolean} isTornKept
 * @param {((bytes: Buffer) => void) | undefined} [onBytes]
 * @param {boolean} [isForeign]
 * @returns {AsyncGenerator<readonly string[], void>}
 */
export async function* readLines(source, isTornKept, onBytes, isForeign = false) {
  const stream = typeof source === 'string' ? openFile(source, onBytes, isForeign) : source;
  /** @type {Buffer[]} */
  let rest = [];
  let restBytes = 0;
  for await (const chunk of stream) {
    /** @type {Buffer} */
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    const end = bytes.lastIndexOf(10);
    if (end !== -1) {
      yield linesOf(Buffer.concat([...rest, bytes.subarray(0, end)]));
      [rest, restBytes] = [[], 0];
    }
    rest.push(bytes.subarray(end + 1));
    restBytes += bytes.length - end - 1;
    if (restBytes > lineBytesMax) throw new Error('a line is longer than any of this format');
  }
  if (isTornKept && restBytes > 0) yield linesOf(Buffer.concat(rest));
}

/** @param {Buffer} bytes */
function linesOf(bytes) {
  if (isUtf8(bytes)) return bytes.toString('utf8').split('\n');
  const lines = [];
  for (let from = 0; from <= bytes.length; ) {
    const newline = bytes.indexOf(10, from);
    const to = newline === -1 ? bytes.length : newline;
    const line = bytes.subarray(from, to);
    lines.push(isUtf8(line) ? line.toString('utf8') : brokenLine);
    from = to + 1;
  }
  return lines;
}
