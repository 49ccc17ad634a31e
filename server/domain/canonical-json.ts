// Owns: canonical JSON (RFC 8785): exactly one text for each value, so that a signature over the text has one meaning.
// Must never: write a number that two implementations could write differently.
import { CofferdamError } from './errors.ts';

type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/**
 * Returns the canonical text of a value. Throws `invalid` for values that JSON cannot hold, numbers that are not safe
 * integers, and text with lone surrogates.
 */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value) || Object.is(value, -0))
      throw new CofferdamError('invalid', 'numbers must be whole here');
    return String(value);
  }
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw new CofferdamError('invalid', 'text must be well-formed Unicode');
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map((one) => canonicalJson(one)).join(',')}]`;
  if (typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype) {
    const named = value as Readonly<Record<string, unknown>>;
    const names = Object.keys(named).filter((name) => named[name] !== undefined);
    // The default sort order is that of UTF-16 code units, as RFC 8785 section 3.2.3 requires.
    return `{${names
      .sort()
      .map((name) => `${canonicalJson(name)}:${canonicalJson(named[name])}`)
      .join(',')}}`;
  }
  throw new CofferdamError('invalid', 'this cannot be written as JSON');
}

/**
 * Returns the value of a canonical text. Throws `invalid` for any other text, so that no value can be signed in two
 * spellings.
 */
export function parseCanonicalJson(text: string): Json {
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch (cause) {
    throw new CofferdamError('invalid', 'this is not JSON', { cause });
  }
  if (canonicalJson(value) !== text) throw new CofferdamError('invalid', 'this is not canonical JSON');
  return value;
}
