// Owns: the two things that can be verified from files: a whole record, and one customer's slice.
// Must never: answer when a file could not be opened: that throws.
import { join } from 'node:path';
import { archivesIn, feed, openArchives, Source, sha256OfFile } from './archives.js';
import { parseStrictly } from './json.js';
import { readLines } from './lines.js';
import { Verification } from './record.js';
import { SliceVerification } from './slice.js';
import { readWitness } from './witness-files.js';

/**
 * @typedef {import('./lines.js').Readable} Readable
 * @typedef {import('./note.js').VerifierKey} VerifierKey
 *
 * @typedef {object} RecordOptions
 * @property {readonly VerifierKey[]} keys
 * @property {readonly string[]} witnesses Directories.
 * @property {string | undefined} [archive] Directory.
 * @property {number} maxAgeSeconds
 * @property {string | Readable} dump
 * @property {number} now Milliseconds since 1970.
 *
 * @typedef {object} SliceOptions
 * @property {readonly VerifierKey[]} keys
 * @property {readonly string[]} witnesses Directories; none: nothing is compared with a witness.
 * @property {string | Readable} slice
 * @property {number | undefined} [since] The window of the slice has to begin at this time or before, in microseconds since 1970.
 * @property {number | undefined} [until] It has to reach to this time.
 */

/** Verifies a whole record. Throws when dump, archive or witness cannot be opened. @param {RecordOptions} options */
export async function verifyRecord({ keys, witnesses, archive, maxAgeSeconds, dump, now }) {
  const witness = await readWitness(witnesses, keys);
  const archives = [];
  if (archive !== undefined)
    for (const file of archivesIn(archive)) archives.push({ file, sha256: await sha256OfFile(join(archive, file)) });
  const verification = new Verification({ witness, now, maxAgeSeconds, archives });
  const source = new Source(typeof dump === 'string' ? dump : 'the dump', 0, readLines(dump, true));
  await feed(source, openArchives(archive ?? '', archives, verification), verification);
  return verification.finish();
}

/** Verifies one customer's slice. Throws when it or a witness cannot be opened. @param {SliceOptions} options */
export async function verifySlice({ keys, witnesses, slice, since, until }) {
  const witness = witnesses.length === 0 ? undefined : await readWitness(witnesses, keys);
  const verification = new SliceVerification(keys, witness, { since, until });
  let line = 0;
  for await (const batch of readLines(slice, true))
    for (const text of batch) {
      line += 1;
      if (text !== '') verification.line(parseStrictly(text), `line ${line}`);
    }
  return verification.finish();
}
