// Owns: when this side asks for new keys, and how often the client may (RFC 4253 section 9, RFC 4344 section 3).
import { RateGate } from './guard.ts';

export type RekeyLimits = { readonly rekeyBytes: number; readonly rekeyMs: number; readonly keyExchangeMs: number };

const clientRekeysMax = 10;
const clientRekeysWindowMs = 60_000;

export class RekeyPolicy {
  readonly #limits: RekeyLimits;
  readonly #client = new RateGate(clientRekeysMax, clientRekeysWindowMs);
  #bytesThen = 0;
  #doneAt = performance.now();
  #startedAt: number | undefined;

  constructor(limits: RekeyLimits) {
    this.#limits = limits;
  }

  /** `bytes`: both directions, since the connection began. */
  isDue(bytes: number): boolean {
    if (this.#startedAt !== undefined) return false;
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

  /** A KEXINIT of the client: an answer to ours, or one of its own, of which there may be only so many. */
  mayClient(): boolean {
    const isAnswer = this.#startedAt !== undefined;
    this.started();
    return isAnswer || this.#client.pass();
  }
}
