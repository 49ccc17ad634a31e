// Owns: a dump and its archives as files: their hashes, and their lines merged by tree and position.
// Must never: accept an archive for anything except the very bytes whose hash was taken.
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { exactly, messageOf, parseStrictly } from './json.js';
import { openRegular, readLines } from './lines.js';

/**
 * @typedef {import('./lines.js').Readable} Readable
 * @typedef {import('./record.js').Archive} Archive
 * @typedef {import('./record.js').Verification} Verification
 */

const archiveFile = /^ledger-\d{4}-\d\d\.jsonl(?:\.gz)?$/;

/**
 * Returns the files of months in a directory, by name. Throws when the directory cannot be read.
 * @param {string} directory
 */
export const archivesIn = (directory) =>
  readdirSync(directory)
    .filter((name) => archiveFile.test(name))
    .sort();

/** @param {string} path @returns {Promise<string>} */
export async function sha256OfFile(path) {
  const hash = createHash('sha256');
  for await (const chunk of openRegular(path)) hash.update(chunk);
  return hash.digest('hex');
}

/** One sorted file of lines, read one line ahead. */
export class Source {
  /**
   * The parsed line; undefined at the end, or for what is not JSON.
   * @type {unknown}
   */
  value;
  isAtEnd = false;
  /** The place of the entry, as a text that sorts. What is no entry is examined and reported at once. */
  key = '';
  #name;
  #batches;
  /** @type {readonly string[]} */
  #batch = [];
  #offset = 0;
  #line = 0;

  /**
   * @param {string} name
   * @param {number} index 0: the dump.
   * @param {AsyncGenerator<readonly string[], void>} batches
   */
  constructor(name, index, batches) {
    this.#name = name;
    this.index = index;
    this.#batches = batches;
  }

  get where() {
    return `${this.#name} line ${this.#line}`;
  }

  /** Advances inside what was read; false means that more must be read. */
  step() {
    while (this.#offset < this.#batch.length) {
      const text = this.#batch[this.#offset];
      this.#offset += 1;
      this.#line += 1;
      if (text === undefined || text === '') continue;
      this.value = parseStrictly(text);
      const entry = exactly(this.value, ['entry'])?.entry;
      this.key = Array.isArray(entry) ? `${entry[0]} ${String(entry[1]).padStart(16, '0')}` : '';
      return true;
    }
    return false;
  }

  async next() {
    while (!this.step()) {
      const read = await this.#batches.next();
      if (read.done === true) {
        this.end();
        return;
      }
      this.#batch = read.value;
      this.#offset = 0;
    }
  }

  end() {
    this.isAtEnd = true;
    this.value = undefined;
  }
}

/**
 * @param {string} directory
 * @param {readonly Archive[]} archives
 * @param {Verification} verification
 */
export const openArchives = (directory, archives, verification) =>
  archives.map(
    ({ file, sha256 }, i) => new Source(file, i + 1, hashedLines(join(directory, file), sha256, verification)),
  );

/**
 * Returns the lines of an archive. At its end its hash must be the one that was taken before.
 * @param {string} path
 * @param {string} sha256
 * @param {Verification} verification
 */
async function* hashedLines(path, sha256, verification) {
  const hash = createHash('sha256');
  yield* readLines(path, true, (bytes) => hash.update(bytes), true);
  if (hash.digest('hex') !== sha256) verification.findings.say('archive', `${path} was changed while it was read`);
}

/**
 * Advances one source; a source that breaks off ends there.
 * @param {Source} source @param {Verification} verification
 */
async function advance(source, verification) {
  try {
    await source.next();
  } catch (cause) {
    // The dump itself must be whole. An archive that breaks off is a finding, and its entries are not known.
    if (source.index === 0) throw cause;
    verification.findings.say(
      'unreadable',
      `${source.where}: the archive broke off behind this line: ${messageOf(cause)}`,
    );
    source.end();
  }
}

/**
 * Returns the dump first, up to its entries; then entries of dump and archives by tree and position.
 * @param {Source} dump
 * @param {readonly Source[]} archives
 * @param {Verification} verification
 */
export async function feed(dump, archives, verification) {
  await advance(dump, verification);
  while (!dump.isAtEnd && dump.key === '') {
    verification.line(dump.value, dump.where, dump.index);
    if (!dump.step()) await advance(dump, verification);
  }
  for (const source of archives) await advance(source, verification);
  let open = [dump, ...archives].filter((source) => !source.isAtEnd);
  while (open.length > 0) {
    open.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.index - b.index));
    const [source, second] = open;
    if (source === undefined) return;
    // A month is one run in each tree, so mostly the same source continues.
    do {
      verification.line(source.value, source.where, source.index);
      if (!source.step()) await advance(source, verification);
    } while (!source.isAtEnd && (second === undefined || source.key < second.key));
    if (source.isAtEnd) open = open.filter((one) => one !== source);
  }
}
