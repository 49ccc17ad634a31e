// Owns: SSH public keys as typed components, from their wire form (RFC 4253 section 6.6, RFC 5656 section 3.1, RFC 8709
// section 4) and from OpenSSH's one-line form.
// Must never: verify a signature, or read a key from a path. Certificates and FIDO keys are refused until the
// authentication policy knows them.
import { CofferdamError } from './errors.ts';
import { bytesOfBase64, WireReader } from './ssh-wire.ts';

const curves = {
  'ecdsa-sha2-nistp256': { name: 'nistp256', curve: 'P-256', coordinateBytes: 32, hash: 'sha256' },
  'ecdsa-sha2-nistp384': { name: 'nistp384', curve: 'P-384', coordinateBytes: 48, hash: 'sha384' },
  'ecdsa-sha2-nistp521': { name: 'nistp521', curve: 'P-521', coordinateBytes: 66, hash: 'sha512' },
} as const;
type EcdsaType = keyof typeof curves;

export type SshPublicKey =
  | { readonly type: 'ssh-ed25519'; readonly point: Uint8Array }
  | {
      readonly type: EcdsaType;
      readonly curve: 'P-256' | 'P-384' | 'P-521';
      readonly hash: 'sha256' | 'sha384' | 'sha512';
      readonly x: Uint8Array;
      readonly y: Uint8Array;
    }
  | { readonly type: 'ssh-rsa'; readonly exponent: Uint8Array; readonly modulus: Uint8Array; readonly bits: number };

/** The smallest length of an RSA key in bits. Listeners with the profile `legacy` accept 2048 bits. */
export const rsaBitsMin = { standard: 3072, legacy: 2048 } as const;

/**
 * FIPS 186-5: the exponent of an RSA key is odd and at least 65537. Small exponents turn mistakes in checking the
 * padding into forged signatures.
 */
const rsaExponentMin = 65_537;

const isEcdsa = (type: string): type is EcdsaType => Object.hasOwn(curves, type);

function positive(mpint: Uint8Array): Uint8Array {
  if (mpint.length === 0 || (mpint[0] ?? 0) >= 0x80)
    throw new CofferdamError('invalid', 'a number in the key is not positive');
  if (mpint[0] === 0 && (mpint[1] ?? 0) < 0x80)
    throw new CofferdamError('invalid', 'a number in the key is not in its shortest form');
  return mpint[0] === 0 ? mpint.subarray(1) : mpint;
}

/** Parses the wire form of a public key. Throws `invalid`, with a reason that may be shown to an operator. */
export function parseSshPublicKey(blob: Uint8Array, rsaBits: number = rsaBitsMin.standard): SshPublicKey {
  if (blob.length > 4096) throw new CofferdamError('invalid', 'the key is too long');
  const reader = new WireReader(blob);
  const type = reader.text();
  if (type === 'ssh-ed25519') {
    const point = reader.string();
    reader.end();
    if (point.length !== 32) throw new CofferdamError('invalid', 'an Ed25519 key has 32 bytes');
    return { type, point };
  }
  if (isEcdsa(type)) {
    const { name, curve, coordinateBytes, hash } = curves[type];
    const named = reader.text();
    const point = reader.string();
    reader.end();
    if (named !== name || point.length !== 1 + 2 * coordinateBytes || point[0] !== 4)
      throw new CofferdamError('invalid', 'the curve point has the wrong form');
    return { type, curve, hash, x: point.subarray(1, 1 + coordinateBytes), y: point.subarray(1 + coordinateBytes) };
  }
  if (type === 'ssh-rsa') {
    const exponent = positive(reader.string());
    const modulus = positive(reader.string());
    reader.end();
    const bits = modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24;
    if (bits < rsaBits)
      throw new CofferdamError('invalid', `RSA keys need at least ${rsaBits} bits; this one has ${bits}`);
    if (bits > 16_384 || exponent.length > 8) throw new CofferdamError('invalid', 'the RSA key is too large');
    if (exponent.reduce((value, byte) => value * 256 + byte, 0) < rsaExponentMin || (exponent.at(-1) ?? 0) % 2 === 0)
      throw new CofferdamError(
        'invalid',
        `the exponent of an RSA key is odd and at least ${rsaExponentMin}: make another key`,
      );
    return { type, exponent, modulus, bits };
  }
  throw new CofferdamError(
    'invalid',
    'keys of this type are not accepted: use ssh-ed25519, ecdsa-sha2-nistp256/384/521 or RSA',
  );
}

/** Returns the signature algorithms that may be used with a key (RFC 8332: RSA only with SHA-2). */
export function signatureAlgorithms(key: SshPublicKey): readonly string[] {
  return key.type === 'ssh-rsa' ? ['rsa-sha2-256', 'rsa-sha2-512'] : [key.type];
}

/**
 * Parses one line of `id_*.pub`: type, base64, optional comment. The result contains the wire form. Throws `invalid`,
 * also when the type in the line differs from that in the key.
 */
export function parsePublicKeyLine(
  line: string,
  rsaBits: number = rsaBitsMin.standard,
): { readonly blob: Uint8Array; readonly key: SshPublicKey; readonly comment: string } {
  const match = /^([a-z0-9@.-]{1,64}) ([A-Za-z0-9+/]{1,8192}={0,2})(?: ([^\n\r]{0,256}))?\s*$/.exec(line.trim());
  if (match === null)
    throw new CofferdamError('invalid', 'expected one line of a public key file: type, base64, comment');
  const [, type, base64, comment] = match;
  const blob = bytesOfBase64(base64 ?? '');
  const key = parseSshPublicKey(blob, rsaBits);
  if (key.type !== type) throw new CofferdamError('invalid', 'the key type and its content differ');
  return { blob, key, comment: comment ?? '' };
}
