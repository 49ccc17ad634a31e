// Owns: the verification of SSH user signatures. The signed blob is built here from its fields; nothing that a client
// or an edge assembled is verified.
// Must never: accept an algorithm that does not belong to the key.
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import type { Profile } from '../../domain/algorithms.ts';
import { CofferdamError } from '../../domain/errors.ts';
import { parseSshPublicKey, type SshPublicKey, signatureAlgorithms } from '../../domain/ssh-keys.ts';
import { concatBytes, WireReader, wireString } from '../../domain/ssh-wire.ts';

/** Returns the fingerprint of a key blob as OpenSSH prints it: `SHA256:` and base64 without padding. */
export function fingerprintOf(blob: Uint8Array): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}

const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');

function keyObject(key: SshPublicKey): KeyObject {
  if (key.type === 'ssh-ed25519')
    return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: base64url(key.point) }, format: 'jwk' });
  if (key.type === 'ssh-rsa')
    return createPublicKey({
      key: { kty: 'RSA', e: base64url(key.exponent), n: base64url(key.modulus) },
      format: 'jwk',
    });
  return createPublicKey({
    key: { kty: 'EC', crv: key.curve, x: base64url(key.x), y: base64url(key.y) },
    format: 'jwk',
  });
}

/** Converts a signature of mpint r and mpint s (RFC 5656 section 3.1.2) into r ‖ s of fixed width (IEEE P1363). */
function ecdsaSignature(blob: Uint8Array, width: number): Buffer {
  const reader = new WireReader(blob);
  const parts = [reader.string(), reader.string()].map((mpint) => {
    const number = mpint[0] === 0 ? mpint.subarray(1) : mpint;
    if (number.length > width || number.length === 0) throw new CofferdamError('invalid', 'signature out of range');
    return Buffer.concat([Buffer.alloc(width - number.length), number]);
  });
  reader.end();
  return Buffer.concat(parts);
}

type UserSignature = {
  readonly username: string;
  readonly algorithm: string;
  readonly keyBlob: Uint8Array;
  /** The signature as on the wire: string algorithm, string signature. */
  readonly signatureBlob: Uint8Array;
  readonly sessionIdentifier: Uint8Array;
  /** The profile of the listener, which says which signature algorithms and RSA key sizes are accepted there. */
  readonly profile: Profile;
};

/** Returns the bytes that a client signs (RFC 4252 section 7). */
export function signedBlob(fields: Omit<UserSignature, 'signatureBlob' | 'profile'>): Uint8Array {
  return concatBytes([
    wireString(fields.sessionIdentifier),
    Uint8Array.of(50),
    wireString(fields.username),
    wireString('ssh-connection'),
    wireString('publickey'),
    Uint8Array.of(1),
    wireString(fields.algorithm),
    wireString(fields.keyBlob),
  ]);
}

/**
 * Returns true only when the signature (string algorithm, string signature) over `data` verifies under this key with
 * one of the allowed algorithms. Malformed input yields false and never throws.
 */
export function verifySshSignature(
  keyBlob: Uint8Array,
  signatureBlob: Uint8Array,
  data: Uint8Array,
  allowed: readonly string[],
  rsaBits: number,
): boolean {
  try {
    const key = parseSshPublicKey(keyBlob, rsaBits);
    const reader = new WireReader(signatureBlob);
    const algorithm = reader.text();
    const signature = reader.string();
    reader.end();
    if (!signatureAlgorithms(key).includes(algorithm) || !allowed.includes(algorithm)) return false;
    const object = keyObject(key);
    if (key.type === 'ssh-ed25519') return signature.length === 64 && verify(null, data, object, signature) === true;
    if (key.type === 'ssh-rsa')
      return verify(algorithm === 'rsa-sha2-512' ? 'sha512' : 'sha256', data, object, signature) === true;
    return (
      verify(key.hash, data, { key: object, dsaEncoding: 'ieee-p1363' }, ecdsaSignature(signature, key.x.length)) ===
      true
    );
  } catch {
    return false;
  }
}

/**
 * Verifies a user's signature over the session. The algorithm that the client named is the only one that is accepted.
 */
export function verifyUserSignature(fields: UserSignature): boolean {
  const { profile, sessionIdentifier, algorithm } = fields;
  if (sessionIdentifier.length < 20 || !profile.userSignatures.includes(algorithm)) return false;
  return verifySshSignature(fields.keyBlob, fields.signatureBlob, signedBlob(fields), [algorithm], profile.rsaBitsMin);
}
