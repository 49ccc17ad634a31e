// Owns: the map of all trees (docs/reference/ledger-format.md): slots, blinds and the root of one epoch, computed anew
// only where a tree grew.
// Must never: take a node from anywhere except the trees and the secret.
import { leafHash, nodeHash, sha256 } from './hash.js';

export const mapDepth = 32;

/**
 * Blinds a word of the map.
 * @param {string} word
 * @param {Buffer} secret
 * @param {readonly Buffer[]} rest
 */
const blinded = (word, secret, rest) =>
  sha256(Buffer.concat([Buffer.from(`cofferdam ledger ${word}/2`, 'latin1'), secret, ...rest]));

/** @param {string} tree */
const idOf = (tree) => Buffer.from(tree.replaceAll('-', ''), 'hex');

/**
 * @param {Buffer} secret
 * @param {string} tree
 */
const slotOf = (secret, tree) => blinded('slot', secret, [idOf(tree)]).readUInt32BE(0);

/**
 * @param {Buffer} secret
 * @param {string} tree
 */
const blindOf = (secret, tree) => blinded('blind', secret, [idOf(tree)]);

/**
 * @param {string} tree
 * @param {number} size
 * @param {Buffer} root
 * @param {Buffer} blind
 */
export const mapLeafOf = (tree, size, root, blind) =>
  leafHash(
    Buffer.concat([Buffer.from(`cofferdam ledger tree/2\n${tree} ${size} ${root.toString('base64')}\n`), blind]),
  );

/**
 * @param {Buffer} secret
 * @param {number} level
 * @param {number} prefix
 */
function emptyOf(secret, level, prefix) {
  const place = Buffer.alloc(5);
  place.writeUInt8(level, 0);
  place.writeUInt32BE(prefix, 1);
  return blinded('empty', secret, [place]);
}

/**
 * @param {Buffer} secret
 * @param {number} position
 * @param {number} number
 */
export function commitmentOf(secret, position, number) {
  const place = Buffer.alloc(16);
  place.writeBigUInt64BE(BigInt(position), 0);
  place.writeBigUInt64BE(BigInt(number), 8);
  return blinded('number', secret, [place]);
}

/**
 * Returns the map root to which a tree's leaf leads; siblings from level 32 up to level 1.
 * @param {Buffer} leaf
 * @param {number} slot
 * @param {readonly Buffer[]} path
 */
export function mapRootBy(leaf, slot, path) {
  let hashed = leaf;
  let prefix = slot;
  for (const sibling of path) {
    hashed = prefix % 2 === 1 ? nodeHash(sibling, hashed) : nodeHash(hashed, sibling);
    prefix = Math.floor(prefix / 2);
  }
  return hashed;
}

/**
 * A tree alone below its node: its leaf, and the empty nodes beside its path, one after the other from level 32 up.
 * @typedef {{ slot: number, leaf: Buffer, siblings: Buffer, hash: Buffer | undefined }} Single
 * @typedef {{ left: Node | undefined, right: Node | undefined, hash: Buffer | undefined }} Fork
 * @typedef {Single | Fork} Node
 */

/** @param {Node} node @returns {node is Single} */
const isSingle = (node) => 'siblings' in node;

/** The map of one epoch. */
export class TreeMap {
  /** @type {Buffer} */
  #secret;
  /** @type {Node | undefined} */
  #top;
  /** @type {Map<string, { readonly slot: number, readonly blind: Buffer }>} */
  #places = new Map();

  /** @param {Buffer} secret */
  constructor(secret) {
    this.#secret = secret;
  }

  /**
   * Returns false when another tree has the same slot: the epoch may not exist.
   * @param {string} tree
   * @param {number} size
   * @param {Buffer} root
   */
  set(tree, size, root) {
    const known = this.#places.get(tree);
    const place = known ?? { slot: slotOf(this.#secret, tree), blind: blindOf(this.#secret, tree) };
    const leaf = mapLeafOf(tree, size, root, place.blind);
    const put = this.#put(this.#top, 0, place.slot, leaf, known === undefined);
    if (put === undefined) return false;
    this.#top = put;
    if (known === undefined) this.#places.set(tree, place);
    return true;
  }

  root() {
    return this.#hash(this.#top, 0, 0);
  }

  /**
   * @param {Node | undefined} node
   * @param {number} level
   * @param {number} slot
   * @param {Buffer} leaf
   * @param {boolean} isNew
   * @returns {Node | undefined}
   */
  #put(node, level, slot, leaf, isNew) {
    if (node === undefined) return { slot, leaf, siblings: this.#beside(slot, level), hash: undefined };
    if (isSingle(node)) {
      if (node.slot === slot) {
        if (isNew) return undefined;
        node.leaf = leaf;
        node.hash = undefined;
        return node;
      }
      // Now there are two: a fork here, each of them one level down or further.
      const other = { ...node, siblings: node.siblings.subarray(0, node.siblings.length - 32), hash: undefined };
      const fork = { left: undefined, right: undefined, hash: undefined };
      return this.#put(this.#hang(fork, level, other.slot, other), level, slot, leaf, isNew);
    }
    const side = sideOf(slot, level);
    const below = this.#put(node[side], level + 1, slot, leaf, isNew);
    if (below === undefined) return undefined;
    node[side] = below;
    node.hash = undefined;
    return node;
  }

  /**
   * @param {Fork} fork
   * @param {number} level
   * @param {number} slot
   * @param {Node} below
   */
  #hang(fork, level, slot, below) {
    fork[sideOf(slot, level)] = below;
    return fork;
  }

  /**
   * Returns the empty nodes beside the path of a slot, from level 32 up to the one below `level`.
   * @param {number} slot
   * @param {number} level
   */
  #beside(slot, level) {
    const siblings = [];
    for (let at = mapDepth, prefix = slot; at > level; at -= 1, prefix = Math.floor(prefix / 2))
      siblings.push(emptyOf(this.#secret, at, prefix % 2 === 1 ? prefix - 1 : prefix + 1));
    return Buffer.concat(siblings);
  }

  /**
   * @param {Node | undefined} node
   * @param {number} level
   * @param {number} prefix
   * @returns {Buffer}
   */
  #hash(node, level, prefix) {
    if (node === undefined) return emptyOf(this.#secret, level, prefix);
    node.hash ??= isSingle(node)
      ? hashUp(node)
      : nodeHash(this.#hash(node.left, level + 1, prefix * 2), this.#hash(node.right, level + 1, prefix * 2 + 1));
    return node.hash;
  }
}

/**
 * @param {number} slot
 * @param {number} level
 * @returns {'left' | 'right'}
 */
const sideOf = (slot, level) => (Math.floor(slot / 2 ** (mapDepth - 1 - level)) % 2 === 1 ? 'right' : 'left');

/** @param {Single} single */
function hashUp({ slot, leaf, siblings }) {
  const path = [];
  for (let at = 0; at < siblings.length; at += 32) path.push(siblings.subarray(at, at + 32));
  return mapRootBy(leaf, slot, path);
}
