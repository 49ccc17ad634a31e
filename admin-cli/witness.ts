// Owns: reading the checkpoints of a witness on the operator's machine: all of them, or as many as one call can hold,
// always including the newest.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { CofferdamError } from '../server/domain/errors.ts';
import { parseNote } from '../server/domain/ledger/checkpoint.ts';
import { inputText } from './input-file.ts';

const name = /^checkpoints-\d{4}-\d\d-\d\d\.jsonl(?:\.gz)?$/;
/** The largest number of notes in one call. */
const notesMax = 180;

/** Returns every note of one witness in its order. A last line that was cut off by a crash is ignored. */
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

/** Returns the newest notes, the first and the last of each era, and others evenly between them. */
export function thinned(notes: readonly string[]): readonly string[] {
  if (notes.length <= notesMax) return notes;
  const eras = notes.map((note) => parseNote(note).checkpoint.era);
  const step = notes.length / (notesMax / 2);
  const kept = new Set(Array.from({ length: notesMax / 2 }, (_, i) => Math.floor(i * step)));
  for (let i = 0; i < notes.length; i += 1) if (eras[i] !== eras[i - 1] || eras[i] !== eras[i + 1]) kept.add(i);
  for (let i = Math.max(0, notes.length - notesMax / 4); i < notes.length; i += 1) kept.add(i);
  return [...kept].sort((a, b) => a - b).map((i) => notes[i] ?? '');
}

/** Returns the verifier keys of an option: one key, or a file with one on each line. */
export const keysOf = (given: string): readonly string[] =>
  existsSync(given)
    ? inputText(given)
        .split('\n')
        .map((line) => line.trim())
        .filter((line) => line !== '')
    : [given];
