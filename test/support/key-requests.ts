// Owns: requests for keys as a customer makes them: the text over account, key and expiry, signed by the current key
// and by the new one.
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { type KeyRequest, keyRequestNamespace, signedKeyRequest } from '../../server/domain/key-request.ts';
import { concatBytes, wireString } from '../../server/domain/ssh-wire.ts';
import { fingerprintOf } from '../../server/warden/credentials/ssh-signature.ts';

export type Key = {
  readonly blob: Buffer;
  readonly privateKey: KeyObject;
  readonly fingerprint: string;
  readonly line: string;
};

export function makeKey(): Key {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const point = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url');
  const blob = Buffer.from(concatBytes([wireString('ssh-ed25519'), wireString(point)]));
  return { blob, privateKey, fingerprint: fingerprintOf(blob), line: `ssh-ed25519 ${blob.toString('base64')}` };
}

export const namespaces = { current: keyRequestNamespace, wanted: keyRequestNamespace };

/** Returns the text of a request, which is what is signed: a heading and five lines. */
export function keyRequestText(request: KeyRequest): string {
  return [
    'cofferdam key request',
    `installation ${request.installation}`,
    `account ${request.account}`,
    `fingerprint ${request.fingerprint}`,
    `expires ${request.expires}`,
    `key ${request.publicKey}`,
    '',
  ].join('\n');
}

/** An SSHSIG of `text`, as `ssh-keygen -Y sign` makes it. */
export function armored(text: string, by: Pick<Key, 'blob' | 'privateKey'>, namespace: string): string {
  const digest = createHash('sha512').update(text).digest();
  const signature = sign(null, signedKeyRequest(namespace, 'sha512', digest), by.privateKey);
  const armor = concatBytes([
    Buffer.from('SSHSIG'),
    Uint8Array.of(0, 0, 0, 1),
    wireString(by.blob),
    wireString(namespace),
    wireString(''),
    wireString('sha512'),
    wireString(concatBytes([wireString('ssh-ed25519'), wireString(signature)])),
  ]);
  return `-----BEGIN SSH SIGNATURE-----\n${Buffer.from(armor).toString('base64')}\n-----END SSH SIGNATURE-----\n`;
}

/** A request for the key `wanted` of `account`, signed by `signer` and by that key; valid for this many days. */
export function signedRequest(
  installation: string,
  account: string,
  signer: Key,
  wanted: Key,
  spaces = namespaces,
  days = 5,
): string {
  const expires = new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
  const text = keyRequestText({
    installation,
    account,
    fingerprint: wanted.fingerprint,
    expires,
    publicKey: wanted.line,
  });
  return `${text}${armored(text, signer, spaces.current)}${armored(text, wanted, spaces.wanted)}`;
}
