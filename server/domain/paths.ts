// Owns: the one parser of virtual paths (the bytes of an SFTP path become a list of names), and the rules for names.
// Must never: know the host's file system. A path is a list of names that are looked up in the catalogue (T-07).
import { CofferdamError } from './errors.ts';

export const maxNameBytes = 255;
export const maxPathBytes = 4096;
export const maxPathDepth = 32;

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** An absolute, resolved virtual path: no empty, `.` or `..` component. The root is the empty list. */
export type VirtualPath = readonly string[];

/** Returns why a name cannot be in the catalogue; undefined when it may be. */
function faultOf(name: string): string | undefined {
  if (name === '' || name === '.' || name === '..' || name.includes('/')) return 'a name in the path is not allowed';
  if (!name.isWellFormed()) return 'a name in the path is not well-formed Unicode';
  for (const character of name) {
    const point = character.codePointAt(0) ?? 0;
    if (point < 0x20 || (point >= 0x7f && point <= 0x9f)) return 'a name in the path has a control character';
  }
  return encoder.encode(name).length > maxNameBytes
    ? `a name in the path is longer than ${maxNameBytes} bytes of UTF-8`
    : undefined;
}

/**
 * Returns whether a name may be in the catalogue: well-formed Unicode, 1 to 255 bytes of UTF-8, no control character,
 * no slash, and neither `.` nor `..`. Names are not normalised.
 */
export function isValidName(name: string): boolean {
  return faultOf(name) === undefined;
}

/**
 * Parses the bytes of an SFTP path. A relative path begins where the session starts, at the root unless `start` says
 * otherwise. `.` and empty components are dropped; `..` removes one component and stops at the root, as clients expect.
 * Throws `invalid` for bytes that are not UTF-8, for names that are not allowed, and beyond the limits.
 */
export function parsePath(bytes: Uint8Array, start: VirtualPath = []): VirtualPath {
  if (bytes.length > maxPathBytes) throw new CofferdamError('invalid', `the path is longer than ${maxPathBytes} bytes`);
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    throw new CofferdamError('invalid', 'the path is not UTF-8');
  }
  const components: string[] = text.startsWith('/') ? [] : [...start];
  for (const part of text.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') {
      components.pop();
      continue;
    }
    const fault = faultOf(part);
    if (fault !== undefined) throw new CofferdamError('invalid', fault);
    components.push(part);
  }
  if (components.length > maxPathDepth)
    throw new CofferdamError('invalid', `the path has more than ${maxPathDepth} levels`);
  return components;
}

/** Returns the canonical text of a virtual path, as REALPATH returns it. */
export function formatPath(path: VirtualPath): string {
  return `/${path.join('/')}`;
}

/**
 * Returns whether a name is valid for an account, a customer, a folder or an operator: `[a-z0-9][a-z0-9._-]{0,63}`,
 * compared as bytes (T-10).
 */
export function isValidAccountName(name: string): boolean {
  return /^[a-z0-9][a-z0-9._-]{0,63}$/.test(name);
}
