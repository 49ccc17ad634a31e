// Owns: reading the checkpoints of a witness on the operator's side, all of them.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { CofferdamError } from '../server/domain/errors.ts';
import { type Checkpoint, parseNote } from '../server/domain/ledger/checkpoint.ts';
import { inputText } from './input-file.ts';

const name = /^checkpoints-\d{4}-\d\d-\d\d\.jsonl(?:\.gz)?$/;

/** Every note of one witness, in its order. A last line that a crash cut off does not count. */
export function notesOf(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
      .filter((file) => name.test(file))
      .sort()
      .flatMap((file) => {
        const bytes = readFileSync(join(directory, file));
        const text = (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
        return text
          .slice(0, text.lastIndexOf('\n') + 1)
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => JSON.parse(line) as string);
      });
  } catch (cause) {
    throw new CofferdamError('configuration', `the witness in ${directory} cannot be read. Nothing was verified`, { cause });
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

/** Verifier keys of an option: one, or a file with one on each line. */
export const keysOf = (given: string): readonly string[] =>
  existsSync(given)
    ? inputText(given)
        .split('\n')
        .map((line) => line.trim())
        .filter((line) => line !== '')
    : [given];

/** The directories of an option that names one or several, with commas between them. */
export function witnessesOf(given: string): readonly string[] {
  const directories = given.split(',').filter((one) => one !== '');
  for (const one of directories)
    if (!existsSync(one)) throw new CofferdamError('configuration', `there is no witness in ${one}. Nothing was verified`);
  return directories;
}
