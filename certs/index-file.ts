// Owns: the authority's index: every certificate that it issued, and the number of its newest revocation list. It is
// one JSON file that is replaced as a whole.
// Must never: forget a certificate. A certificate that is not in the index cannot be revoked by name.
import { join } from 'node:path';
import { z } from 'zod';
import { CofferdamError } from '../server/domain/errors.ts';
import { readText, replace } from './files.ts';

const entry = z.strictObject({
  /** The serial number as in the certificate, in lower-case hexadecimal. */
  serial: z.string().regex(/^(?:[0-9a-f]{2})+$/),
  kind: z.enum(['authority', 'server', 'operator']),
  name: z.string().min(1).max(64),
  /** The SHA-256 of the SPKI, in hexadecimal. */
  fingerprint: z.string().regex(/^[0-9a-f]{64}$/),
  notBefore: z.iso.datetime(),
  notAfter: z.iso.datetime(),
  revokedAt: z.iso.datetime().nullable(),
  reasonCode: z.number().int().min(0).max(10).nullable(),
  reason: z.string().max(200).nullable(),
});
const index = z.strictObject({
  format: z.literal(1),
  crlNumber: z.number().int().min(0),
  certificates: z.array(entry).max(100_000),
});

export type Entry = Readonly<z.infer<typeof entry>>;
export type Index = { readonly format: 1; readonly crlNumber: number; readonly certificates: readonly Entry[] };

export const indexFile = (directory: string): string => join(directory, 'index.json');
export const indexText = (value: Index): string => `${JSON.stringify(value, null, 1)}\n`;

export function readIndex(directory: string): Index {
  const path = indexFile(directory);
  try {
    return index.parse(JSON.parse(readText(path, 'the index')));
  } catch (cause) {
    if (cause instanceof CofferdamError) throw cause;
    throw new CofferdamError('invalid', `${path} is not an index of this form: restore it from a copy`, { cause });
  }
}

export function saveIndex(directory: string, value: Index): void {
  replace({ path: indexFile(directory), content: indexText(value), mode: 0o600 });
}
