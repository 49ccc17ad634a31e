// Owns: reading one archive of the record on the operator's side, entry by entry, in bounded memory, hashed as it is read.
// Must never: let a file count that is not, to its last byte, the one that was written.
import { createHash, type Hash } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { StringDecoder } from 'node:string_decoder';
import { createGunzip } from 'node:zlib';
import { CofferdamError } from '../server/domain/errors.ts';
import { type ArchivedEntry, parseArchiveLine } from '../server/domain/ledger/archive-line.ts';
import type { ListedArchive } from '../server/rpc/operator-ledger.ts';

const readBytes = 1024 * 1024;
const gunzipBytes = 256 * 1024;
/** Of one line; the longest entry has a part of it. */
export const lineCharactersMax = 4 * 1024 * 1024;

/** What is wrong with this file of the archive; `entries` of it were handed over before that was seen. */
class ArchiveFault extends Error {}

/** Whether there is a file to read: undefined, or why not. */
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

/** Hands over each line; how many there were. */
async function eachLine(chunks: AsyncIterable<Buffer>, onLine: (line: string, number: number) => void): Promise<number> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  let number = 0;
  for await (const chunk of chunks) {
    const lines = (rest + decoder.write(chunk)).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > lineCharactersMax) throw new ArchiveFault(`has a line behind line ${number} that is too long for an entry`);
    for (const line of lines) {
      number += 1;
      onLine(line, number);
    }
  }
  if (rest + decoder.end() !== '') throw new ArchiveFault(`breaks off behind line ${number}`);
  return number;
}

/** What reading threw, as a fault of the file; anything else is thrown on. */
function faultOf(thrown: unknown): string {
  if (thrown instanceof ArchiveFault) return thrown.message;
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
  if (code === 'Z_BUF_ERROR') return 'breaks off';
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
 * Hands over each entry of the file, before it is known whether the file is the right one: undefined says that it is; otherwise what is wrong with it, and
 * nothing of what was handed over may be used. What `onEntry` throws is thrown on, but for `corrupt`: that is a fault of the line.
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
      if (thrown instanceof CofferdamError && thrown.code === 'corrupt') throw new ArchiveFault(`line ${number}: ${thrown.message}`);
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
  if (sha256 !== expected.sha256) return `is not the file that was written: its SHA-256 is ${sha256}, the gateway has ${expected.sha256}`;
  if (entries !== expected.entries) return `has ${entries} entries, the gateway has ${expected.entries}`;
  return undefined;
}
