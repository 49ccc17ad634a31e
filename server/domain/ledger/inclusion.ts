// Owns: checking an audit path (RFC 9162 section 2.1.3.2, the algorithm for the trees of RFC 6962): which root it leads to.
// Must never: lead anywhere with a path that is too long or too short.
import { nodeHash, type Sha256 } from './merkle.ts';

/** The root that the path leads to from the leaf hash at `index` of a tree of `size` leaves; undefined: no such path. */
export function rootByPath(
  sha256: Sha256,
  index: number,
  size: number,
  leaf: Uint8Array,
  path: readonly Uint8Array[],
): Uint8Array | undefined {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) return undefined;
  // Place of the node, and of the last node, on the level that the way has reached. Not with >>: they may pass 2^31.
  let [at, last] = [index, size - 1];
  let root = leaf;
  for (const beside of path) {
    if (last === 0) return undefined;
    if (at % 2 === 1 || at === last) {
      root = nodeHash(sha256, beside, root);
      // It has risen without a neighbour until here.
      while (at % 2 === 0 && at !== 0) [at, last] = [at / 2, Math.floor(last / 2)];
    } else root = nodeHash(sha256, root, beside);
    [at, last] = [Math.floor(at / 2), Math.floor(last / 2)];
  }
  return last === 0 ? root : undefined;
}
