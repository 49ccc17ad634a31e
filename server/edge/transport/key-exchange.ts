// Owns: the key exchange of one connection: our negotiation and key
// agreement inside ssh2's state machine, and the signature from the warden.
// Must never: hold a private host key, or let the client continue while the signature is awaited.
// How it works: ssh2 creates one KeyExchange for each KEXINIT and assigns it to `_kex`. Accessors on our own
// protocol object see this assignment, and that of `_kexinit`, which is our KEXINIT before it is sent. Each
// KeyExchange is then given our method, our secret and, when the warden has answered, the warden's signature.
import {
  type HostKeyAlgorithm,
  hashAlgorithmOf,
  hostKeyAlgorithms,
  type KeyExchangeMethod,
  type Profile,
} from '../../domain/algorithms.ts';
import { detach } from '../../domain/detached.ts';
import { CofferdamError } from '../../domain/errors.ts';
import {
  chooseMethod,
  isGuessWrong,
  nothingInCommon,
  parseClientKexInit,
  withMethods,
} from '../../domain/key-exchange-init.ts';
import { detailOf, type FailDetail, type FailReason } from '../seam/fail-reasons.ts';
import { carrier } from './algorithms.ts';
import { agree } from './key-agreement.ts';
import { kexDhInit } from './messages/kex-dh-init.ts';
import { number } from './messages/numbers.ts';
import type { CoreKeyExchange, CoreProtocol } from './ssh2-core.ts';

/**
 * Everything that the exchange hash covers except the host key, which the warden adds when it signs (RFC 4253 section
 * 8).
 */
export type Transcript = {
  readonly isFirst: boolean;
  readonly keyExchange: KeyExchangeMethod;
  readonly hostKeyAlgorithm: HostKeyAlgorithm;
  readonly clientIdentification: Buffer;
  readonly serverIdentification: Buffer;
  readonly clientKexInit: Buffer;
  readonly serverKexInit: Buffer;
  readonly clientPublic: Buffer;
  readonly serverPublic: Buffer;
  readonly sharedSecret: Buffer;
};
/** The warden's answer. `signature` is raw Ed25519 or DER-encoded ECDSA, as ssh2 expects it. */
export type Signed = { readonly hostKey: Buffer; readonly signature: Buffer };

type KeyExchangeHost = {
  readonly profile: Profile;
  readonly hostKeys: readonly HostKeyAlgorithm[];
  /** Returns the first bytes of our KEXINIT's cookie, by which the warden recognises that this exchange is recent. */
  challenge(): Buffer;
  maySign(): boolean;
  whenSignable(): Promise<void>;
  sign(transcript: Transcript): Promise<Signed>;
  /** Ends the connection. `ours` means that nobody signed, which is no misdeed of the client. */
  fail(reason: FailReason, whose: 'client' | 'ours', more?: FailDetail): void;
  /** Called when the client has our host key, its signature and our NEWKEYS. */
  answered(isFirst: boolean): void;
  isClosed(): boolean;
};

const notStrict =
  'this server requires strict key exchange, which your client does not know: update it (OpenSSH 9.6, PuTTY 0.80, ' +
  'WinSCP 6.2.2, libssh 0.10.6, libssh2 1.11.1, paramiko 3.4 and newer know it), or ask for another address of this server';

/**
 * The two sides have no method in common. That is no violation of the
 * protocol: the client is too old, or a scanner. The client may be told why.
 */
export class NothingInCommon extends Error {}

type Chosen = { readonly method: KeyExchangeMethod; readonly payload: Buffer; readonly carried: Buffer };

export class KeyExchange {
  readonly #protocol: CoreProtocol;
  readonly #host: KeyExchangeHost;
  #chosen: Chosen | undefined;
  #count = 0;
  method: KeyExchangeMethod | undefined;
  hostKeyAlgorithm: HostKeyAlgorithm | undefined;
  /**
   * Why this client is refused as soon as it has new keys. Its key exchange is finished first, so that a program which
   * only collects host keys gets them (`ssh-keyscan` never says that it knows strict key exchange).
   */
  refusal: string | undefined;

