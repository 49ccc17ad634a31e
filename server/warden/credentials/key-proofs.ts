// Owns: the proof that somebody has the key that is to be registered: a signature by that key over the request that
// names it (SSHSIG).
// Must never: accept a signature for another purpose, or over another text, as a proof.
import { createHash } from 'node:crypto';
import { profiles } from '../../domain/algorithms.ts';
import { CofferdamError } from '../../domain/errors.ts';
import {
  type KeyRequest,
  keyRequestNamespace,
  parseSignedKeyRequest,
  type SshSignature,
  signedKeyRequest,
} from '../../domain/key-request.ts';
import { fingerprintOf, verifySshSignature } from './ssh-signature.ts';

/** Returns whether the key that the signature names signed this text as a request for a key. */
export function isRequestSigned(text: string, { publicKey, namespace, hash, signature }: SshSignature): boolean {
  const digest = createHash(hash).update(text).digest();
  const { userSignatures, rsaBitsMin } = profiles.default;
  return (
    namespace === keyRequestNamespace &&
    verifySshSignature(publicKey, signature, signedKeyRequest(namespace, hash, digest), userSignatures, rsaBitsMin)
  );
}

/** Throws `denied` for a request that was signed for another gateway. */
export function requireInstallation(request: KeyRequest, installation: string): void {
  if (request.installation !== installation)
    throw new CofferdamError(
      'denied',
      `the request is for another installation than this one, which is ${installation}`,
    );
}

/**
 * Requires that the input is a request of this account for this key at this installation, signed by the key itself.
 * Throws `denied` or `invalid` with what was expected.
 */
export function requireProof(input: string, account: string, fingerprint: string, installation: string): void {
  const { request, text, signatures } = parseSignedKeyRequest(input, 1);
  const [signature] = signatures;
  requireInstallation(request, installation);
  if (request.account !== account || request.fingerprint !== fingerprint)
    throw new CofferdamError(
      'denied',
      `the proof is a request for another account, or for another key, than ${fingerprint} of ${account}`,
    );
  if (
    signature === undefined ||
    fingerprintOf(signature.publicKey) !== fingerprint ||
    !isRequestSigned(text, signature)
  )
    throw new CofferdamError(
      'denied',
      `the proof is not signed by the new key itself (ssh-keygen -Y sign -n ${keyRequestNamespace})`,
    );
}
