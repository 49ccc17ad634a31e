// Owns: what this gateway offers in key exchange, and its host keys as ssh2 uses them.
// Must never: offer SHA-1, CBC, compression, finite-field groups, or a MAC that is not encrypt-then-MAC.
import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { concatBytes, wireString } from '../../domain/ssh-wire.ts';
import { type CoreHostKey, KexInit } from './ssh2-core.ts';

export type HostKeyPem = { readonly type: 'ssh-ed25519' | 'ecdsa-sha2-nistp256'; readonly pem: string };

/** RFC 8308: what user keys may sign with. */
export const serverSignatureAlgorithms =
  'ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256';

const gcm = ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com'] as const;
const all = [...gcm, 'aes256-ctr', 'aes128-ctr'] as const;

function offerWith(hostKeys: readonly HostKeyPem[], cipher: readonly string[]): object {
  const direction = { cipher, mac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com'], compress: ['none'], lang: [] };
  return new KexInit({
    kex: ['curve25519-sha256', 'curve25519-sha256@libssh.org', 'ecdh-sha2-nistp256', 'ecdh-sha2-nistp384', 'kex-strict-s-v00@openssh.com'],
    serverHostKey: hostKeys.map((key) => key.type),
    cs: direction,
    sc: direction,
  });
}

/**
 * What is offered to a client with this identification line. The client's order decides (RFC 4253 section 7.1), and OpenSSH puts AES-CTR before
 * AES-GCM, at twice the cost on both sides: OpenSSH 7 and newer is offered GCM only.
 */
export function makeOffers(hostKeys: readonly HostKeyPem[]): (identification: string) => object {
  const general = offerWith(hostKeys, all);
  const fast = offerWith(hostKeys, gcm);
  return (identification) => (/^SSH-2\.0-OpenSSH_(?:[7-9]|[1-9]\d)\./.test(identification) ? fast : general);
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
