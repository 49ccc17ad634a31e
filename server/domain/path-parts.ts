// Owns: the parts of which paths of the file system are made. Every part that is not a constant of the program is
// parsed here, and `test/house/path-parts` refuses paths that are made of anything else.
// Must never: make a part of a string whose form was not checked. Whoever owns the database writes any text into any
// column, so an identifier that came out of a row is no name of a file before it was parsed.
import { CofferdamError } from './errors.ts';

declare const parsed: unique symbol;
/** One name in a directory: no slash, no NUL, not empty, not `.` and not `..`. Only the functions below make one. */
export type PathPart = string & { readonly [parsed]: true };

function parse(text: string, form: RegExp, what: string): PathPart {
  if (!form.test(text))
    throw new CofferdamError('corrupt', `this is not ${what}: ${JSON.stringify(text.slice(0, 80))}`);
  return text as PathPart;
}

/** Parses the id of an object of the store: 32 lower-case hexadecimal digits. Throws `corrupt` for anything else. */
export const objectPart = (object: string): PathPart => parse(object, /^[0-9a-f]{32}$/, 'the id of an object');

/**
 * Returns the directory in which an object stands: the first two digits of its id. Throws `corrupt` as `objectPart`
 * does.
 */
export const objectDirectoryPart = (object: string): PathPart => objectPart(object).slice(0, 2) as PathPart;

/**
 * Parses the name of one of the 256 directories of the store: two hexadecimal digits. Throws `corrupt` for anything
 * else.
 */
export const prefixPart = (prefix: string): PathPart => parse(prefix, /^[0-9a-f]{2}$/, 'a directory of the store');

/** Parses the name of an edge, by the rule of the configuration. Throws `corrupt` for anything else. */
export const nodePart = (node: string): PathPart => parse(node, /^[a-z0-9][a-z0-9._-]{0,63}$/, 'the name of an edge');

/**
 * Parses a month as a row has it, the ISO date of a day, and returns the name of its archive file. Throws `corrupt` for
 * anything else.
 */
export const archivePart = (month: string): PathPart =>
  `ledger-${parse(month, /^\d{4}-(?:0[1-9]|1[0-2])-\d\d$/, 'a month').slice(0, 7)}.jsonl.gz` as PathPart;

/**
 * Parses a name that this program composes of letters, digits, `.`, `_` and `-`. Throws `corrupt` for anything else.
 */
export const filePart = (name: string): PathPart =>
  parse(name, /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,255}$/, 'the name of a file');

/**
 * Parses a name that a listing of a directory has returned, which may be any name that a file can have. Throws
 * `corrupt` for what is no such name.
 */
export const entryPart = (name: string): PathPart => parse(name, /^(?!\.{1,2}$)[^/\0]+$/, 'an entry of a directory');
