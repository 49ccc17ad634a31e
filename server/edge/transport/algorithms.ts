// Owns: what this gateway offers in key exchange, and its host keys as ssh2 uses them.
// Must never: offer SHA-1, CBC, compression, finite-field groups, or a MAC that is not encrypt-then-MAC.
import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { concatBytes, wireString } from '../../domain/ssh-wire.ts';
import { type CoreHostKey, KexInit } from './ssh2-core.ts';

export type HostKeyPem = { readonly type: 'ssh-ed25519' | 'ecdsa-sha2-nistp256'; readonly pem: string };

/** RFC 8308: what user keys may sign with. */
export const serverSignatureAlgorithms =
  'ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256';

const direction = {
  cipher: ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com', 'aes256-ctr', 'aes128-ctr'],
  mac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com'],
  compress: ['none'],
  lang: [],
} as const;

export function makeOffer(hostKeys: readonly HostKeyPem[]): object {
  return new KexInit({
    kex: ['curve25519-sha256', 'curve25519-sha256@libssh.org', 'ecdh-sha2-nistp256', 'ecdh-sha2-nistp384', 'kex-strict-s-v00@openssh.com'],
    serverHostKey: hostKeys.map((key) => key.type),
    cs: direction,
    sc: direction,
  });
}

/** In memory only; `sign` gives raw Ed25519 or DER ECDSA signatures, as ssh2 expects. */
export function makeHostKeys(hostKeys: readonly HostKeyPem[]): Readonly<Record<string, CoreHostKey>> {
  return Object.fromEntries(
    hostKeys.map(({ type, pem }) => {
      const key = createPrivateKey(pem);
      const jwk = createPublicKey(pem).export({ format: 'jwk' });
      const coordinate = (text: string | undefined): Buffer => Buffer.from(text ?? '', 'base64url');
      const blob =
        type === 'ssh-ed25519'
          ? concatBytes([wireString(type), wireString(coordinate(jwk.x))])
          : concatBytes([
              wireString(type),
              wireString('nistp256'),
              wireString(concatBytes([Uint8Array.of(4), coordinate(jwk.x), coordinate(jwk.y)])),
            ]);
      const publicBlob = Buffer.from(blob);
      const digest = type === 'ssh-ed25519' ? null : 'sha256';
      return [type, { type, getPublicSSH: () => publicBlob, sign: (data: Buffer) => sign(digest, data, key) }];
    }),
  );
}
