// Owns: which SSH algorithms a listener offers and accepts: one table with three profiles, read by the edge (what it
// offers) and by the warden (which signatures it accepts).
// Must never: have SHA-1, CBC or compression in any profile, or a MAC that is not encrypt-then-MAC outside `legacy`.

export const profileNames = ['default', 'fips', 'legacy'] as const;
export type ProfileName = (typeof profileNames)[number];

/** The SSH names of all key exchange methods that this product implements. */
export const keyExchangeMethods = [
  'mlkem768x25519-sha256',
  'curve25519-sha256',
  'curve25519-sha256@libssh.org',
  'ecdh-sha2-nistp256',
  'ecdh-sha2-nistp384',
  'diffie-hellman-group14-sha256',
] as const;
export type KeyExchangeMethod = (typeof keyExchangeMethods)[number];

export const hostKeyAlgorithms = ['ssh-ed25519', 'ecdsa-sha2-nistp256'] as const;
export type HostKeyAlgorithm = (typeof hostKeyAlgorithms)[number];

export type Profile = {
  readonly name: ProfileName;
  readonly keyExchange: readonly KeyExchangeMethod[];
  readonly hostKeys: readonly HostKeyAlgorithm[];
  readonly ciphers: readonly string[];
  readonly macs: readonly string[];
  /** The signature algorithms that user keys may use, as announced in `server-sig-algs` (RFC 8308). */
  readonly userSignatures: readonly string[];
  readonly rsaBitsMin: number;
  /**
   * Whether clients without strict key exchange are refused. A profile that accepts such clients must offer neither
   * ChaCha20-Poly1305 nor CBC with encrypt-then-MAC, which prefix truncation needs (CVE-2023-48795, decision 0009).
   */
  readonly strictRequired: boolean;
};

const gcm = ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com'] as const;
const ecdsa = ['ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521'] as const;
const rsa = ['rsa-sha2-512', 'rsa-sha2-256'] as const;
const macs = ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com'] as const;

const standard: Profile = {
  name: 'default',
  keyExchange: [
    'mlkem768x25519-sha256',
    'curve25519-sha256',
    'curve25519-sha256@libssh.org',
    'ecdh-sha2-nistp256',
    'ecdh-sha2-nistp384',
  ],
  hostKeys: ['ssh-ed25519', 'ecdsa-sha2-nistp256'],
  ciphers: [...gcm, 'aes256-ctr', 'aes128-ctr'],
  macs,
  userSignatures: ['ssh-ed25519', ...ecdsa, ...rsa],
  rsaBitsMin: 3072,
  strictRequired: true,
};

export const profiles: Readonly<Record<ProfileName, Profile>> = {
  default: standard,
  /** NIST curves, AES-GCM, ECDSA and RSA only. This is a choice of algorithms, not a validated cryptographic module. */
  fips: {
    ...standard,
    name: 'fips',
    keyExchange: ['ecdh-sha2-nistp256', 'ecdh-sha2-nistp384'],
    hostKeys: ['ecdsa-sha2-nistp256'],
    ciphers: gcm,
    userSignatures: [...ecdsa, ...rsa],
  },
  /**
   * For partners whose software is older than 2024: adds a finite-field group, RSA keys of 2048 bits, AES-CTR with
   * HMAC-SHA-2 that is not encrypt-then-MAC, and clients without strict key exchange.
   */
  legacy: {
    ...standard,
    name: 'legacy',
    keyExchange: [...standard.keyExchange, 'diffie-hellman-group14-sha256'],
    macs: [...macs, 'hmac-sha2-256', 'hmac-sha2-512'],
    rsaBitsMin: 2048,
    strictRequired: false,
  },
};

const isOneOf = <T extends string>(names: readonly T[], name: string): name is T =>
  (names as readonly string[]).includes(name);
export const isKeyExchangeMethod = (name: string): name is KeyExchangeMethod => isOneOf(keyExchangeMethods, name);

export const isPostQuantum = (method: KeyExchangeMethod): boolean => method.startsWith('mlkem');

/**
 * Returns the name of the hash function of this key exchange method: RFC 8731, RFC 5656 section 6.2.1, RFC 8268,
 * draft-ietf-sshm-mlkem-hybrid-kex.
 */
export const hashAlgorithmOf = (method: KeyExchangeMethod): 'sha256' | 'sha384' =>
  method === 'ecdh-sha2-nistp384' ? 'sha384' : 'sha256';
