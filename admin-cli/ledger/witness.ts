// Owns: reading the checkpoints of a witness on the operator's side, all of them.
import { closeSync, constants, existsSync, fstatSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { CofferdamError } from '../../server/domain/errors.ts';
import { type Checkpoint, parseNote } from '../../server/domain/ledger/checkpoint.ts';
import { hasKeyForm, parseVerifierKey, requireOneInstallation } from '../../verifier/index.js';
import { inputText } from '../terminal/input-file.ts';

const name = /^checkpoints-\d{4}-\d\d-\d\d\.jsonl(?:\.gz)?$/;

/** The largest size of one file, and of what it unpacks to, in bytes. A day of checkpoints is far smaller. */
const fileBytesMax = 256 * 2 ** 20;

/** Reads a file of a directory that is perhaps somebody else's: no link is followed, and no pipe is waited for. */
function readRegular(path: string): Buffer {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const info = fstatSync(fd);
    if (!info.isFile()) throw new CofferdamError('configuration', `${path} is no regular file. Nothing was verified`);
    if (info.size > fileBytesMax)
      throw new CofferdamError('configuration', `${path} is longer than a day of checkpoints. Nothing was verified`);
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * A day that is being compressed stands there twice: what is not whole yet counts for nothing beside the file that is.
 */
function textOf(directory: string, file: string, files: readonly string[]): string {
  const bytes = readRegular(join(directory, file));
  if (!file.endsWith('.gz')) return bytes.toString('utf8');
  try {
    return gunzipSync(bytes, { maxOutputLength: fileBytesMax }).toString('utf8');
  } catch (cause) {
    if (files.includes(file.slice(0, -'.gz'.length))) return '';
    throw cause;
  }
}

/** Every note of one witness, in its order. A last line that a crash cut off does not count. */
export function notesOf(directory: string): readonly string[] {
  try {
    const files = readdirSync(directory).filter((file) => name.test(file));
    return files.sort().flatMap((file) => {
      const text = textOf(directory, file, files);
      return text
        .slice(0, text.lastIndexOf('\n') + 1)
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as string);
    });
  } catch (cause) {
    if (cause instanceof CofferdamError) throw cause;
    throw new CofferdamError('configuration', `the witness in ${directory} cannot be read. Nothing was verified`, {
      cause,
    });
  }
}

/**
 * One note for each different checkpoint, the one that was signed last, in the order of eras and sizes. What was judged
 * already needs no copy of a checkpoint that was only signed again.
 */
export function distinctNotes(notes: readonly string[]): string[] {
  const kept = new Map<string, { readonly note: string; readonly of: Checkpoint }>();
  for (const note of notes) {
    const of = parseNote(note).checkpoint;
    const key = `${of.era} ${of.size} ${of.root}`;
    const known = kept.get(key);
    if (known === undefined || known.of.time < of.time) kept.set(key, { note, of });
  }
  return [...kept.values()].sort((a, b) => a.of.era - b.of.era || a.of.size - b.of.size).map((one) => one.note);
}

/**
 * Returns the verifier keys of an option: one key, or a file with one on each line. What has the form of a key is never
 * taken for the name of a file. Throws `invalid` when the keys are of several installations, or one has two ends.
 */
export function keysOf(given: string): readonly string[] {
  const keys = hasKeyForm(given)
    ? [given]
    : inputText(given)
        .split('\n')
        .map((line) => line.trim())
        .filter((line) => line !== '');
  try {
    requireOneInstallation(keys.map(parseVerifierKey));
  } catch (cause) {
    throw new CofferdamError('invalid', `--key: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  return keys;
}

/** The directories of an option that names one or several, with commas between them. */
export function witnessesOf(given: string): readonly string[] {
  const directories = given.split(',').filter((one) => one !== '');
  for (const one of directories)
    if (!existsSync(one))
      throw new CofferdamError('configuration', `there is no witness in ${one}. Nothing was verified`);
  return directories;
}
