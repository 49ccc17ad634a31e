// Owns: the one parser of virtual paths (SFTP path bytes → component list) and the rules for names.
// Must never: know the host's file system. A path is a list of names looked up in the catalogue (T-07).
import { CofferdamError } from './errors.ts';

export const maxNameBytes = 255;
export const maxPathBytes = 4096;
export const maxPathDepth = 32;

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** An absolute, resolved virtual path: no empty, `.` or `..` component. The root is the empty list. */
export type VirtualPath = readonly string[];

/** True when `name` may stand in the catalogue: valid Unicode, 1–255 bytes of UTF-8, no control character, no slash, not `.` or `..`. Not normalised. */
export function isValidName(name: string): boolean {
  if (name === '' || name === '.' || name === '..') return false;
  if (!name.isWellFormed()) return false;
  for (let i = 0; i < name.length; i += 1) {
    const unit = name.charCodeAt(i);
    if (unit < 0x20 || unit === 0x2f || (unit >= 0x7f && unit <= 0x9f)) return false;
  }
  return encoder.encode(name).length <= maxNameBytes;
}

/**
 * Parses the bytes of an SFTP path, relative ones against the root (a session has no other working directory).
 * `.` and empty components vanish, `..` takes one away and stops at the root, as a client's own arithmetic expects.
 * Throws `invalid` on bytes that are not UTF-8, on forbidden names, and beyond the limits.
 */
export function parsePath(bytes: Uint8Array): VirtualPath {
  if (bytes.length > maxPathBytes) throw new CofferdamError('invalid', 'path is too long');
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    throw new CofferdamError('invalid', 'path is not valid UTF-8');
  }
  const components: string[] = [];
  for (const part of text.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') {
      components.pop();
      continue;
    }
    if (!isValidName(part)) throw new CofferdamError('invalid', 'a name in the path is not allowed');
    components.push(part);
  }
  if (components.length > maxPathDepth) throw new CofferdamError('invalid', 'path has too many levels');
  return components;
}

/** The canonical text of a virtual path, as REALPATH returns it. */
export function formatPath(path: VirtualPath): string {
  return `/${path.join('/')}`;
}

/** Account, customer, folder and operator names: `[a-z0-9][a-z0-9._-]{0,63}`, checked as bytes (T-10). */
export function isValidAccountName(name: string): boolean {
  return /^[a-z0-9][a-z0-9._-]{0,63}$/.test(name) && !name.endsWith('\n');
}
