// Owns: the text with which a customer asks for a new key, and the parts of the SSH signatures behind it
// (PROTOCOL.sshsig of OpenSSH).
// Must never: verify anything, or accept a second spelling of the same request.
import { CofferdamError } from './errors.ts';
import { isValidAccountName } from './paths.ts';
import { parsePublicKeyLine } from './ssh-keys.ts';
import { bytesOfBase64, concatBytes, WireReader, wireString } from './ssh-wire.ts';

/** The namespace for `ssh-keygen -Y sign -n`. A signature that was made for another purpose is not valid here. */
export const keyRequestNamespace = 'cofferdam-key';
const heading = 'cofferdam key request';

export type KeyRequest = {
  /**
   * The installation for which the request is made. A request for one installation of a firm is not valid at another.
   */
  readonly installation: string;
  readonly account: string;
  /** The fingerprint of the new key. It must be that of `publicKey`. */
  readonly fingerprint: string;
  /** The last day on which the request is valid, as `YYYY-MM-DD` in UTC. */
  readonly expires: string;
  /** The new key in OpenSSH's one-line form. */
  readonly publicKey: string;
};

const begin = '-----BEGIN SSH SIGNATURE-----';
const end = '-----END SSH SIGNATURE-----';

export type SshSignature = {
  readonly publicKey: Uint8Array;
  readonly namespace: string;
  readonly hash: 'sha256' | 'sha512';
  /** The signature as in the SSH protocol: the algorithm as a string, then the signature as a string. */
  readonly signature: Uint8Array;
};
type SignedKeyRequest = {
  readonly request: KeyRequest;
  readonly text: string;
  readonly signatures: readonly SshSignature[];
};

/**
 * Parses a request that is followed by `count` armored signatures, as `cat request by-current by-new` writes them.
 * Throws `invalid`, with a text that says what was expected.
 */
export function parseSignedKeyRequest(input: string, count: 1 | 2): SignedKeyRequest {
  const [text = '', ...blocks] = input.split(begin);
  const bodies = blocks.map((block) => block.split(end));
  if (blocks.length !== count || bodies.some(([, ...rest]) => rest.length !== 1 || rest[0]?.trim() !== ''))
    throw new CofferdamError(
      'invalid',
      count === 1
        ? 'expected the request and, after it, its signature by `ssh-keygen -Y sign`'
        : 'expected the request and, after it, two signatures by `ssh-keygen -Y sign`: by a current key of the account, and by the new key',
    );
  const [, installation = '', account = '', fingerprint = '', expires = '', publicKey = ''] =
    /^cofferdam key request\ninstallation ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\naccount ([^\n]{1,64})\nfingerprint (SHA256:[A-Za-z0-9+/]{43})\nexpires (\d{4}-\d\d-\d\d)\nkey ([^\n]{1,4096})\n$/.exec(
      text,
    ) ?? [];
  // Without a match, the account is empty and no name.
  if (!isValidAccountName(account) || Number.isNaN(Date.parse(expires)))
    throw new CofferdamError(
      'invalid',
      `expected six lines: "${heading}", then installation, account, fingerprint, expires YYYY-MM-DD, key`,
    );
  parsePublicKeyLine(publicKey, 2048);
  return {
    request: { installation, account, fingerprint, expires, publicKey },
    text,
    signatures: bodies.map(([body = '']) => parseArmored(body)),
  };
}

function parseArmored(body: string): SshSignature {
  const base64 = body.replace(/[\r\n]/g, '');
  if (!/^[A-Za-z0-9+/]{8,20000}={0,2}$/.test(base64))
    throw new CofferdamError('invalid', 'the signature is malformed or cut off');
  const bytes = bytesOfBase64(base64);
  const magic = new TextEncoder().encode('SSHSIG');
  if (!magic.every((byte, i) => bytes[i] === byte)) throw new CofferdamError('invalid', 'this is no SSH signature');
  const reader = new WireReader(bytes.subarray(magic.length));
  if (reader.uint32() !== 1) throw new CofferdamError('invalid', 'an SSH signature of another version');
  const publicKey = reader.string();
  const namespace = reader.text();
  reader.string();
  const hash = reader.text();
  const signature = reader.string();
  reader.end();
  if (hash !== 'sha256' && hash !== 'sha512')
    throw new CofferdamError('invalid', 'the signature uses a hash that is not accepted');
  return { publicKey, namespace, hash, signature };
}

/** Returns the bytes over which the signature is made. `digest` is the hash of the text. */
export function signedKeyRequest(namespace: string, hash: string, digest: Uint8Array): Uint8Array {
  return concatBytes([
    new TextEncoder().encode('SSHSIG'),
    wireString(namespace),
    wireString(''),
    wireString(hash),
    wireString(digest),
  ]);
}
