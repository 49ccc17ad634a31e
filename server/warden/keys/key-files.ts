// Owns: the key files of the warden: master key, host keys, receipt key. The port through which a vault may come later.
// Must never: make a key outside development, or accept a file that others can read.
import { createPrivateKey, createPublicKey, generateKeyPairSync, hkdfSync, type KeyObject, randomBytes } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Config, runtimePaths } from '../../config/config.ts';
import { CofferdamError } from '../../domain/errors.ts';
import { Secret } from '../../domain/secrets.ts';
import { concatBytes, wireString } from '../../domain/ssh-wire.ts';

export type MasterKey = { readonly id: string; readonly key: Secret<Buffer> };
export type HostKey = { readonly type: 'ssh-ed25519' | 'ecdsa-sha2-nistp256'; readonly pem: string };

function readPrivate(path: string, what: string): Buffer {
  try {
    const mode = statSync(path).mode & 0o777;
    if ((mode & 0o077) !== 0)
      throw new CofferdamError('configuration', `${what} ${path} may be read by others (mode ${mode.toString(8)}): chmod 0400 it`);
    return readFileSync(path);
  } catch (cause) {
    if (cause instanceof CofferdamError) throw cause;
    throw new CofferdamError('configuration', `${what} ${path} cannot be read`, { cause });
  }
}

/** Writes a new file durably; never over an existing one. */
function writePrivate(path: string, content: Buffer | string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const file = openSync(path, 'wx', 0o400);
  try {
    writeSync(file, Buffer.isBuffer(content) ? content : Buffer.from(content));
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function readOrMake(config: Config, path: string, what: string, make: () => Buffer | string): Buffer {
  if (!existsSync(path)) {
    if (config.mode !== 'development') throw new CofferdamError('configuration', `${what} ${path} is missing`);
    writePrivate(path, make());
  }
  return readPrivate(path, what);
}

/** 32 bytes from a 0400 file of the warden's user. The id names the key in every row it wraps and says nothing about it. */
export function loadMasterKey(config: Config): MasterKey {
  const key = readOrMake(config, runtimePaths(config).masterKey, 'the master key', () => randomBytes(32));
  if (key.length !== 32) throw new CofferdamError('configuration', 'the master key must be exactly 32 bytes');
  const id = Buffer.from(hkdfSync('sha256', key, Buffer.alloc(0), 'cofferdam/master-key-id/1', 8)).toString('hex');
  return { id, key: new Secret(key) };
}

export function loadHostKeys(config: Config): readonly HostKey[] {
  const pem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();
  const directory = runtimePaths(config).hostKeys;
  const ed25519 = readOrMake(config, join(directory, 'ed25519.pem'), 'the host key', () => pem(generateKeyPairSync('ed25519').privateKey));
  const ecdsa = readOrMake(config, join(directory, 'ecdsa.pem'), 'the host key', () =>
    pem(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey),
  );
  return [
    { type: 'ssh-ed25519', pem: ed25519.toString('utf8') },
    { type: 'ecdsa-sha2-nistp256', pem: ecdsa.toString('utf8') },
  ];
}

export function loadReceiptKey(config: Config): KeyObject {
  const pem = readOrMake(config, runtimePaths(config).ledgerKey, 'the receipt key', () =>
    generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  );
  return createPrivateKey(pem);
}

/** Type and base64 of a host key's public half, as known_hosts and `ssh-keyscan` show it. */
export function publicLine(hostKey: HostKey): string {
  const jwk = createPublicKey(hostKey.pem).export({ format: 'jwk' });
  const coordinate = (text: string | undefined): Buffer => Buffer.from(text ?? '', 'base64url');
  const blob =
    hostKey.type === 'ssh-ed25519'
      ? concatBytes([wireString(hostKey.type), wireString(coordinate(jwk.x))])
      : concatBytes([
          wireString(hostKey.type),
          wireString('nistp256'),
          wireString(Buffer.concat([Buffer.of(4), coordinate(jwk.x), coordinate(jwk.y)])),
        ]);
  return `${hostKey.type} ${Buffer.from(blob).toString('base64')}`;
}