  constructor(protocol: CoreProtocol, host: KeyExchangeHost) {
    this.#protocol = protocol;
    this.#host = host;
    this.#watch('_kexinit', (payload: Buffer | undefined) => void payload?.set(host.challenge(), 1));
    this.#watch('_kex', (kex: CoreKeyExchange | undefined) => {
      if (kex !== undefined) this.#equip(kex);
    });
  }

  /** Calls `seen` before each assignment of a new value to a property of ssh2's protocol object. */
  #watch<K extends '_kexinit' | '_kex'>(name: K, seen: (value: CoreProtocol[K]) => void): void {
    let current = this.#protocol[name];
    Object.defineProperty(this.#protocol, name, {
      get: () => current,
      set: (value: CoreProtocol[K]) => {
        if (value !== current) seen(value);
        current = value;
      },
      enumerable: true,
    });
  }

  /**
   * Must be called when ssh2 has read the identification line. From
   * then on every payload of the first key exchange goes through `see`.
   */
  watchFirst(see: (type: number) => void): void {
    const decipher = this.#protocol._decipher;
    const original = decipher._onPayload;
    decipher._onPayload = (payload) => {
      const type = payload[0];
      if (type === undefined || this.#host.isClosed()) return;
      see(type);
      if (this.#host.isClosed()) return;
      // This message belongs to a key exchange that nobody has begun. ssh2 would look for a KeyExchange that does not
      // exist.
      const isEarly = this.#protocol._kex === undefined && type > number.kexInit && type < number.userauthRequest;
      if (isEarly) return this.#host.fail('unexpected message in this state', 'client', { messageType: type });
      return original(type === number.kexInit ? this.negotiate(payload) : payload);
    };
  }

  /**
   * Returns the KEXINIT that ssh2 is given instead of the client's. It names the one method that we chose.
   * Throws NothingInCommon when a list has no common name, and on a malformed KEXINIT. When the profile requires strict
   * key exchange and the client does not offer it, the client is refused afterwards (T-16).
   */
  negotiate(payload: Buffer): Buffer {
    const { profile, hostKeys } = this.#host;
    const client = parseClientKexInit(payload);
    const method = chooseMethod(client, profile);
    const lacking =
      method === undefined
        ? { what: 'key exchange method', ours: profile.keyExchange }
        : this.#protocol._kexinit && nothingInCommon(payload, this.#protocol._kexinit);
    if (method === undefined || lacking !== undefined)
      throw new NothingInCommon(`no ${lacking?.what} in common: this server has ${lacking?.ours.join(', ')}`);
    if (this.#count === 0 && profile.strictRequired && !client.hasStrict) this.refusal = notStrict;
    const methods = isGuessWrong(client, method, hostKeys) ? ['wrong-guess', carrier] : [carrier];
    const carried = Buffer.from(withMethods(client, methods));
    this.#chosen = { method, payload: Buffer.from(payload), carried };
    return carried;
  }

  /**
   * Handles a client's request for new keys. Its KEXINIT waits for `waitMs` milliseconds,
   * and until a warden can sign. Nothing but the exchange may follow it meanwhile.
   */
  begin(payload: Buffer, waitMs: number, pass: (payload: Buffer) => void): void {
    if (waitMs === 0 && this.#host.maySign()) return pass(this.negotiate(payload));
    const held = Buffer.from(payload);
    const waited = new Promise<void>((resolve) => setTimeout(resolve, waitMs).unref());
    const passed = waited
      .then(() => this.#host.whenSignable())
      .then(() => {
        if (!this.#host.isClosed()) pass(this.negotiate(held));
      });
    detach(passed, (error) => this.#failed(error));
  }

  /**
   * Ends the connection. A CofferdamError, except `invalid`, is a refusal of the warden and
   * counts as ours; anything else, such as a malformed public value, counts as the client's.
   */
  #failed(error: unknown): void {
    const isOurs = error instanceof CofferdamError && error.code !== 'invalid';
    this.#host.fail('the key exchange failed', isOurs ? 'ours' : 'client', detailOf(error));
  }

  #equip(kex: CoreKeyExchange): void {
    const chosen = this.#chosen;
    this.#chosen = undefined;
    if (chosen === undefined || kex._remoteKexinit !== chosen.carried) throw new Error('a key exchange out of turn');
    const algorithm = hostKeyAlgorithms.find((name) => name === kex.negotiated.serverHostKey);
    if (algorithm === undefined) throw new Error('no host key in common');
    const isFirst = this.#count === 0;
    this.#count += 1;
    this.method = chosen.method;
    this.hostKeyAlgorithm = algorithm;
    kex._remoteKexinit = chosen.payload;
    kex.negotiated.kex = chosen.method;
    kex.hashName = hashAlgorithmOf(chosen.method);
    kex.convertPublicKey = (value) => value;
    const parse = kex.parse.bind(kex);
    let phase: 'init' | 'signing' | 'signed' = 'init';
    kex.parse = (payload) => {
      if (phase === 'signed') return parse(payload);
      // RFC 4253 section 7.1: the client may send nothing else before our reply.
      if (phase === 'signing' || payload[0] !== number.kexDhInit) {
        this.#host.fail('unexpected message in this state', 'client', { messageType: payload[0] });
        throw new Error('unexpected message in this state');
      }
      phase = 'signing';
      const init = Buffer.from(payload);
      const answered = this.#answer(kex, init, chosen, algorithm, isFirst).then(() => {
        if (this.#host.isClosed()) return;
        phase = 'signed';
        parse(init);
        this.#host.answered(isFirst);
      });
      detach(answered, (error) => this.#failed(error));
      return undefined;
    };
  }

  async #answer(
    kex: CoreKeyExchange,
    init: Buffer,
    chosen: Chosen,
    algorithm: HostKeyAlgorithm,
    isFirst: boolean,
  ): Promise<void> {
    const { clientPublic } = kexDhInit.read(init);
    const { serverPublic, secret } = agree(chosen.method, clientPublic);
    kex.getPublicKey = () => serverPublic;
    kex.computeSecret = () => secret;
    const { hostKey, signature } = await this.#host.sign({
      isFirst,
      keyExchange: chosen.method,
      hostKeyAlgorithm: algorithm,
      clientIdentification: Buffer.from(kex._remoteIdentRaw),
      serverIdentification: Buffer.from(kex._identRaw),
      clientKexInit: chosen.payload,
      serverKexInit: Buffer.from(kex._kexinit),
      clientPublic,
      serverPublic,
      sharedSecret: secret,
    });
    this.#protocol._hostKeys = { [algorithm]: { type: algorithm, getPublicSSH: () => hostKey, sign: () => signature } };
  }
}
