// Owns: the open permit of each session, customer and direction. The next permit can be requested when the present one
// has begun.
// Must never: remember a permit that was not given, or remember more permits than can be open.
import type { Permit } from './charge-queries.ts';

/** When more permits are remembered, those that have begun are forgotten. Each session may have two. */
const keptMax = 10_000;
const askAgainMs = 20;

export class OpenPermits {
  /** When the last permit of each key begins, by `performance.now()`; infinity while it is being requested. */
  readonly #begins = new Map<string, number>();

  async ask(key: string, give: () => Promise<Permit>): Promise<Permit> {
    const now = performance.now();
    const begins = this.#begins.get(key) ?? 0;
    if (begins > now) return { bytes: 0, waitMs: Number.isFinite(begins) ? Math.ceil(begins - now) : askAgainMs };
    this.#begins.set(key, Number.POSITIVE_INFINITY);
    let waitMs = 0;
    try {
      const permit = await give();
      waitMs = permit.waitMs;
      return permit;
    } finally {
      if (waitMs > 0) this.#begins.set(key, performance.now() + waitMs);
      else this.#begins.delete(key);
      if (this.#begins.size > keptMax) this.#forgetBegun();
    }
  }

  #forgetBegun(): void {
    const now = performance.now();
    for (const [key, begins] of this.#begins) if (begins <= now) this.#begins.delete(key);
  }
}
