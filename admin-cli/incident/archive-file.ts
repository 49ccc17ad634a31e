// Owns: reading one archive of the record on the operator's machine: entry by entry, in bounded memory, and hashed
// while it is read.
// Must never: accept a file that differs in any byte from the one that the gateway wrote.
import { createHash, type Hash } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { StringDecoder } from 'node:string_decoder';
import { createGunzip } from 'node:zlib';
import { CofferdamError } from '../../server/domain/errors.ts';
import { type ArchivedEntry, parseArchiveLine } from '../../server/domain/ledger/archive-line.ts';
import type { ListedArchive } from '../../server/rpc/operators/ledger.ts';

const readBytes = 1024 * 1024;
const gunzipBytes = 256 * 1024;
/** The largest accepted length of one line, in characters. The longest possible entry is shorter. */
export const lineCharactersMax = 4 * 1024 * 1024;

/** Says what is wrong with the file. Some of its entries may have been passed on before that was noticed. */
class ArchiveFault extends Error {}

/** Returns why there is no file to read, or undefined when there is one. */
export function absence(path: string): string | undefined {
  try {
    return statSync(path).isFile() ? undefined : 'is no file';
  } catch (thrown) {
    return thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT' ? 'is missing' : 'cannot be read';
  }
}

async function* hashed(chunks: AsyncIterable<Buffer>, hash: Hash): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
}

/** Passes on each line, and returns the number of lines. */
async function eachLine(
  chunks: AsyncIterable<Buffer>,
  onLine: (line: string, number: number) => void,
): Promise<number> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  let number = 0;
  for await (const chunk of chunks) {
    const lines = (rest + decoder.write(chunk)).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > lineCharactersMax)
      throw new ArchiveFault(`has a line after line ${number} that is too long for an entry`);
    for (const line of lines) {
      number += 1;
      onLine(line, number);
    }
  }
  if (rest + decoder.end() !== '') throw new ArchiveFault(`ends in the middle of an entry, after line ${number}`);
  return number;
}

/** Returns an error of reading as the fault of the file. Any other error is thrown on. */
function faultOf(thrown: unknown): string {
  if (thrown instanceof ArchiveFault) return thrown.message;
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
  if (code === 'Z_BUF_ERROR') return 'is cut off';
  if (code.startsWith('Z_')) return 'is damaged: it cannot be unpacked';
  if (/^E[A-Z]+$/.test(code)) return `cannot be read (${code})`;
  throw thrown;
}

function entryOf(line: string, number: number): ArchivedEntry {
  const entry = parseArchiveLine(line);
  if (entry === undefined) throw new ArchiveFault(`has no entry in line ${number}`);
  return entry;
}

/**
 * Passes on each entry of the file, before it is known whether the file is the right one. Returns undefined when it is.
 * Otherwise it returns what is wrong with the file, and nothing that was passed on may be used. An error that `onEntry`
 * throws is thrown on, except `corrupt`, which counts as a fault of the line.
 */
export async function readArchive(
  path: string,
  expected: Pick<ListedArchive, 'sha256' | 'entries'>,
  onEntry: (entry: ArchivedEntry) => void,
): Promise<string | undefined> {
  const hash = createHash('sha256');
  let entries = 0;
  const onLine = (line: string, number: number): void => {
    try {
      onEntry(entryOf(line, number));
    } catch (thrown) {
      if (thrown instanceof CofferdamError && thrown.code === 'corrupt')
        throw new ArchiveFault(`line ${number}: ${thrown.message}`);
      throw thrown;
    }
  };
  try {
    await pipeline(
      createReadStream(path, { highWaterMark: readBytes }),
      (chunks: AsyncIterable<Buffer>) => hashed(chunks, hash),
      createGunzip({ chunkSize: gunzipBytes }),
      async (chunks: AsyncIterable<Buffer>) => {
        entries = await eachLine(chunks, onLine);
      },
    );
  } catch (thrown) {
    return faultOf(thrown);
  }
  const sha256 = hash.digest('hex');
  if (sha256 !== expected.sha256)
    return `is not the file that was written: its SHA-256 is ${sha256}, the gateway has ${expected.sha256}`;
  if (entries !== expected.entries) return `has ${entries} entries, the gateway has ${expected.entries}`;
  return undefined;
}
