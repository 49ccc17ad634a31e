// Owns: the options that name a witness and its keys, and which of its checkpoints the gateway is asked about.
// Must never: read a file of a witness itself: the verifier does, within its limits.
import { existsSync } from 'node:fs';
import { CofferdamError } from '../../server/domain/errors.ts';
import { hasKeyForm, type Note, parseVerifierKey, requireOneInstallation } from '../../verifier/index.js';
import { inputText } from '../terminal/input-file.ts';

/** How many different checkpoints are kept and sent at most. The gateway takes no more. */
const notesMax = 1_000_000;

/**
 * One note for each different checkpoint, the one that was signed last. What was judged already needs no copy of a
 * checkpoint that was only signed again.
 */
export class DistinctNotes {
  readonly #kept = new Map<string, { readonly text: string; readonly note: Pick<Note, 'era' | 'size' | 'time'> }>();

  /** Throws `over-limit` when there are more than the gateway takes. */
  add(text: string, { era, size, time, root }: Note): void {
    const key = `${era} ${size} ${root.toString('base64')}`;
    const known = this.#kept.get(key);
    if (known === undefined && this.#kept.size >= notesMax)
      throw new CofferdamError(
        'over-limit',
        `the witnesses hold more than ${notesMax} different checkpoints: verify with \`cofferdam verify\` or the stand-alone verifier. Nothing was verified`,
      );
    if (known === undefined || known.note.time < time) this.#kept.set(key, { text, note: { era, size, time } });
  }

  /** In the order of eras and sizes. */
  inOrder(): readonly string[] {
    const all = [...this.#kept.values()];
    return all.sort((a, b) => a.note.era - b.note.era || a.note.size - b.note.size).map((one) => one.text);
  }
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
