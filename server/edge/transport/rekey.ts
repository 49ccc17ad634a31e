// Owns: when this side asks for new keys, and how often the client may (RFC 4253 section 9, RFC 4344 section 3).
// Must never: let one connection take a large part of the exchanges that the warden signs for the whole edge.
import { RateGate } from './guard.ts';

export type RekeyLimits = { readonly rekeyBytes: number; readonly rekeyMs: number; readonly keyExchangeMs: number };

/** With less work since the last one it is one of the few without any. The two sides do not count alike: OpenSSH with `RekeyLimit 1M` asks each 450 KiB. */
const clientRekeyBytes = 256 * 1024;
const clientRekeysMax = 10;
const clientRekeysWindowMs = 60_000;
/** Beyond as many at once, an exchange that the client asks for has its price in bytes or in time; what is missing, it waits. Clients ask each GiB by themselves. */
const pricedBytes = 64 * 1024 * 1024;
const pricedMs = 3000;

export class RekeyPolicy {
  readonly #limits: RekeyLimits;
  readonly #maySign: () => boolean;
  readonly #client = new RateGate(clientRekeysMax, clientRekeysWindowMs);
  #bytesThen = 0;
  #doneAt = performance.now();
  #startedAt: number | undefined;
  #isAsked = false;
  /** Exchanges that the client may ask for at once; below nought while it waits for one. */
  #credit = clientRekeysMax;
  #creditAt = performance.now();
  #creditBytes = 0;

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
    this.#isAsked = false;
  }

  /** An exchange that was begun and does not end: the connection must. */
  isOverdue(): boolean {
    return this.#startedAt !== undefined && performance.now() - this.#startedAt > this.#limits.keyExchangeMs;
  }

  /**
   * A KEXINIT of the client: an answer to ours, one after a fair amount of work, or one of the few a minute that come without any. How long it is to wait,
   * in milliseconds; undefined: it may not come at all.
   */
  clientWaitMs(bytes: number): number | undefined {
    if (this.#isAsked) return undefined;
    this.#isAsked = true;
    if (this.#startedAt !== undefined) return 0;
    if (bytes - this.#bytesThen < clientRekeyBytes && !this.#client.pass()) return undefined;
    const waitMs = this.#take(bytes);
    // It begins when it has waited: what we let it wait is no delay of its own.
    this.#startedAt = performance.now() + waitMs;
    return waitMs;
  }

  #take(bytes: number): number {
    const now = performance.now();
    const earned = (now - this.#creditAt) / pricedMs + (bytes - this.#creditBytes) / pricedBytes;
    this.#credit = Math.min(clientRekeysMax, this.#credit + earned) - 1;
    this.#creditAt = now;
    this.#creditBytes = bytes;
    return Math.ceil(Math.max(0, -this.#credit) * pricedMs);
  }
}
