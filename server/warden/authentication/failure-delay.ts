// Owns: a growing pause before the next decision for a name and source that failed; in memory, bounded.
const entriesMax = 10_000;
const firstMs = 100;
const longestMs = 3000;
const forgetMs = 10 * 60_000;

/** The n-th failure in a row delays the next decision by 100 ms × 2^(n-1), at most 3 s; success or ten quiet minutes forget it. */
export class FailureDelay {
  readonly #failures = new Map<string, { count: number; at: number }>();

  async wait(key: string): Promise<void> {
    const entry = this.#failures.get(key);
    if (entry === undefined) return;
    if (performance.now() - entry.at > forgetMs) {
      this.#failures.delete(key);
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, Math.min(longestMs, firstMs * 2 ** (entry.count - 1))));
  }

  failed(key: string): void {
    const count = (this.#failures.get(key)?.count ?? 0) + 1;
    this.#failures.delete(key);
    if (this.#failures.size >= entriesMax) {
      const [oldest] = this.#failures.keys();
      if (oldest !== undefined) this.#failures.delete(oldest);
    }
    this.#failures.set(key, { count: Math.min(count, 10), at: performance.now() });
  }

  succeeded(key: string): void {
    this.#failures.delete(key);
  }
}
