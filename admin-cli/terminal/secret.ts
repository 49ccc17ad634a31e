// Owns: where a secret may be written: to a terminal, once, or to a new file that only its owner can read.
// Must never: write a secret to a pipe, a log or an argument.
import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { syncDirectory } from '../../server/disk/durable-file.ts';
import { CofferdamError } from '../../server/domain/errors.ts';

const letters = 'abcdefghijklmnopqrstuvwxyz234567';
/** Returns random letters of base32, with 5 bits of randomness each. */
export const randomLetters = (count: number): string =>
  Array.from(randomBytes(count), (byte) => letters[byte & 31]).join('');

/** What the command line says about where a secret goes. */
type Where = { readonly options: { readonly out?: string | undefined }; readonly isTerminal: boolean };
type Handed = { readonly file: string | null; readonly text: string };

/**
 * Runs `register`, which makes the secret valid, after the secret was written to its file: whenever this process ends,
 * there is no valid secret that nobody knows. An existing file is never touched. A new file is deleted when the
 * registration was refused, and kept when its outcome is unknown. `text` is what a person may see.
 */
export async function handOver<T>(
  given: Where,
  secret: string,
  register: () => Promise<T>,
): Promise<{ readonly result: T; readonly handed: Handed }> {
  const { out } = given.options;
  if (out === undefined) {
    if (!given.isTerminal)
      throw new RangeError(
        'a secret is shown on a terminal only, once: use --out FILE to have it written to a new file',
      );
    return { result: await register(), handed: { file: null, text: secret } };
  }
  let file: number;
  try {
    file = openSync(out, 'wx', 0o600);
  } catch {
    throw new RangeError(`${out} cannot be made: --out takes a file that does not exist yet`);
  }
  try {
    writeSync(file, `${secret}\n`);
    fsyncSync(file);
    syncDirectory(dirname(out));
    return { result: await register(), handed: { file: out, text: `(written to ${out})` } };
  } catch (error) {
    if (error instanceof CofferdamError && error.code === 'unavailable')
      throw new CofferdamError(error.code, `${error.message}. If it was done, ${out} holds the secret`, {
        cause: error,
      });
    unlinkSync(out);
    throw error;
  } finally {
    closeSync(file);
  }
}
