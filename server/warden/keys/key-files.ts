// Owns: the key files of the warden: master key, host keys, receipt key, ledger key. A key vault could later be
// connected here.
// Must never: create a key outside development mode, or accept a file that others can read.
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Config, type Directories, runtimePaths } from '../../config/config.ts';
import { createDurably, removeUnfinished } from '../../disk/durable-file.ts';
import type { HostKeyAlgorithm } from '../../domain/algorithms.ts';
import { CofferdamError } from '../../domain/errors.ts';
import { Secret } from '../../domain/secrets.ts';
import { concatBytes, wireString } from '../../domain/ssh-wire.ts';

/** Where the keys are, and whether those that are missing may be made. */
export type KeyConfig = Directories & Pick<Config, 'mode'>;
type MasterKey = { readonly id: string; readonly key: Secret<Buffer> };
export type HostKey = {
  readonly algorithm: HostKeyAlgorithm;
  readonly key: KeyObject;
  /** The public key in the SSH wire form. */
  readonly blob: Buffer;
  /**
   * Whether the key signs. If not, it is announced to clients (hostkeys-00@openssh.com), so that they know it when it
   * replaces the present one.
   */
  readonly inUse: boolean;
};

function readPrivate(path: string, what: string): Buffer {
  try {
    const mode = statSync(path).mode & 0o777;
    if ((mode & 0o077) !== 0)
      throw new CofferdamError(
        'configuration',
        `${what} ${path} may be read by others (mode ${mode.toString(8)}): chmod 0400 it`,
      );
    return readFileSync(path);
  } catch (cause) {
    if (cause instanceof CofferdamError) throw cause;
    throw new CofferdamError('configuration', `${what} ${path} cannot be read`, { cause });
  }
}

/** Writes a new file, which is durable afterwards. It never replaces an existing file. */
function writePrivate(path: string, content: Buffer | string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  createDurably({ path, content, mode: 0o400 });
}

function readOrMake(config: KeyConfig, path: string, what: string, make: () => Buffer | string): Buffer {
  if (!existsSync(path)) {
    if (config.mode !== 'development') throw new CofferdamError('configuration', `${what} ${path} is missing`);
    writePrivate(path, make());
  } else if (config.mode === 'development') removeUnfinished(path);
  return readPrivate(path, what);
}

const pemOf = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();
const newEd25519 = (): string => pemOf(generateKeyPairSync('ed25519').privateKey);

/**
 * Reads the master key, 32 bytes from a file of mode 0400 of the warden's user. Its id is derived from the key, reveals
 * nothing about it, and names it in every row that it wraps.
 */
export function loadMasterKey(config: KeyConfig): MasterKey {
  const key = readOrMake(config, runtimePaths(config).masterKey, 'the master key', () => randomBytes(32));
  if (key.length !== 32) throw new CofferdamError('configuration', 'the master key must be exactly 32 bytes');
  const id = Buffer.from(hkdfSync('sha256', key, '', 'cofferdam/master-key-id/1', 8)).toString('hex');
  return { id, key: new Secret(key) };
}

/**
 * Reads the host keys. `ed25519.pem` and `ecdsa.pem` sign; `ed25519.next.pem` and `ecdsa.next.pem`, if they exist, are
 * announced for the next rotation.
 */
export function loadHostKeys(config: KeyConfig): readonly HostKey[] {
  const directory = runtimePaths(config).hostKeys;
  const kinds = [
    { name: 'ed25519', make: newEd25519 },
    { name: 'ecdsa', make: () => pemOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey) },
  ] as const;
  return kinds.flatMap(({ name, make }) => {
    const current = hostKey(readOrMake(config, join(directory, `${name}.pem`), 'the host key', make), true);
    const next = join(directory, `${name}.next.pem`);
    return existsSync(next) ? [current, hostKey(readPrivate(next, 'the next host key'), false)] : [current];
  });
}

function hostKey(pem: Buffer, inUse: boolean): HostKey {
  const key = createPrivateKey(pem);
  const jwk = createPublicKey(key).export({ format: 'jwk' });
  const coordinate = (text: string | undefined): Buffer => Buffer.from(text ?? '', 'base64url');
  if (key.asymmetricKeyType === 'ed25519') {
    const blob = Buffer.from(concatBytes([wireString('ssh-ed25519'), wireString(coordinate(jwk.x))]));
    return { algorithm: 'ssh-ed25519', key, blob, inUse };
  }
  if (jwk.crv !== 'P-256') throw new CofferdamError('configuration', 'host keys are Ed25519 or ECDSA on P-256');
  const point = Buffer.concat([Buffer.of(4), coordinate(jwk.x), coordinate(jwk.y)]);
  const algorithm = 'ecdsa-sha2-nistp256';
  return {
    algorithm,
    key,
    blob: Buffer.from(concatBytes([wireString(algorithm), wireString('nistp256'), wireString(point)])),
    inUse,
  };
}

export function loadReceiptKey(config: KeyConfig): KeyObject {
  return createPrivateKey(readOrMake(config, runtimePaths(config).receiptKey, 'the receipt key', newEd25519));
}

/** Reads the Ed25519 key that signs the checkpoints of the record. */
export function loadLedgerKey(config: KeyConfig): KeyObject {
  const key = createPrivateKey(readOrMake(config, runtimePaths(config).ledgerKey, 'the ledger key', newEd25519));
  if (key.asymmetricKeyType !== 'ed25519') throw new CofferdamError('configuration', 'the ledger key must be Ed25519');
  return key;
}

/** Returns type and base64 of the public host key, as known_hosts and `ssh-keyscan` show it. */
export const publicLine = ({ algorithm, blob }: HostKey): string => `${algorithm} ${blob.toString('base64')}`;
