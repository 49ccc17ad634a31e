// Owns: reading the directories of witnesses: one file a day, perhaps compressed, perhaps there twice.
// Must never: pass over a file of checkpoints that cannot be read.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, parseStrictly } from './json.js';
import { readLines } from './lines.js';
import { Witness } from './witness.js';

/**
 * @typedef {import('./witness.js').Mark} Mark
 * @typedef {import('./note.js').VerifierKey} VerifierKey
 */

const witnessFile = /^checkpoints-(\d{4}-\d\d-\d\d)\.jsonl(?:\.gz)?$/;

/**
 * Reads every checkpoint of one or several witnesses. Throws when a directory cannot be read.
 * @param {readonly string[]} directories
 * @param {readonly VerifierKey[]} keys
 */
export async function readWitness(directories, keys) {
  const witness = new Witness(keys);
  for (const directory of directories) {
    /** @type {string[]} */
    const days = [];
    let files = 0;
    /** @type {Mark | undefined} */
    let before;
    /** @type {Mark | undefined} */
    let last;
    for (const name of readdirSync(directory).sort()) {
      const [, day] = witnessFile.exec(name) ?? [];
      if (day === undefined) continue;
      // A day may stand there twice, compressed and not yet removed: both go on from the day before.
      if (day !== days.at(-1)) {
        days.push(day);
        before = last;
      }
      files += 1;
      last = await readNotes(join(directory, name), witness, before);
    }
    witness.read.push(said(directory, files, days));
  }
  witness.close();
  return witness;
}

/**
 * @param {string} directory
 * @param {number} files
 * @param {readonly string[]} days
 */
function said(directory, files, days) {
  const [first, last] = [days[0], days.at(-1)];
  if (first === undefined || last === undefined) return `witness ${directory}: no file of checkpoints`;
  const between = Math.round((Date.parse(last) - Date.parse(first)) / 86_400_000) + 1;
  const gaps = Number.isNaN(between) || between === days.length ? '' : `; ${between - days.length} days between have no file`;
  return `witness ${directory}: ${files} files of ${days.length} days, ${first} to ${last}${gaps}`;
}

/**
 * @param {string} path
 * @param {Witness} witness
 * @param {Mark | undefined} before
 */
async function readNotes(path, witness, before) {
  let last = before;
  let line = 0;
  try {
    for await (const batch of readLines(path, false, undefined, true))
      for (const text of batch) {
        line += 1;
        last = witness.add(parseStrictly(text), `${path} line ${line}`, last);
      }
  } catch (cause) {
    witness.findings.say('unreadable', `${path}: broke off after line ${line}: ${messageOf(cause)}`);
  }
  return last;
}
