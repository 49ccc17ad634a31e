// Owns: the hash function of the record, SHA-256.
// Must never: be given a secret value alone as its input.
import { hash } from 'node:crypto';
import type { Sha256 } from '../../domain/ledger/merkle.ts';

/**
 * Returns the SHA-256 of `data`. The digest is taken as a string and copied: a sealing round makes thousands of hashes
 * of 65 bytes, and a buffer allocated by the crypto library costs twice as much as the hash itself.
 */
export const sha256: Sha256 = (data) => {
  const text = hash('sha256', data, 'binary');
  const bytes = new Uint8Array(32);
  for (let i = 0; i < 32; i += 1) bytes[i] = text.charCodeAt(i);
  return bytes;
};

export const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

/** The digest by which an entry that was written is compared with one that was hashed. */
export const digestOf = (text: string): string => hash('sha256', text, 'base64');
