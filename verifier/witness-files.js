// Owns: reading the directories of witnesses: one file a day, perhaps compressed, perhaps there twice; and how far each
// was read.
// Must never: skip a file of checkpoints that cannot be read, or believe without looking that what was read before is
// still there.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { instantText } from './findings.js';
import { messageOf, parseStrictly } from './json.js';
import { openFile, readLines } from './lines.js';
import { isLater } from './note.js';
import { Passage } from './passage.js';
import { Witness } from './witness.js';

/**
 * @typedef {import('./known.js').Base} Base
 * @typedef {import('./note.js').Note} Note
 * @typedef {import('./note.js').VerifierKey} VerifierKey
 * @typedef {import('./passage.js').Mileage} Mileage
 * @typedef {import('./witness.js').Step} Step
 *
 * @typedef {Mileage & { readonly day: string, readonly last: Step | null }} ReadFile `last`: the checkpoint with which the next line is compared.
 * @typedef {{ readonly directory: string, readonly days: readonly string[], readonly files: readonly ReadFile[] }} Place
 *
 * @typedef {object} Reading
 * @property {Base | undefined} [base] What an earlier run left.
 * @property {boolean} [isSince] Whether what it read is passed over, once it was seen to be there still.
 * @property {number} [now] Milliseconds since 1970. Without it, no day is too late.
 * @property {number} [bytesMax] How much of one file is read, unpacked.
 * @property {(text: string, note: Note) => void} [onBelieved] Gets every note that is believed.
 */

const witnessFile = /^checkpoints-(\d{4}-\d\d-\d\d)\.jsonl(?:\.gz)?$/;
const dayMs = 86_400_000;
/** Unpacked. Four checkpoints a second, which is the most by default, make about 140 MB in a day. */
const fileBytesMax = 512 * 2 ** 20;
/** Lines of one file that are no checkpoints to be believed. What comes behind so many is not read. */
const junkLinesMax = 100;
/**
 * Files of the last days that have come may still get lines; they are compared, byte by byte, with what was read of
 * them.
 */
const openDays = 2;

/**
 * Reads every checkpoint of one or several witnesses, or those that came since. Throws when a directory cannot be read.
 * @param {readonly string[]} directories
 * @param {readonly VerifierKey[]} keys
 * @param {Reading} [reading]
 */
export async function readWitness(directories, keys, reading = {}) {
  const { base } = reading;
  const witness = new Witness(keys);
  if (base !== undefined) witness.remember(base.note, base.text);
  for (const directory of directories) {
    const known = base?.witnesses.find((place) => place.directory === directory);
    witness.places.push(await readPlace(witness, directory, known, reading));
  }
  witness.close();
  return witness;
}

/**
 * Returns its files by day. A day may be there twice, compressed and not yet removed: the one that is not compressed
 * comes first.
 * @param {string} directory
 */
function daysOf(directory) {
  /** @type {Map<string, string[]>} */
  const days = new Map();
  for (const name of readdirSync(directory).sort()) {
    const [, day] = witnessFile.exec(name) ?? [];
    if (day !== undefined) days.set(day, [...(days.get(day) ?? []), name]);
  }
  return days;
}

/**
 * @param {Witness} witness
 * @param {string} directory
 * @param {Place | undefined} known
 * @param {Reading} reading
 * @returns {Promise<Place>}
 */
async function readPlace(witness, directory, known, reading) {
  const { isSince = false, now } = reading;
  /** @type {Note | undefined} */
  let newest;
  const onBelieved = (/** @type {string} */ text, /** @type {Note} */ note) => {
    if (newest === undefined || !isLater(newest, note)) newest = note;
    reading.onBelieved?.(text, note);
  };
  const days = daysOf(directory);
  const hasCome = hasComeBy(now);
  for (const day of days.keys())
    if (!hasCome(day))
      witness.findings.say(
        'from the future',
        `witness ${directory}: it has a file of ${day}, more than a day ahead of this machine's clock: somebody put it there, or the clock is wrong`,
      );
  const lastKnown = known?.days.filter(hasCome).at(-1) ?? '';
  for (const day of known?.days ?? []) if (!days.has(day)) sayGone(witness, `${directory}: its file of ${day} is gone`);
  /** @type {ReadFile[]} */
  const files = [];
  let [count, passed] = [0, 0];
  /** @type {Step | undefined} */
  let before;
  for (const [day, names] of days) {
    const file = known?.files.find((one) => one.day === day);
    if (isSince && file === undefined && day <= lastKnown) {
      passed += 1;
      if (known?.days.includes(day) !== true)
        witness.whyFullRun ??= `${directory} has a file of ${day} that the last good run did not see`;
      continue;
    }
    /** @type {Step | undefined} */
    let last;
    // Both files of a day continue from the day before.
    for (const name of isSince ? names.slice(0, 1) : names) {
      count += 1;
      const passage = new Passage(name === names[0] ? file : undefined, isSince);
      const start = isSince && file !== undefined ? (file.last ?? undefined) : before;
      const done = await readNotes(join(directory, name), witness, start, passage, {
        ...reading,
        onBelieved,
        isSecond: name !== names[0],
      });
      // What was read of a compressed file that is not whole stands in the other one, too.
      if (name === names[0] || done.why === undefined) last = done.last;
      else
        witness.read.push(`witness ${directory}: ${name} is not whole yet (${done.why}); the file beside it was read`);
      if (name === names[0]) files.push({ ...passage.mileage, day, last: stepOf(last) });
    }
    before = last;
  }
  const all = [...days.keys()];
  const what = isSince
    ? `witness ${directory}: what came since in ${count} files; ${passed} of earlier days are there`
    : said(directory, count, all);
  witness.read.push(`${what}; newest checkpoint: ${newestText(newest)}`);
  return { directory, days: all, files: files.filter(({ day }) => hasCome(day)).slice(-openDays) };
}

