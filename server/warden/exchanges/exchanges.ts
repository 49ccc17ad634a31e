// Owns: signing key exchanges with the host keys, and the session identifiers that were issued with them: to which
// node, for which connection, and until when.
// Must never: sign a hash that it did not compute itself, issue one hash twice, or let the identifier of one connection
// serve the login of another.
import { randomBytes, sign } from 'node:crypto';
import { type Config, identification, loginMs } from '../../config/config.ts';
import { type HostKeyAlgorithm, type KeyExchangeMethod, type Profile, profiles } from '../../domain/algorithms.ts';
import { CofferdamError } from '../../domain/errors.ts';
import { agreedAlgorithms, type ConnectionAlgorithms } from '../../domain/key-exchange-init.ts';
import { concatBytes, wireString } from '../../domain/ssh-wire.ts';
import type { EdgeToWarden } from '../../rpc/edge-warden.ts';
import type { Params, Result } from '../../rpc/operation.ts';
import type { Release } from '../../rpc/slots.ts';
import type { EdgeCaller } from '../callers/edge-caller.ts';
import { claimOf, type WardenSlots } from '../callers/shares.ts';
import type { HostKey } from '../keys/key-files.ts';
import { exchangeHash } from './exchange-hash.ts';

/** What the warden itself knows of the key exchange on which a login runs. */
export type Issued = {
  readonly sessionIdentifier: Buffer;
  /** The identification line of the client from the transcript that was signed; printable ASCII. */
  readonly client: string;
  readonly keyExchange: KeyExchangeMethod;
  readonly hostKeyAlgorithm: HostKeyAlgorithm;
  readonly algorithms: ConnectionAlgorithms;
};
/**
 * `issuedAt` is in milliseconds of this process's monotonic clock; `release` gives back the place of the identifier.
 */
type Open = Issued & { readonly issuedAt: number; readonly release: Release };
/**
 * The hashes that were signed with one challenge. `releases` are the places that the hashes hold; they are given back
 * when the challenge is no longer accepted.
 */
type ChallengePeriod = { readonly challenge: Buffer; readonly hashes: Set<string>; readonly releases: Release[] };

const challengeBytes = 8;
const challengeLifeMs = 5 * 60_000;
const graceAfterLoginMs = 10_000;

/** The name that begins the data signed as proof of a further host key (OpenSSH's PROTOCOL, section 3). */
const proveName = 'hostkeys-prove-00@openssh.com';

export class Exchanges {
  readonly #config: Pick<Config, 'edges' | 'limits'>;
  readonly #keys: readonly HostKey[];
  readonly #slots: Pick<WardenSlots, 'identifiers' | 'signatures'>;
  readonly #open = new Map<string, Map<string, Open>>();
  readonly #timers: readonly NodeJS.Timeout[];
  /** The period of the present challenge, and the one before it, whose challenge is still accepted. */
  #periods: readonly ChallengePeriod[] = [newPeriod()];
  /** The number of key exchanges that this process has signed. */
  signed = 0;

  constructor(
    config: Pick<Config, 'edges' | 'limits'>,
    keys: readonly HostKey[],
    slots: Pick<WardenSlots, 'identifiers' | 'signatures'>,
  ) {
    this.#config = config;
    this.#keys = keys;
    this.#slots = slots;
    this.#timers = [
      setInterval(() => this.#renewChallenge(), challengeLifeMs),
      setInterval(() => this.#expire(), 5000),
    ];
    for (const timer of this.#timers) timer.unref();
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  /**
   * The present challenge, in hexadecimal. Each KEXINIT of the gateway must carry it, so that a transcript of another
   * time or of another warden is not signed.
   */
  get challenge(): string {
    return this.#periods[0]?.challenge.toString('hex') ?? '';
  }

  profileOf(caller: EdgeCaller): Profile {
    return profiles[this.#config.edges.find((edge) => edge.node === caller.node)?.profile ?? 'default'];
  }

  publicKeys(caller: EdgeCaller): Result<EdgeToWarden, 'node.hello'>['hostKeys'] {
    const { hostKeys } = this.profileOf(caller);
    return this.#keys
      .filter((key) => hostKeys.includes(key.algorithm))
      .map(({ algorithm, blob, inUse }) => ({ algorithm, blob: blob.toString('base64'), inUse }));
  }

  sign(params: Params<EdgeToWarden, 'exchange.sign'>, caller: EdgeCaller): Result<EdgeToWarden, 'exchange.sign'> {
    const profile = this.profileOf(caller);
    const key = this.#keys.find(
      (one) => one.inUse && one.algorithm === params.hostKeyAlgorithm && profile.hostKeys.includes(one.algorithm),
    );
    if (key === undefined || !profile.keyExchange.includes(params.keyExchange))
      throw refusal('the profile of this listener does not have the key exchange method or the host key algorithm');
    const bytes = (text: string): Buffer => Buffer.from(text, 'base64');
    const fields = {
      keyExchange: params.keyExchange,
      clientIdentification: bytes(params.clientIdentification),
      serverIdentification: bytes(params.serverIdentification),
      clientKexInit: bytes(params.clientKexInit),
      serverKexInit: bytes(params.serverKexInit),
      hostKey: key.blob,
      clientPublic: bytes(params.clientPublic),
      serverPublic: bytes(params.serverPublic),
      sharedSecret: bytes(params.sharedSecret),
    };
    if (fields.serverIdentification.toString('latin1') !== identification)
      throw refusal('the server identification is not that of this product');
    const client = fields.clientIdentification.toString('latin1');
    if (!/^SSH-(?:2\.0|1\.99)-[\x20-\x7e]{0,247}$/.test(client))
      throw refusal('the client identification has a wrong form');
    if (fields.clientKexInit[0] !== 20 || fields.serverKexInit[0] !== 20)
      throw refusal('one of the two payloads is not a KEXINIT');
    const period = this.#periods.find(({ challenge }) =>
      challenge.equals(fields.serverKexInit.subarray(1, 1 + challengeBytes)),
    );
    if (period === undefined) throw refusal('the key exchange carries no current challenge');
    const hash = exchangeHash(fields);
    const name = hash.toString('base64');
    if (period.hashes.has(name)) throw refusal('this key exchange was signed before');
    period.releases.push(this.#slots.signatures.take(claimOf(caller)));
    period.hashes.add(name);
    if (params.isFirst)
      this.#issue(caller, params.connection, {
        sessionIdentifier: hash,
        client,
        keyExchange: params.keyExchange,
        hostKeyAlgorithm: params.hostKeyAlgorithm,
        algorithms: agreedAlgorithms(fields.clientKexInit, fields.serverKexInit),
      });
    this.signed += 1;
    return { hostKey: key.blob.toString('base64'), signature: signHash(key, hash).toString('base64') };
  }

  #issue(caller: EdgeCaller, connection: string, issued: Issued): void {
    const open = this.#open.get(caller.node) ?? new Map<string, Open>();
    this.#open.set(caller.node, open);
    if (open.has(connection)) throw refusal('this connection already has a session identifier');
    open.set(connection, {
      ...issued,
      issuedAt: performance.now(),
      release: this.#slots.identifiers.take(claimOf(caller)),
    });
  }

