// Owns: the memory for pieces of objects that are on their way to the disk: one pool for all edges. It outlives their
// connections, because memory that passes the page cache by is invisible to the collector of Node.js: what connections
// had each for themselves and dropped stayed taken for a long time (T-35).
// Must never: give one piece of memory to two at once, take back what is still being written, or let one node have more
// than its share.
import { CofferdamError } from '../domain/errors.ts';
import type { Claim } from '../domain/share.ts';
import type { ObjectStore } from '../extents/object-store.ts';
import type { Release, Slots } from '../rpc/slots.ts';
import { bodyBytesMax } from '../rpc/store-frames.ts';

export class Pieces {
  readonly #store: Pick<ObjectStore, 'memory'>;
  readonly #places: Slots;
  readonly #free: Buffer[] = [];
  readonly #taken = new Map<Buffer, Release>();
  /** How each asker that found no memory is woken, in the order in which they asked. */
  #waiting = new Set<() => void>();

  /** `places`: how many pieces there are, and how many of them one node may have. */
  constructor(store: Pick<ObjectStore, 'memory'>, places: Slots) {
    this.#store = store;
    this.#places = places;
  }

  /**
   * Returns memory for one piece. When there is none for this claim, it returns undefined, and calls `wake` once when
   * it is worth asking again.
   */
  take(claim: Claim, wake: () => void): Buffer | undefined {
    const release = this.#places.tryTake(claim);
    if (release === undefined) {
      this.#waiting.add(wake);
      return undefined;
    }
    const memory = this.#free.pop() ?? this.#store.memory(bodyBytesMax);
    this.#taken.set(memory, release);
    return memory;
  }

  /** Takes back memory that nobody reads or writes any more. */
  give(memory: Buffer): void {
    const release = this.#taken.get(memory);
    if (release === undefined) throw new CofferdamError('bug', 'memory for a piece was given back twice');
    this.#taken.delete(memory);
    this.#free.push(memory);
    release();
    // Everybody asks again, in their order: whoever is first may have ended, or may have all that its node may have.
    const waiting = this.#waiting;
    this.#waiting = new Set();
    for (const wake of waiting) wake();
  }

  /** Calls this `wake` no more. */
  leave(wake: () => void): void {
    this.#waiting.delete(wake);
  }
}
