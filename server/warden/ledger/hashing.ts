// Owns: the hash of everything that the record consists of.
// Must never: hash anything secret by itself.
import { hash } from 'node:crypto';
import type { Sha256 } from '../../domain/ledger/merkle.ts';

/** By way of a text: a round of sealing makes thousands of hashes of 65 bytes, and a buffer that the crypto library makes costs twice as much as the hash. */
export const sha256: Sha256 = (data) => {
  const text = hash('sha256', data, 'binary');
  const bytes = new Uint8Array(32);
  for (let i = 0; i < 32; i += 1) bytes[i] = text.charCodeAt(i);
  return bytes;
};

export const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
