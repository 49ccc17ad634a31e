// Owns: the Merkle trees of RFC 6962 section 2.1: appending one leaf at a time, and audit paths from blocks.
// Must never: know what a leaf means. The caller passes the hash function, because this folder does no I/O and uses no
// packages.

/**
 * SHA-256 of some bytes. The 32 bytes that it returns belong to the caller, and the caller may overwrite the input as
 * soon as it returns.
 */
export type Sha256 = (data: Uint8Array) => Uint8Array;
export const hashBytes = 32;
/**
 * The number of leaves in one block. The hash of each complete block is kept, so that a path needs the leaves of one
 * block and the hashes of the others.
 */
export const blockLeaves = 256;

export function leafHash(sha256: Sha256, data: Uint8Array): Uint8Array {
  const tagged = new Uint8Array(1 + data.length);
  tagged.set(data, 1);
  return sha256(tagged);
}

/**
 * The buffer from which every node is hashed. A round of sealing hashes thousands of nodes, and one shared buffer saves
 * thousands of allocations.
 */
const nodeData = new Uint8Array(1 + 2 * hashBytes);

export function nodeHash(sha256: Sha256, left: Uint8Array, right: Uint8Array): Uint8Array {
  nodeData[0] = 1;
  nodeData.set(left, 1);
  nodeData.set(right, 1 + hashBytes);
  return sha256(nodeData);
}

/**
 * The roots of the complete subtrees of a tree of `size` leaves, the largest first. There is one for each bit that is
 * set in `size`.
 */
export type Frontier = { readonly size: number; readonly roots: readonly Uint8Array[] };
export const emptyFrontier: Frontier = { size: 0, roots: [] };

/**
 * Returns the frontier with one more leaf. `onBlock` is called, with its index, for each block of 256 leaves that
 * becomes complete.
 */
export function append(
  sha256: Sha256,
  frontier: Frontier,
  leaf: Uint8Array,
  onBlock?: (index: number, hash: Uint8Array) => void,
): Frontier {
  const roots = [...frontier.roots];
  let root = leaf;
  let leaves = 1;
  // Two neighbouring subtrees of the same size become one, like carrying in binary addition. The loop divides instead
  // of using >>, because a size may exceed 2^31.
  for (let rest = frontier.size; rest % 2 === 1; rest = (rest - 1) / 2) {
    root = nodeHash(sha256, roots.pop() ?? new Uint8Array(), root);
    leaves *= 2;
    if (leaves === blockLeaves) onBlock?.((frontier.size + 1) / blockLeaves - 1, root);
  }
  roots.push(root);
  return { size: frontier.size + 1, roots };
}

/** Returns the hash of the tree (MTH of RFC 6962). */
export function rootOf(sha256: Sha256, { roots }: Frontier): Uint8Array {
  const last = roots.at(-1);
  if (last === undefined) return sha256(new Uint8Array());
  return roots.slice(0, -1).reduceRight<Uint8Array>((right, left) => nodeHash(sha256, left, right), last);
}

const bitCount = (size: number): number => size.toString(2).replaceAll('0', '').length;

export function frontierBytes({ roots }: Frontier): Uint8Array {
  const bytes = new Uint8Array(roots.length * hashBytes);
  for (const [i, root] of roots.entries()) bytes.set(root, i * hashBytes);
  return bytes;
}

/** Parses a frontier. Throws a RangeError when the bytes do not belong to a tree of that size. */
export function parseFrontier(size: number, bytes: Uint8Array): Frontier {
  if (!Number.isSafeInteger(size) || size < 0 || bytes.length !== bitCount(size) * hashBytes)
    throw new RangeError('not the frontier of a tree');
  return {
    size,
    roots: Array.from({ length: bytes.length / hashBytes }, (_, i) => bytes.slice(i * hashBytes, (i + 1) * hashBytes)),
  };
}

/**
 * Returns the frontier of a tree from the hashes of its complete blocks and the leaf hashes behind them. Throws a
 * RangeError when the leaves would fill a block.
 */
export function frontierOf(sha256: Sha256, blocks: readonly Uint8Array[], rest: readonly Uint8Array[]): Frontier {
  if (rest.length >= blockLeaves) throw new RangeError('these leaves hold a whole block');
  const grow = (nodes: readonly Uint8Array[]): Frontier =>
    nodes.reduce<Frontier>((frontier, node) => append(sha256, frontier, node), emptyFrontier);
  const [upper, lower] = [grow(blocks), grow(rest)];
  return { size: upper.size * blockLeaves + lower.size, roots: [...upper.roots, ...lower.roots] };
}

/**
 * Returns all levels above the given neighbouring nodes, beginning with the nodes themselves. Each node is the root of
 * a complete subtree of the same size, except the last, which may be smaller.
 */
export function levelsOf(sha256: Sha256, nodes: readonly Uint8Array[]): readonly (readonly Uint8Array[])[] {
  const levels: (readonly Uint8Array[])[] = [nodes];
  for (let level = nodes; level.length > 1; ) {
    const right = level.filter((_, i) => i % 2 === 1);
    // A node without a neighbour is carried up unchanged. This gives the same tree as the recursive definition of
    // section 2.1.
    level = level
      .filter((_, i) => i % 2 === 0)
      .map((left, i) => {
        const beside = right[i];
        return beside === undefined ? left : nodeHash(sha256, left, beside);
      });
    levels.push(level);
  }
  return levels;
}

/**
 * Returns the audit path of RFC 6962 section 2.1.1: the siblings on the way from the node at `index` to the root, the
 * lowest first.
 */
export function auditPath(levels: readonly (readonly Uint8Array[])[], index: number): readonly Uint8Array[] {
  const path: Uint8Array[] = [];
  let at = index;
  for (const level of levels) {
    const beside = level[at % 2 === 0 ? at + 1 : at - 1];
    if (beside !== undefined) path.push(beside);
    at = Math.floor(at / 2);
  }
  return path;
}
