// Owns: where a secret may go: a terminal, once, or a new file that only its owner reads.
// Must never: print one into a pipe, a log or an argument.
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, unlinkSync, writeSync } from 'node:fs';
import type { Given, Option } from './command.ts';

export const outOption: Option = {
  name: 'out',
  value: 'FILE',
  help: 'write the secret to this new file (mode 0600) instead of the terminal',
};

const letters = 'abcdefghijklmnopqrstuvwxyz234567';
/** So many letters of base32, 5 bits each. */
export const randomLetters = (count: number): string => Array.from(randomBytes(count), (byte) => letters[byte & 31]).join('');

export type Delivered = { readonly file: string | null; readonly text: string };

/**
 * Runs `register` (which makes the secret valid) with the place for the secret secured before; a file that is there is not touched, and a
 * new one goes again when the registration fails. `text` is what a person may see.
 */
export async function deliver<T>(
  given: Given,
  secret: string,
  register: () => Promise<T>,
): Promise<{ readonly result: T; readonly delivered: Delivered }> {
  const { out } = given.options;
  if (out === undefined) {
    if (!given.isTerminal)
      throw new RangeError('a secret is shown on a terminal only, once: use --out FILE to have it written to a new file');
    return { result: await register(), delivered: { file: null, text: secret } };
  }
  let file: number;
  try {
    file = openSync(out, 'wx', 0o600);
  } catch {
    throw new RangeError(`${out} cannot be made: --out takes a file that does not exist yet`);
  }
  try {
    const result = await register();
    writeSync(file, `${secret}\n`);
    return { result, delivered: { file: out, text: `(written to ${out})` } };
  } catch (error) {
    unlinkSync(out);
    throw error;
  } finally {
    closeSync(file);
  }
}