  /**
   * Returns what was issued to this node for this connection; undefined when nothing was, or when its login has ended.
   */
  find(caller: EdgeCaller, connection: string): Issued | undefined {
    return this.#open.get(caller.node)?.get(connection);
  }

  /** Withdraws the identifier of a connection, because its login is over. */
  close(caller: EdgeCaller, connection: string): void {
    this.#drop(this.#open.get(caller.node), connection);
  }

  /**
   * Returns, for each of the host keys, the signature that proves to the client that the gateway holds it. Throws
   * `invalid` for a key that does not belong to the gateway.
   */
  prove(sessionIdentifier: Buffer, hostKeys: readonly string[]): readonly string[] {
    return hostKeys.map((text) => {
      const blob = Buffer.from(text, 'base64');
      const key = this.#keys.find((one) => one.blob.equals(blob));
      if (key === undefined) throw refusal('the named key is no host key of this gateway');
      const data = concatBytes([wireString(proveName), wireString(sessionIdentifier), wireString(blob)]);
      return Buffer.from(signatureBlob(key, Buffer.from(data))).toString('base64');
    });
  }

  #renewChallenge(): void {
    const [newest, ...over] = this.#periods;
    this.#periods = newest === undefined ? [newPeriod()] : [newPeriod(), newest];
    for (const release of over.flatMap(({ releases }) => releases)) release();
  }

  #expire(): void {
    const oldest = performance.now() - loginMs(this.#config.limits) - graceAfterLoginMs;
    for (const open of this.#open.values())
      for (const [connection, { issuedAt }] of open) if (issuedAt < oldest) this.#drop(open, connection);
  }

  #drop(open: Map<string, Open> | undefined, connection: string): void {
    open?.get(connection)?.release();
    open?.delete(connection);
  }
}

const newPeriod = (): ChallengePeriod => ({ challenge: randomBytes(challengeBytes), hashes: new Set(), releases: [] });
const refusal = (text: string): CofferdamError => new CofferdamError('invalid', text);

/** Returns a raw Ed25519 signature, or a DER ECDSA signature with SHA-256. */
function signHash(key: HostKey, data: Buffer): Buffer {
  return sign(key.algorithm === 'ssh-ed25519' ? null : 'sha256', data, key.key);
}

/**
 * Returns the signature in SSH form: string algorithm, string signature. An ECDSA signature consists of two mpints (RFC
 * 5656 section 3.1.2).
 */
function signatureBlob(key: HostKey, data: Buffer): Uint8Array {
  if (key.algorithm === 'ssh-ed25519') return concatBytes([wireString(key.algorithm), wireString(signHash(key, data))]);
  const both = sign('sha256', data, { key: key.key, dsaEncoding: 'ieee-p1363' });
  const mpint = (half: Buffer): Uint8Array => {
    let start = 0;
    while (start < half.length - 1 && half[start] === 0) start += 1;
    const short = half.subarray(start);
    return wireString((short[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), short]) : short);
  };
  const width = both.length / 2;
  return concatBytes([
    wireString(key.algorithm),
    wireString(concatBytes([mpint(both.subarray(0, width)), mpint(both.subarray(width))])),
  ]);
}
