// Owns: results and cached values of a line of the table of shares that are kept for a while, each by whoever asked for it.
// Must never: throw out what is another's to make room: the oldest of the same holder goes, or the new one is refused.
import { CofferdamError } from '../domain/errors.ts';
import type { Claim, Share } from '../domain/share.ts';
import { type Release, Slots } from './slots.ts';

type Kept<V> = { readonly value: V; readonly at: number; readonly holder: string; readonly release: Release };

export class Shelf<V> {
  readonly #slots: Slots;
  readonly #lifeMs: number;
  readonly #onGone: (value: V) => void;
  readonly #kept = new Map<string, Kept<V>>();
  /** What each holder has, the oldest first. */
  readonly #idsOf = new Map<string, Set<string>>();

  /** `onGone` hears of everything that is kept no more, whatever the reason. */
  constructor(share: Share, lifeMs: number, onGone: (value: V) => void = () => {}) {
    this.#slots = new Slots(share);
    this.#lifeMs = lifeMs;
    this.#onGone = onGone;
  }

  get size(): number {
    return this.#kept.size;
  }

  /** What is kept, the oldest first. */
  get values(): readonly V[] {
    return [...this.#kept.values()].map(({ value }) => value);
  }

  /** Throws `over-limit` when all places are taken, and none of them by something of this holder that may go. */
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

  /** The same, where there must be one. */
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

  /** They lie in the order of their ages. */
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
