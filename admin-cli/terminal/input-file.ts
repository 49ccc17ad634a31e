// Owns: the one function through which options of cofferctl read a file or standard input, and the texts for a file
// that cannot be read.
import { readFileSync } from 'node:fs';
import { CofferdamError } from '../../server/domain/errors.ts';

const words: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EISDIR: 'it is a directory',
  ENOTDIR: 'a part of its path is no directory',
  EACCES: 'this user may not read it',
};

/**
 * Returns the text of a file that an operator named; `-` is standard input. Throws `invalid`, with the name of the file
 * and the reason.
 */
export function inputText(path: string): string {
  try {
    return readFileSync(path === '-' ? 0 : path, 'utf8');
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'no text';
    const name = path === '-' ? 'standard input' : path;
    throw new CofferdamError('invalid', `${name} cannot be read: ${words[code] ?? code}. Nothing was done`, { cause });
  }
}
