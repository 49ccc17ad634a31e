// Owns: Merkle trees of RFC 6962, section 2.1: a tree that grows, a tree from its whole subtrees, audit paths.
// Must never: hash a leaf as a node, or a node as a leaf.
import { nodeHash, sha256 } from './hash.js';

export const blockSize = 256;

/** A tree that only grows: the roots of its complete subtrees, largest first. */
export class Frontier {
  /** @type {{ readonly leaves: number, readonly hash: Buffer }[]} */
  #subtrees = [];
  #size = 0;
  /** @type {Buffer | undefined} */
  #block;

  get size() {
    return this.#size;
  }

  /** The hash of the 256 leaves that the last append completed. */
  get block() {
    return this.#block;
  }

  /** @param {Buffer} leaf */
  append(leaf) {
    this.#push(leaf, 1);
  }

  /**
   * Adds 256 leaves at once, of which only the hash is known. The size must be a multiple of 256.
   * @param {Buffer} block
   */
  appendBlock(block) {
    if (this.#size % blockSize !== 0) throw new Error('a block begins at a multiple of 256');
    this.#push(block, blockSize);
  }

  root() {
    /** @type {Buffer | undefined} */
    let root;
    for (let i = this.#subtrees.length - 1; i >= 0; i -= 1) {
      const left = this.#subtrees[i]?.hash;
      if (left !== undefined) root = root === undefined ? left : nodeHash(left, root);
    }
    return root ?? sha256(Buffer.alloc(0));
  }

  copy() {
    const copy = new Frontier();
    copy.#subtrees = [...this.#subtrees];
    copy.#size = this.#size;
    return copy;
  }

  /** The roots of the complete subtrees, largest first, one after the other. */
  roots() {
    return Buffer.concat(this.#subtrees.map(({ hash }) => hash));
  }

  /** As it was where the current block begins. */
  wholeBlocks() {
    const whole = new Frontier();
    whole.#subtrees = this.#subtrees.filter(({ leaves }) => leaves >= blockSize);
    whole.#size = this.#size - (this.#size % blockSize);
    return whole;
  }

  /**
   * Returns the tree of this many leaves whose whole subtrees have these roots, the largest first; nothing when their
   * number does not fit the size.
   * @param {number} size
   * @param {readonly Buffer[]} roots
   */
  static from(size, roots) {
    const tree = new Frontier();
    let rest = size;
    for (const root of roots) {
      if (rest < 1) return undefined;
      const leaves = 2 ** Math.floor(Math.log2(rest));
      tree.#subtrees.push({ leaves, hash: root });
      rest -= leaves;
    }
    tree.#size = size;
    return rest === 0 ? tree : undefined;
  }

  /**
   * @param {Buffer} added
   * @param {number} count
   */
  #push(added, count) {
    let subtree = { leaves: count, hash: added };
    this.#block = undefined;
    for (let left = this.#subtrees.at(-1); left?.leaves === subtree.leaves; left = this.#subtrees.at(-1)) {
      this.#subtrees.pop();
      subtree = { leaves: left.leaves * 2, hash: nodeHash(left.hash, subtree.hash) };
      if (subtree.leaves === blockSize) this.#block = subtree.hash;
    }
    this.#subtrees.push(subtree);
    this.#size += count;
  }
}

/**
 * Returns whether `path` leads from the leaf at `index` to the root of a tree of `size` leaves (RFC 9162, section
 * 2.1.3.2, the same trees).
 * @param {Buffer} leaf
 * @param {number} index
 * @param {number} size
 * @param {readonly Buffer[]} path
 * @param {Buffer} root
 */
export function verifyAuditPath(leaf, index, size, path, root) {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) return false;
  let node = index;
  let last = size - 1;
  let hashed = leaf;
  for (const sibling of path) {
    if (last === 0 || sibling.length !== 32) return false;
    if (node % 2 === 1 || node === last) {
      hashed = nodeHash(sibling, hashed);
      while (node % 2 === 0 && node !== 0) [node, last] = [node / 2, Math.floor(last / 2)];
    } else hashed = nodeHash(hashed, sibling);
    [node, last] = [Math.floor(node / 2), Math.floor(last / 2)];
  }
  return last === 0 && hashed.equals(root);
}
