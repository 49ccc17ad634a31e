// Owns: which SSH algorithms a listener offers and accepts: one table, three profiles, read by the edge (offers) and by the warden (signatures).
// Must never: hold SHA-1, CBC or compression in any profile, or a MAC that is not encrypt-then-MAC outside `legacy`.

export const profileNames = ['default', 'fips', 'legacy'] as const;
export type ProfileName = (typeof profileNames)[number];

/** Key exchange methods, by their registered names, that this product can run at all. */
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
  /** What user keys may sign with (RFC 8308 `server-sig-algs`). */
  readonly userSignatures: readonly string[];
  readonly rsaBitsMin: number;
  /** Clients without strict key exchange are refused. Where they are not, no mode is offered that prefix truncation could use (CVE-2023-48795). */
  readonly strictRequired: boolean;
};

const gcm = ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com'] as const;
const ecdsa = ['ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521'] as const;
const rsa = ['rsa-sha2-512', 'rsa-sha2-256'] as const;
const macs = ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com'] as const;

const standard: Profile = {
  name: 'default',
  keyExchange: ['mlkem768x25519-sha256', 'curve25519-sha256', 'curve25519-sha256@libssh.org', 'ecdh-sha2-nistp256', 'ecdh-sha2-nistp384'],
  hostKeys: ['ssh-ed25519', 'ecdsa-sha2-nistp256'],
  ciphers: [...gcm, 'aes256-ctr', 'aes128-ctr'],
  macs,
  userSignatures: ['ssh-ed25519', ...ecdsa, ...rsa],
  rsaBitsMin: 3072,
  strictRequired: true,
};

export const profiles: Readonly<Record<ProfileName, Profile>> = {
  default: standard,
  /** NIST curves, AES-GCM, ECDSA and RSA only. The choice of algorithms, not a validated module. */
  fips: {
    ...standard,
    name: 'fips',
    keyExchange: ['ecdh-sha2-nistp256', 'ecdh-sha2-nistp384'],
    hostKeys: ['ecdsa-sha2-nistp256'],
    ciphers: gcm,
    userSignatures: [...ecdsa, ...rsa],
  },
  /** For partners whose software is older than 2024: a finite-field group, RSA of 2048 bits, no strict key exchange, AES-CTR with plain HMAC-SHA-2. */
  legacy: {
    ...standard,
    name: 'legacy',
    keyExchange: [...standard.keyExchange, 'diffie-hellman-group14-sha256'],
    macs: [...macs, 'hmac-sha2-256', 'hmac-sha2-512'],
    rsaBitsMin: 2048,
    strictRequired: false,
  },
};

const isOneOf = <T extends string>(names: readonly T[], name: string): name is T => (names as readonly string[]).includes(name);
export const isKeyExchangeMethod = (name: string): name is KeyExchangeMethod => isOneOf(keyExchangeMethods, name);

export const isPostQuantum = (method: KeyExchangeMethod): boolean => method.startsWith('mlkem');

/** Hash of the exchange: RFC 8731, RFC 5656 section 6.2.1, RFC 8268, draft-ietf-sshm-mlkem-hybrid-kex. */
export const exchangeHashOf = (method: KeyExchangeMethod): 'sha256' | 'sha384' => (method === 'ecdh-sha2-nistp384' ? 'sha384' : 'sha256');
