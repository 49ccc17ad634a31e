// Owns: results and cached values that are kept for a while within one line
// of the table of shares. Each value belongs to the holder that asked for it.
// Must never: remove a value of another holder to make room. The oldest
// value of the same holder is removed, or the new one is refused.
import { CofferdamError } from '../domain/errors.ts';
import type { Claim, Share } from '../domain/share.ts';
import { type Release, Slots } from './slots.ts';

type Kept<V> = { readonly value: V; readonly at: number; readonly holder: string; readonly release: Release };

export class Shelf<V> {
  readonly #slots: Slots;
  readonly #lifeMs: number;
  readonly #onGone: (value: V) => void;
  readonly #kept = new Map<string, Kept<V>>();
  /** For each holder: the ids of its values, the oldest first. */
  readonly #idsOf = new Map<string, Set<string>>();

  /** `onGone` is called with every value that is no longer kept, whatever the reason. */
  constructor(share: Share, lifeMs: number, onGone: (value: V) => void = () => {}) {
    this.#slots = new Slots(share);
    this.#lifeMs = lifeMs;
    this.#onGone = onGone;
  }

  get size(): number {
    return this.#kept.size;
  }

  /** All values that are kept, the oldest first. */
  get values(): readonly V[] {
    return [...this.#kept.values()].map(({ value }) => value);
  }

  /**
   * Keeps a value. When there is no place for this holder, its oldest value
   * that `mayGo` allows is removed. Throws `over-limit` when there is none.
   */
  put(claim: Claim, id: string, value: V, mayGo: (kept: V) => boolean = () => true): void {
    this.#sweep();
    this.delete(id);
    const release = this.#place(claim, mayGo);
    const own = this.#idsOf.get(claim.holder) ?? new Set();
    this.#idsOf.set(claim.holder, own.add(id));
    this.#kept.set(id, { value, at: performance.now(), holder: claim.holder, release });
  }

  #place(claim: Claim, mayGo: (kept: V) => boolean): Release {
    for (;;) {
      try {
        return this.#slots.take(claim);
      } catch (error) {
        const own = this.#oldestOf(claim.holder, mayGo);
        if (own === undefined) throw error;
        this.delete(own);
      }
    }
  }

  #oldestOf(holder: string, mayGo: (kept: V) => boolean): string | undefined {
    for (const id of this.#idsOf.get(holder) ?? []) {
      const kept = this.#kept.get(id);
      if (kept !== undefined && mayGo(kept.value)) return id;
    }
    return undefined;
  }

  get(id: string): V | undefined {
    this.#sweep();
    return this.#kept.get(id)?.value;
  }

  /** Returns a value that must be kept. Throws `not-found` when it is not. */
  require(id: string): V {
    const found = this.get(id);
    if (found === undefined) throw new CofferdamError('not-found', 'this result is not kept any more: ask again');
    return found;
  }

  delete(id: string): void {
    const kept = this.#kept.get(id);
    if (kept === undefined) return;
    this.#kept.delete(id);
    const own = this.#idsOf.get(kept.holder);
    own?.delete(id);
    if (own?.size === 0) this.#idsOf.delete(kept.holder);
    kept.release();
    this.#onGone(kept.value);
  }

  /** Removes the values that are too old. The map is in the order of their ages. */
  #sweep(): void {
    const oldest = performance.now() - this.#lifeMs;
    for (const [id, { at }] of this.#kept) {
      if (at >= oldest) return;
      this.delete(id);
    }
  }

  clear(): void {
    for (const id of [...this.#kept.keys()]) this.delete(id);
  }
}
