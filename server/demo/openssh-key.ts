// Owns: writing an Ed25519 key pair in OpenSSH's private key format (PROTOCOL.key, openssh-key-v1, unencrypted), for
// the clients of the demo world only.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { wireString } from '../domain/ssh-wire.ts';

type OpenSshKeyPair = { readonly privateText: string; readonly publicLine: string };

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function newOpenSshKeyPair(comment: string): OpenSshKeyPair {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const point = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32);
  const seed = privateKey.export({ type: 'pkcs8', format: 'der' }).subarray(-32);
  const blob = Buffer.concat([wireString('ssh-ed25519'), wireString(point)]);
  const check = randomBytes(4);
  const section = Buffer.concat([check, check, blob, wireString(Buffer.concat([seed, point])), wireString(comment)]);
  const padding = Buffer.from(Array.from({ length: (8 - (section.length % 8)) % 8 }, (_, i) => i + 1));
  const whole = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    wireString('none'),
    wireString('none'),
    wireString(''),
    uint32(1),
    wireString(blob),
    wireString(Buffer.concat([section, padding])),
  ]);
  const base64 = whole
    .toString('base64')
    .replace(/(.{70})/g, '$1\n')
    .trimEnd();
  return {
    privateText: `-----BEGIN OPENSSH PRIVATE KEY-----\n${base64}\n-----END OPENSSH PRIVATE KEY-----\n`,
    publicLine: `ssh-ed25519 ${blob.toString('base64')} ${comment}`,
  };
}
