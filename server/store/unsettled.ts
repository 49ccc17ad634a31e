// Owns: how much each edge has put that no row of the database names yet: pieces of objects that are being written, and
// objects that are whole and that no warden has settled (T-35).
// Must never: let one edge take more of the volume than its allowance before the wardens have charged for it.
import { CofferdamError } from '../domain/errors.ts';
import type { NodeName, ObjectId } from '../domain/ids.ts';

/** The unit in which a volume gives space, in bytes. */
const blockBytes = 4096;
/**
 * What an object counts at least, in bytes, because each also takes a name and an inode. A file of less lies in its row
 * and is no object. So the allowance bounds the number of objects as well.
 */
const objectBytesMin = 64 * 1024;

/** Returns what an object of this many bytes counts. */
export const countedBytes = (bytes: number): number =>
  Math.max(objectBytesMin, Math.ceil(bytes / blockBytes) * blockBytes);

type Whole = { readonly node: NodeName; readonly bytes: number; readonly since: number };

/** The bytes of one object on its way. */
export type Holding = {
  /**
   * Counts bytes before they are written, in whole blocks. Throws `over-limit` when they exceed the node's allowance,
   * and counts nothing then.
   */
  add(bytes: number): void;
  /** Keeps the bytes counted under the name of the object, which is whole now. */
  whole(object: ObjectId): void;
  /** Counts the bytes no longer. */
  release(): void;
};

export class Unsettled {
  readonly #bytesMax: number;
  readonly #now: () => number;
  readonly #bytes = new Map<NodeName, number>();
  /** The whole objects in the order in which they became whole. */
  readonly #whole = new Map<ObjectId, Whole>();

  /** `bytesMax`: the allowance of each node. `now` returns milliseconds on a clock that only goes forward. */
  constructor(bytesMax: number, now: () => number = () => performance.now()) {
    this.#bytesMax = bytesMax;
    this.#now = now;
  }

  #count(node: NodeName, bytes: number): void {
    this.#bytes.set(node, (this.#bytes.get(node) ?? 0) + bytes);
  }

  hold(node: NodeName): Holding {
    let written = 0;
    let held = 0;
    const release = (): void => {
      this.#count(node, -held);
      written = 0;
      held = 0;
    };
    return {
      add: (bytes) => {
        const more = countedBytes(written + bytes) - held;
        if ((this.#bytes.get(node) ?? 0) + more > this.#bytesMax)
          throw new CofferdamError('over-limit', 'this edge has too much in the store that no upload has taken');
        written += bytes;
        held += more;
        this.#count(node, more);
      },
      whole: (object) => {
        this.#whole.set(object, { node, bytes: held, since: this.#now() });
        held = 0;
      },
      release,
    };
  }

  /** Counts these objects no longer, because a row names them, or because they were deleted. */
  settle(objects: readonly ObjectId[]): void {
    for (const object of objects) {
      const one = this.#whole.get(object);
      if (one === undefined) continue;
      this.#whole.delete(object);
      this.#count(one.node, -one.bytes);
    }
  }

  /** Returns up to `max` objects that have been whole and not settled for `ageMs` milliseconds, oldest first. */
  olderThan(ageMs: number, max: number): readonly ObjectId[] {
    const until = this.#now() - ageMs;
    const old: ObjectId[] = [];
    for (const [object, { since }] of this.#whole) {
      if (since > until || old.length >= max) break;
      old.push(object);
    }
    return old;
  }

  /** Returns how many bytes the objects of each node count that are not settled. */
  held(): readonly { readonly node: NodeName; readonly bytes: number }[] {
    return [...this.#bytes].map(([node, bytes]) => ({ node, bytes }));
  }
}
