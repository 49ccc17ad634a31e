// Owns: the two things that can be verified from files: a whole record, and one customer's slice.
// Must never: answer when a file could not be opened: that throws.
import { join } from 'node:path';
import { archivesIn, feed, openArchives, Source, sha256OfFile } from './archives.js';
import { parseStrictly } from './json.js';
import { whyWhole } from './known.js';
import { readLines } from './lines.js';
import { Verification } from './record.js';
import { SliceVerification } from './slice.js';
import { readWitness } from './witness-files.js';

/**
 * @typedef {import('./known.js').Base} Base
 * @typedef {import('./known.js').Known} Known
 * @typedef {import('./lines.js').Readable} Readable
 * @typedef {import('./record.js').Report} Report
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
 * @typedef {RecordOptions & { readonly base?: Base | undefined }} WholeOptions `base`: what an earlier run proved. Everything is read all the same, and compared with it.
 * @typedef {Omit<RecordOptions, 'dump' | 'archive'> & { readonly base: Base, readonly dump: () => Readable }} SinceOptions
 * @typedef {{ readonly report: Report, readonly known: Known | undefined }} Done `known`: what the next run can go on from.
 *
 * @typedef {object} SliceOptions
 * @property {readonly VerifierKey[]} keys
 * @property {readonly string[]} witnesses Directories; none: nothing is compared with a witness.
 * @property {string | Readable} slice
 * @property {number | undefined} [since] The window of the slice has to begin at this time or before, in microseconds since 1970.
 * @property {number | undefined} [until] It has to reach to this time.
 */

/**
 * Verifies a whole record. Throws when dump, archive or witness cannot be opened.
 * @param {RecordOptions} options
 */
export const verifyRecord = async (options) => (await verifyWhole(options)).report;

/**
 * The same, compared with what an earlier run saw: a checkpoint that it believed counts as one of a witness, and no
 * witness may have lost what it had.
 * @param {WholeOptions} options
 * @returns {Promise<Done>}
 */
export async function verifyWhole({ keys, witnesses, archive, maxAgeSeconds, dump, now, base }) {
  const witness = await readWitness(witnesses, keys, { base, now });
  const archives = [];
  if (archive !== undefined)
    for (const file of archivesIn(archive)) archives.push({ file, sha256: await sha256OfFile(join(archive, file)) });
  const verification = new Verification({ witness, now, maxAgeSeconds, archives });
  const source = new Source(typeof dump === 'string' ? dump : 'the dump', 0, readLines(dump, true));
  await feed(source, openArchives(archive ?? '', archives, verification), verification);
  return doneOf(verification);
}

/**
 * Verifies what was sealed since an earlier run: the heads after its last one, and their entries, extended from what it
 * proved. `dump` is asked for lines after the witness was read. The answer is a sentence when only a run that reads
 * everything can tell.
 * @param {SinceOptions} options
 * @returns {Promise<Done | string>}
 */
export async function verifySince({ keys, witnesses, maxAgeSeconds, dump, now, base }) {
  const witness = await readWitness(witnesses, keys, { base, isSince: true, now });
  const why = whyWhole(witness, base);
  if (why !== undefined) return why;
  const verification = new Verification({ witness, now, maxAgeSeconds, base });
  await feed(new Source('the dump', 0, readLines(dump(), true)), [], verification);
  return doneOf(verification);
}

/** @param {Verification} verification @returns {Done} */
function doneOf(verification) {
  const report = verification.finish();
  return { report, known: report.verdict === 'good' ? verification.known() : undefined };
}

/**
 * Verifies one customer's slice. Throws when it or a witness cannot be opened.
 * @param {SliceOptions} options
 */
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