/**
 * Returns whether a day has come, by this machine's clock, or comes within a day: clocks differ.
 * @param {number | undefined} now
 * @returns {(day: string) => boolean}
 */
function hasComeBy(now) {
  if (now === undefined) return () => true;
  const last = new Date(now + dayMs).toISOString().slice(0, 10);
  return (day) => day <= last;
}

/** @param {Note | undefined} note */
const newestText = (note) =>
  note === undefined ? 'none' : `size ${note.size}, era ${note.era}, ${instantText(note.time)}`;

/** @param {Step | undefined} step @returns {Step | null} */
const stepOf = (step) => (step === undefined ? null : { size: step.size, era: step.era, time: step.time });

/** @param {Witness} witness @param {string} what */
const sayGone = (witness, what) =>
  witness.findings.say(
    'shrunk',
    `witness ${what}: it was there when this verifier read it last, and what a witness has seen it keeps`,
  );

/**
 * @param {string} directory
 * @param {number} files
 * @param {readonly string[]} days
 */
function said(directory, files, days) {
  const [first, last] = [days[0], days.at(-1)];
  if (first === undefined || last === undefined) return `witness ${directory}: no file of checkpoints`;
  const between = Math.round((Date.parse(last) - Date.parse(first)) / 86_400_000) + 1;
  const gaps =
    Number.isNaN(between) || between === days.length ? '' : `; ${between - days.length} days between have no file`;
  return `witness ${directory}: ${files} files of ${days.length} days, ${first} to ${last}${gaps}`;
}

/**
 * Throws when more comes than a day of checkpoints can be.
 * @param {number} bytesMax
 * @param {import('./lines.js').Readable} stream
 * @returns {AsyncGenerator<Buffer, void>}
 */
async function* within(bytesMax, stream) {
  let bytes = 0;
  for await (const chunk of stream) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new Error(`it is longer than a day of checkpoints (${bytesMax} bytes, unpacked)`);
    yield chunk;
  }
}

/**
 * @param {string} path
 * @param {Witness} witness
 * @param {Step | undefined} before
 * @param {Passage} passage
 * @param {Reading & { readonly isSecond: boolean }} how `isSecond`: whether the day stands there in another file, too, which was read.
 * @returns {Promise<{ readonly last: Step | undefined, readonly why: string | undefined }>} `why`: it broke off.
 */
async function readNotes(path, witness, before, passage, { isSecond, onBelieved, bytesMax = fileBytesMax }) {
  let last = before;
  let [line, junk] = [0, 0];
  const where = passage.offset === 0 ? path : `${path} behind byte ${passage.offset}`;
  try {
    const bytes = within(bytesMax, openFile(path, undefined, true));
    for await (const batch of readLines(Readable.from(passage.through(bytes)), false))
      for (const text of batch) {
        line += 1;
        const { checkpoints } = witness;
        last = witness.add(parseStrictly(text), `${where} line ${line}`, last, onBelieved);
        if (witness.checkpoints > checkpoints) continue;
        junk += 1;
        if (junk >= junkLinesMax)
          throw new Error(`${junk} lines of it are no checkpoints to be believed, and the rest was not read`);
      }
  } catch (cause) {
    if (isSecond) return { last, why: messageOf(cause) };
    witness.findings.say('unreadable', `${where}: broke off after line ${line}: ${messageOf(cause)}`);
  }
  if (passage.isOther) sayGone(witness, `${path}: it is shorter, or its earlier content changed`);
  return { last, why: undefined };
}
