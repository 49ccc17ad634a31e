// Owns: when this side asks for new keys, and how often the client may (RFC 4253 section 9, RFC 4344 section 3).
import { RateGate } from './guard.ts';

export type RekeyLimits = { readonly rekeyBytes: number; readonly rekeyMs: number; readonly keyExchangeMs: number };

/** An exchange costs about as much as this many bytes of transfer; OpenSSH's smallest `RekeyLimit` is not below. */
const clientRekeyBytes = 1024 * 1024;
const clientRekeysMax = 10;
const clientRekeysWindowMs = 60_000;

export class RekeyPolicy {
  readonly #limits: RekeyLimits;
  readonly #maySign: () => boolean;
  readonly #client = new RateGate(clientRekeysMax, clientRekeysWindowMs);
  #bytesThen = 0;
  #doneAt = performance.now();
  #startedAt: number | undefined;

  /** `maySign`: whether somebody is there who signs a new exchange; until then the old keys stay. */
  constructor(limits: RekeyLimits, maySign: () => boolean) {
    this.#limits = limits;
    this.#maySign = maySign;
  }

  /** `bytes`: both directions, since the connection began. */
  isDue(bytes: number): boolean {
    if (this.#startedAt !== undefined || !this.#maySign()) return false;
    return bytes - this.#bytesThen >= this.#limits.rekeyBytes || performance.now() - this.#doneAt >= this.#limits.rekeyMs;
  }

  started(): void {
    this.#startedAt ??= performance.now();
  }

  done(bytes: number): void {
    this.#bytesThen = bytes;
    this.#doneAt = performance.now();
    this.#startedAt = undefined;
  }

  /** An exchange that was begun and does not end: the connection must. */
  isOverdue(): boolean {
    return this.#startedAt !== undefined && performance.now() - this.#startedAt > this.#limits.keyExchangeMs;
  }

  /** A KEXINIT of the client: an answer to ours, one after a fair amount of work, or one of the few a minute that come without any. */
  mayClient(bytes: number): boolean {
    const isAnswer = this.#startedAt !== undefined;
    this.started();
    return isAnswer || bytes - this.#bytesThen >= clientRekeyBytes || this.#client.pass();
  }
}
