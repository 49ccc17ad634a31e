// Owns: when this side asks for new keys, and how often the client may (RFC 4253 section 9, RFC 4344 section 3).
// Must never: let one connection use a large part of the key exchanges that the warden signs for the whole edge.
import { RateGate } from './guard.ts';

type RekeyLimits = { readonly rekeyBytes: number; readonly rekeyMs: number; readonly keyExchangeMs: number };

/**
 * A client's key exchange that comes after fewer bytes than this since the last one counts as one
 * without work; only `clientRekeysMax` of these are allowed within `clientRekeysWindowMs`. The bound is
 * low because the two sides do not count alike: OpenSSH with `RekeyLimit 1M` asks after each 450 KiB.
 */
const clientRekeyBytes = 256 * 1024;
const clientRekeysMax = 10;
const clientRekeysWindowMs = 60_000;
/**
 * A client may ask for `clientRekeysMax` key exchanges at once. Each further one must be earned, by `pricedBytes`
 * transferred bytes or by `pricedMs` milliseconds, and waits until it is. Clients ask after each GiB by themselves.
 */
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
  /** The number of key exchanges that the client may ask for at once. It is negative while an exchange waits. */
  #credit = clientRekeysMax;
  #creditAt = performance.now();
  #creditBytes = 0;

  /** `maySign` returns whether somebody can sign a new exchange. While it returns false, the old keys stay in use. */
  constructor(limits: RekeyLimits, maySign: () => boolean) {
    this.#limits = limits;
    this.#maySign = maySign;
  }

  /**
   * Returns whether this side should ask for new keys. `bytes` is the sum of both directions since the connection
   * began.
   */
  isDue(bytes: number): boolean {
    if (this.#startedAt !== undefined || !this.#maySign()) return false;
    return (
      bytes - this.#bytesThen >= this.#limits.rekeyBytes || performance.now() - this.#doneAt >= this.#limits.rekeyMs
    );
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

  /** Returns whether an exchange was begun and has not ended in time. The connection must then end. */
  isOverdue(): boolean {
    return this.#startedAt !== undefined && performance.now() - this.#startedAt > this.#limits.keyExchangeMs;
  }

  /**
   * Decides on a KEXINIT of the client: an answer to ours, an exchange after a fair
   * amount of work, or one of the few that are allowed without work. Returns how
   * long it must wait, in milliseconds; undefined when it is not allowed at all.
   */
  clientWaitMs(bytes: number): number | undefined {
    if (this.#isAsked) return undefined;
    this.#isAsked = true;
    if (this.#startedAt !== undefined) return 0;
    if (bytes - this.#bytesThen < clientRekeyBytes && !this.#client.pass()) return undefined;
    const waitMs = this.#take(bytes);
    // The time limit of the exchange begins after the wait that we impose.
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
