// Owns: the server's half of each key agreement: it computes our public value and the shared
// secret K from the client's public value, in the form in which the exchange hash needs them.
// Must never: accept a public value that has a wrong length or does not lie on its curve.
import {
  createDiffieHellmanGroup,
  createECDH,
  createHash,
  createPublicKey,
  diffieHellman,
  encapsulate,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import type { KeyExchangeMethod } from '../../domain/algorithms.ts';

type Agreement = {
  /** Our public value: Q_S, f or S_REPLY, depending on the method. */
  readonly serverPublic: Buffer;
  /** K without its length: the bytes of an mpint, or of a string for the hybrid method. */
  readonly secret: Buffer;
};

const x25519Spki = Buffer.from('302a300506032b656e032100', 'hex');
const mlkem768Spki = Buffer.from('308204b2300b0609608648016503040402038204a100', 'hex');
const mlkem768PublicBytes = 1184;

/**
 * Encodes a number as an mpint (RFC 4251 section 5): without leading
 * zero bytes, except one where the first bit would otherwise be set.
 */
function mpint(bytes: Buffer): Buffer {
  let start = 0;
  while (start < bytes.length && bytes[start] === 0) start += 1;
  const short = bytes.subarray(start);
  return (short[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), short]) : Buffer.from(short);
}

const rawPublic = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' }).subarray(-32);

/**
 * Computes X25519. An all-zero result comes from a point of small order and
 * ends the exchange (RFC 7748 section 6.1); OpenSSL refuses it as well.
 */
function x25519(clientPublic: Buffer): { readonly serverPublic: Buffer; readonly shared: Buffer } {
  if (clientPublic.length !== 32) throw new Error('a curve25519 value has 32 bytes');
  const pair = generateKeyPairSync('x25519');
  const peer = createPublicKey({ key: Buffer.concat([x25519Spki, clientPublic]), format: 'der', type: 'spki' });
  const shared = diffieHellman({ privateKey: pair.privateKey, publicKey: peer });
  if (shared.every((byte) => byte === 0)) throw new Error('a value of small order');
  return { serverPublic: rawPublic(pair.publicKey), shared };
}

/**
 * Computes ECDH (RFC 5656 section 4). Only uncompressed points are accepted; OpenSSL checks that they lie on the curve.
 */
function ecdh(curve: string, pointBytes: number, clientPublic: Buffer): Agreement {
  if (clientPublic.length !== pointBytes || clientPublic[0] !== 4) throw new Error('malformed curve point');
  const own = createECDH(curve);
  const serverPublic = own.generateKeys();
  return { serverPublic, secret: mpint(own.computeSecret(clientPublic)) };
}

/**
 * Computes the hybrid of ML-KEM-768 and X25519 (draft-ietf-sshm-mlkem-hybrid-kex). C_INIT is
 * the encapsulation key ‖ the X25519 value; K is SHA-256(K_PQ ‖ K_CL), hashed as a string.
 */
function mlkem768x25519(clientInit: Buffer): Agreement {
  if (clientInit.length !== mlkem768PublicBytes + 32) throw new Error('malformed hybrid value');
  const key = createPublicKey({
    key: Buffer.concat([mlkem768Spki, clientInit.subarray(0, mlkem768PublicBytes)]),
    format: 'der',
    type: 'spki',
  });
  const { sharedKey, ciphertext } = encapsulate(key);
  const classical = x25519(clientInit.subarray(mlkem768PublicBytes));
  return {
    serverPublic: Buffer.concat([ciphertext, classical.serverPublic]),
    secret: createHash('sha256').update(sharedKey).update(classical.shared).digest(),
  };
}

/**
 * Computes Diffie-Hellman in group 14 of RFC 3526 (RFC 8268). The client's
 * value e must lie in [2, p-2], which is stricter than RFC 4253 section 8.
 */
function group14(clientPublic: Buffer): Agreement {
  const own = createDiffieHellmanGroup('modp14');
  const prime = BigInt(`0x${own.getPrime('hex')}`);
  if (clientPublic.length === 0 || clientPublic.length > 257 || (clientPublic[0] ?? 0) >= 0x80)
    throw new Error('malformed group value');
  const e = BigInt(`0x${clientPublic.toString('hex')}`);
  if (e < 2n || e > prime - 2n) throw new Error('a group value out of range');
  const serverPublic = mpint(own.generateKeys());
  return { serverPublic, secret: mpint(own.computeSecret(clientPublic)) };
}

/**
 * Computes the server's half of one key agreement. `clientPublic` is the string of SSH_MSG_KEX_ECDH_INIT,
 * or the mpint of KEXDH_INIT, without its length. Throws on a value that is not allowed.
 */
export function agree(method: KeyExchangeMethod, clientPublic: Buffer): Agreement {
  switch (method) {
    case 'mlkem768x25519-sha256':
      return mlkem768x25519(clientPublic);
    case 'curve25519-sha256':
    case 'curve25519-sha256@libssh.org': {
      const { serverPublic, shared } = x25519(clientPublic);
      return { serverPublic, secret: mpint(shared) };
    }
    case 'ecdh-sha2-nistp256':
      return ecdh('prime256v1', 65, clientPublic);
    case 'ecdh-sha2-nistp384':
      return ecdh('secp384r1', 97, clientPublic);
    case 'diffie-hellman-group14-sha256':
      return group14(clientPublic);
  }
}
