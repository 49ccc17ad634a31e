// Owns: showing a signed value to people: every field on a line of its own, nothing left out, and each key with its
// fingerprint.
import { createHash } from 'node:crypto';

/** Returns each field as a path such as `a.b.0`, and its value. Empty lists and objects are shown as such. */
export function fields(value: Readonly<Record<string, unknown>>, prefix = ''): readonly (readonly [string, string])[] {
  return Object.entries(value).flatMap(([name, one]): readonly (readonly [string, string])[] => {
    const path = `${prefix}${name}`;
    if (typeof one === 'object' && one !== null && Object.keys(one).length > 0) {
      const isFlat = Array.isArray(one) && one.every((item) => typeof item !== 'object');
      return isFlat ? [[path, one.join(', ')]] : fields(one as Record<string, unknown>, `${path}.`);
    }
    const text = typeof one === 'string' ? one : JSON.stringify(one);
    const print = name === 'publicKey' && typeof one === 'string' ? fingerprintOf(one) : undefined;
    return print === undefined
      ? [[path, text]]
      : [
          [path, text],
          [`${path} is`, print],
        ];
  });
}

/**
 * Returns the fingerprint of an SSH public key line as `ssh-keygen -l` prints it, and that of a bare SPKI as the list
 * of operators prints it.
 */
function fingerprintOf(text: string): string {
  const [, blob] = text.split(' ');
  return blob === undefined
    ? createHash('sha256').update(Buffer.from(text, 'base64')).digest('hex')
    : `SHA256:${createHash('sha256').update(Buffer.from(blob, 'base64')).digest('base64').replace(/=+$/, '')}`;
}
