// Owns: under which keys tickets count, as wardens say it when they connect, and who waits for the first of them.
// Must never: keep a key in a file, or let anybody wait who has ended.

/**
 * How many keys of tickets count at once. Wardens that share a master key have the same one; a second one is there
 * while the master key is being replaced.
 */
const keysMax = 2;

export class TicketKeys {
  #keys: readonly Buffer[] = [];
  readonly #waiting = new Set<() => void>();

  /** The keys, the newest first. */
  get all(): readonly Buffer[] {
    return this.#keys;
  }

  /** Takes the key of a warden. The oldest one counts no longer when there are too many. */
  add(key: Buffer): void {
    this.#keys = [key, ...this.#keys.filter((one) => !one.equals(key))].slice(0, keysMax);
    for (const begin of this.#waiting) begin();
    this.#waiting.clear();
  }

  /** Calls `begin` when there is a key: at once, or when the first warden has come. */
  whenKnown(begin: () => void): void {
    if (this.#keys.length > 0) begin();
    else this.#waiting.add(begin);
  }

  /** Calls this `begin` no more. */
  leave(begin: () => void): void {
    this.#waiting.delete(begin);
  }
}
