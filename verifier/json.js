// Owns: reading one line of JSON strictly: each key once, integers only in their plain spelling, no broken text.
// Must never: let two readers see two different things in one line.

/**
 * Counts the keys of every object in a parsed value.
 * @param {unknown} value
 * @returns {number}
 */
function keysIn(value) {
  if (typeof value !== 'object' || value === null) return 0;
  let count = 0;
  if (Array.isArray(value)) {
    for (const one of value) if (typeof one === 'object') count += keysIn(one);
    return count;
  }
  for (const one of Object.values(value)) count += 1 + keysIn(one);
  return count;
}

const isDigit = (/** @type {number} */ code) => code >= 48 && code <= 57;

/**
 * Counts the colons outside strings: this many keys were written. Returns nothing when a number has a fraction, an
 * exponent, or a sign before zero. The text is known to be JSON.
 * @param {string} text
 */
function keysWritten(text) {
  let count = 0;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code === 34) {
      // To the end of the string: a quote after an even number of backslashes.
      for (i = text.indexOf('"', i + 1); isEscaped(text, i); i = text.indexOf('"', i + 1));
    } else if (code === 58) count += 1;
    else if (code === 46) return undefined;
    else if ((code === 101 || code === 69) && isDigit(text.charCodeAt(i - 1))) return undefined;
    else if (code === 45 && text.charCodeAt(i + 1) === 48) return undefined;
  }
  return count;
}

/**
 * @param {string} text
 * @param {number} quote
 */
function isEscaped(text, quote) {
  let slashes = 0;
  while (text.charCodeAt(quote - 1 - slashes) === 92) slashes += 1;
  return slashes % 2 === 1;
}

/**
 * Returns the value, or nothing when the text is not JSON, or not strictly so.
 * @param {string} text
 * @returns {unknown}
 */
export function parseStrictly(text) {
  try {
    const value = JSON.parse(text);
    // A key that was written twice is there once. Text that was replaced while decoding, or has half a surrogate pair,
    // is no text of this format.
    return keysWritten(text) === keysIn(value) && isWhole(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Returns whether all strings are without half a surrogate pair.
 * @param {unknown} value
 * @returns {boolean}
 */
function isWhole(value) {
  if (typeof value === 'string') return value.isWellFormed();
  if (typeof value !== 'object' || value === null) return true;
  if (Array.isArray(value)) return value.every(isWhole);
  return Object.entries(value).every(([key, one]) => key.isWellFormed() && isWhole(one));
}

/**
 * Returns the fields of an object that has exactly these, or nothing.
 * @template {string} Name
 * @param {unknown} value
 * @param {readonly Name[]} names
 * @returns {Readonly<Record<Name, unknown>> | undefined}
 */
export function exactly(value, names) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const fields = new Map(Object.entries(value));
  if (fields.size !== names.length || !names.every((name) => fields.has(name))) return undefined;
  return /** @type {Record<Name, unknown>} */ (Object.fromEntries(fields));
}

/**
 * Returns the one property of an object.
 * @param {unknown} value
 * @returns {readonly [name: string, value: unknown] | readonly []}
 */
export function onlyProperty(value) {
  const properties = typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : [];
  const [first] = properties;
  return properties.length === 1 && first !== undefined ? first : [];
}

/** @param {unknown} cause */
export const messageOf = (cause) => (cause instanceof Error ? cause.message : String(cause));
