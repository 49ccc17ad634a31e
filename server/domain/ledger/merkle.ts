// Owns: Merkle trees of RFC 6962 section 2.1: growing one leaf at a time, audit paths from blocks.
// Must never: know what a leaf says. The hash comes from the caller: this room does no I/O and has no packages.

/** SHA-256 of bytes; 32 bytes that are the caller's own. What it is given may be written over as soon as it returns. */
export type Sha256 = (data: Uint8Array) => Uint8Array;
export const hashBytes = 32;
/** Leaves in one block: the hash of each complete one is kept, so that a path needs one block's leaves and the other blocks' hashes. */
export const blockLeaves = 256;

export function leafHash(sha256: Sha256, data: Uint8Array): Uint8Array {
  const tagged = new Uint8Array(1 + data.length);
  tagged.set(data, 1);
  return sha256(tagged);
}

/** What is hashed for a node. A round of sealing makes thousands of nodes: the place is the same for all of them. */
const nodeData = new Uint8Array(1 + 2 * hashBytes);

export function nodeHash(sha256: Sha256, left: Uint8Array, right: Uint8Array): Uint8Array {
  nodeData[0] = 1;
  nodeData.set(left, 1);
  nodeData.set(right, 1 + hashBytes);
  return sha256(nodeData);
}

/** The roots of the complete subtrees of a tree of `size` leaves, largest first: one for each bit of `size`. */
export type Frontier = { readonly size: number; readonly roots: readonly Uint8Array[] };
export const emptyFrontier: Frontier = { size: 0, roots: [] };

/** One leaf more. `onBlock` hears of each block of 256 leaves that is complete, with its index. */
export function append(
  sha256: Sha256,
  frontier: Frontier,
  leaf: Uint8Array,
  onBlock?: (index: number, hash: Uint8Array) => void,
): Frontier {
  const roots = [...frontier.roots];
  let root = leaf;
  let leaves = 1;
  // Equal neighbours become one, as in adding one to a binary number. Not with >>: sizes may pass 2^31.
  for (let rest = frontier.size; rest % 2 === 1; rest = (rest - 1) / 2) {
    root = nodeHash(sha256, roots.pop() ?? new Uint8Array(), root);
    leaves *= 2;
    if (leaves === blockLeaves) onBlock?.((frontier.size + 1) / blockLeaves - 1, root);
  }
  roots.push(root);
  return { size: frontier.size + 1, roots };
}

/** The tree's hash (RFC 6962 MTH). */
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

/** Throws a RangeError when the bytes do not belong to a tree of that size. */
export function parseFrontier(size: number, bytes: Uint8Array): Frontier {
  if (!Number.isSafeInteger(size) || size < 0 || bytes.length !== bitCount(size) * hashBytes)
    throw new RangeError('not the frontier of a tree');
  return { size, roots: Array.from({ length: bytes.length / hashBytes }, (_, i) => bytes.slice(i * hashBytes, (i + 1) * hashBytes)) };
}

/** The frontier of a tree from the hashes of its whole blocks and the leaf hashes behind them. Throws a RangeError when there are as many leaves as a block has. */
export function frontierOf(sha256: Sha256, blocks: readonly Uint8Array[], rest: readonly Uint8Array[]): Frontier {
  if (rest.length >= blockLeaves) throw new RangeError('these leaves hold a whole block');
  const grow = (nodes: readonly Uint8Array[]): Frontier =>
    nodes.reduce<Frontier>((frontier, node) => append(sha256, frontier, node), emptyFrontier);
  const [upper, lower] = [grow(blocks), grow(rest)];
  return { size: upper.size * blockLeaves + lower.size, roots: [...upper.roots, ...lower.roots] };
}

/** All levels over nodes that stand side by side, each the root of a complete subtree of one size but the last, which may be smaller. */
export function levelsOf(sha256: Sha256, nodes: readonly Uint8Array[]): readonly (readonly Uint8Array[])[] {
  const levels: (readonly Uint8Array[])[] = [nodes];
  for (let level = nodes; level.length > 1; ) {
    const above: Uint8Array[] = [];
    for (let i = 0; i < level.length; i += 2) {
      const [left, right] = [level[i], level[i + 1]];
      // A node without a neighbour rises as it is: the same tree as section 2.1 makes by halving.
      if (left !== undefined) above.push(right === undefined ? left : nodeHash(sha256, left, right));
    }
    levels.push(above);
    level = above;
  }
  return levels;
}

/** RFC 6962 section 2.1.1: the nodes beside the way from the node at `index` to the root, lowest first. */
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
