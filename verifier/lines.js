// Owns: reading files and streams line by line: plain or compressed, strictly UTF-8, with a bound on the length of a line.
// Must never: hold a file in memory, or take broken text for text.
import { isUtf8 } from 'node:buffer';
import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';

/** @typedef {import('node:stream').Readable} Readable */

const lineBytesMax = 16 * 1024 * 1024;

/** What stands for a line that is not UTF-8: it is no JSON either. */
const brokenLine = '\ufffd';

/**
 * The bytes of a file, unpacked. `onBytes` is given what was read, before it is unpacked.
 * @param {string} path
 * @param {(bytes: Buffer) => void} [onBytes]
 * @returns {Readable}
 */
export function openFile(path, onBytes) {
  const raw = createReadStream(path, { highWaterMark: 1 << 20 });
  if (onBytes !== undefined) raw.on('data', (chunk) => onBytes(Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk)));
  if (!path.endsWith('.gz')) return raw;
  const unpacked = raw.pipe(createGunzip());
  raw.on('error', (cause) => unpacked.destroy(cause));
  return unpacked;
}

/**
 * The lines of a file or stream, in batches. `isTornKept`: whether a last line without its newline counts.
 * `onBytes` is given what was read of a file, before it is unpacked.
 * @param {string | Readable} source
 * @param {boolean} isTornKept
 * @param {(bytes: Buffer) => void} [onBytes]
 * @returns {AsyncGenerator<readonly string[], void>}
 */
export async function* readLines(source, isTornKept, onBytes) {
  const stream = typeof source === 'string' ? openFile(source, onBytes) : source;
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
