// Owns: the blinded sparse map of all trees to which each head commits (docs/reference/ledger-format.md, "The map of
// all trees"), and the paths in it.
// Must never: let a path tell how many other trees there are. An empty node must look like any other.
import type { Grown } from './leaf.ts';
import { hashBytes, leafHash, nodeHash, type Sha256 } from './merkle.ts';

/** The number of levels below the root. A slot is a number of this many bits. */
export const mapDepth = 32;
/** The number of random bytes that blind the map of one epoch. */
export const secretBytes = 32;

/** Thrown when two trees have the same slot under this secret. Another secret has to be drawn. */
export class SlotCollision extends Error {
  override readonly name = 'SlotCollision';
}

/** The path of one tree to the root of the map: the siblings from level 32 up to level 1. */
type MapPath = { readonly slot: number; readonly blind: Uint8Array; readonly siblings: readonly Uint8Array[] };

const encoder = new TextEncoder();
const slotLabel = encoder.encode('cofferdam ledger slot/2');
const blindLabel = encoder.encode('cofferdam ledger blind/2');
const emptyLabel = encoder.encode('cofferdam ledger empty/2');

const joined = (...parts: readonly Uint8Array[]): Uint8Array => {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
};

/** Returns the 16 bytes of a UUID. Throws a RangeError for any other text. */
function idBytes(tree: string): Uint8Array {
  const hex = tree.replaceAll('-', '');
  if (!/^[0-9a-f]{32}$/.test(hex)) throw new RangeError('the name of a tree is a UUID in lower case');
  return Uint8Array.from({ length: 16 }, (_, i) => Number.parseInt(hex.slice(i * 2, i * 2 + 2), 16));
}

export const slotOf = (sha256: Sha256, secret: Uint8Array, tree: string): number => {
  const digest = sha256(joined(slotLabel, secret, idBytes(tree)));
  return new DataView(digest.buffer, digest.byteOffset).getUint32(0);
};
export const blindOf = (sha256: Sha256, secret: Uint8Array, tree: string): Uint8Array =>
  sha256(joined(blindLabel, secret, idBytes(tree)));

export const mapLeaf = (sha256: Sha256, { tree, size, root }: Grown, blind: Uint8Array): Uint8Array =>
  leafHash(sha256, joined(encoder.encode(`cofferdam ledger tree/2\n${tree} ${size} ${root}\n`), blind));

/** Returns the bit of a slot that decides between the two nodes of a level (1 to 32). */
const bitAt = (slot: number, level: number): number => (slot >>> (mapDepth - level)) & 1;
/** Returns the first `level` bits of a slot, of which there is at least one. */
const prefixAt = (slot: number, level: number): number => slot >>> (mapDepth - level);

/** Returns the root of the map to which a leaf and its siblings lead. */
export function mapRootFrom(
  sha256: Sha256,
  leaf: Uint8Array,
  slot: number,
  siblings: readonly Uint8Array[],
): Uint8Array {
  if (siblings.length !== mapDepth) throw new RangeError('a path in the map has 32 siblings');
  return siblings.reduce<Uint8Array>((node, sibling, i) => {
    const isRight = bitAt(slot, mapDepth - i) === 1;
    return isRight ? nodeHash(sha256, sibling, node) : nodeHash(sha256, node, sibling);
  }, leaf);
}

/**
 * A tree that is the only one below some node. All its siblings below that node are empty, and their hashes do not
 * change as long as the secret does not.
 */
type Lone = {
  readonly is: 'lone';
  readonly tree: string;
  readonly slot: number;
  readonly blind: Uint8Array;
  readonly leaf: Uint8Array;
  /**
   * The hashes of the empty siblings, beginning with level 32. The array is shared by all states of this tree, and is
   * longer than needed when the tree was once alone below a higher node.
   */
  readonly empties: Uint8Array[];
  /** The hash of a node below which the tree is alone, and the level of that node. */
  known: { readonly level: number; readonly hash: Uint8Array } | undefined;
};
type Fork = { readonly is: 'fork'; readonly left: Node; readonly right: Node; hash: Uint8Array | undefined };
type Empty = { readonly is: 'empty'; hash: Uint8Array | undefined };
type Node = Lone | Fork | Empty;

const empty = (): Empty => ({ is: 'empty', hash: undefined });

/**
 * One state of the map. A later state shares with an earlier one everything that did not change, so a round in which k
 * of n trees grew costs k paths to the root.
 */
export class TreeMap {
  readonly #sha256: Sha256;
  readonly #secret: Uint8Array;
  readonly #top: Node;
  /**
   * The bytes from which an empty node is hashed: label, secret, level, prefix. The last five bytes are overwritten for
   * each node.
   */
  readonly #blank: Uint8Array;

  private constructor(sha256: Sha256, secret: Uint8Array, top: Node) {
    this.#sha256 = sha256;
    this.#secret = secret;
    this.#top = top;
    this.#blank = joined(emptyLabel, secret, new Uint8Array(5));
  }

  /** Returns the map without trees. */
  static empty(sha256: Sha256, secret: Uint8Array): TreeMap {
    if (secret.length !== secretBytes) throw new RangeError('the secret of a map has 32 bytes');
    return new TreeMap(sha256, secret, empty());
  }

  get secret(): Uint8Array {
    return this.#secret;
  }

  /** Returns the map after these trees grew or were added. Throws a SlotCollision when two trees have the same slot. */
  with(grown: readonly Grown[]): TreeMap {
    const top = grown.reduce(
      (node, one) => this.#put(node, 0, one, slotOf(this.#sha256, this.#secret, one.tree)),
      this.#top,
    );
    return new TreeMap(this.#sha256, this.#secret, top);
  }

  root(): Uint8Array {
    return this.#hash(this.#top, 0, 0);
  }

  /** Returns the path of a tree, or undefined when the tree is not in the map. */
  path(tree: string): MapPath | undefined {
    const slot = slotOf(this.#sha256, this.#secret, tree);
    const siblings: Uint8Array[] = [];
    let node = this.#top;
    for (let level = 1; node.is === 'fork'; level += 1) {
      const isRight = bitAt(slot, level) === 1;
      siblings.push(this.#hash(isRight ? node.left : node.right, level, prefixAt(slot, level) ^ 1));
      node = isRight ? node.right : node.left;
    }
    if (node.is === 'empty' || node.tree !== tree) return undefined;
    const below = this.#emptiesOf(node, siblings.length);
    return { slot, blind: node.blind, siblings: [...below, ...siblings.reverse()] };
  }

  #put(node: Node, level: number, one: Grown, slot: number): Node {
    if (node.is === 'empty') return this.#lone(one, slot, undefined);
    if (node.is === 'lone') {
      if (node.tree === one.tree) return this.#lone(one, slot, node);
      if (node.slot === slot) throw new SlotCollision('two trees have the same slot of the map');
      return this.#put(this.#split(node, level), level, one, slot);
    }
    const isRight = bitAt(slot, level + 1) === 1;
    const grown = this.#put(isRight ? node.right : node.left, level + 1, one, slot);
    return { is: 'fork', left: isRight ? node.left : grown, right: isRight ? grown : node.right, hash: undefined };
  }

  #lone(one: Grown, slot: number, before: Lone | undefined): Lone {
    const blind = before?.blind ?? blindOf(this.#sha256, this.#secret, one.tree);
    const leaf = mapLeaf(this.#sha256, one, blind);
    return { is: 'lone', tree: one.tree, slot, blind, leaf, empties: before?.empties ?? [], known: undefined };
  }

  #split(node: Lone, level: number): Fork {
    const isRight = bitAt(node.slot, level + 1) === 1;
    return { is: 'fork', left: isRight ? empty() : node, right: isRight ? node : empty(), hash: undefined };
  }

  /** `prefix`: the bits of the way to the node, as 32 bits with a sign or without one. */
  #hash(node: Node, level: number, prefix: number): Uint8Array {
    switch (node.is) {
      case 'empty':
        node.hash ??= this.#emptyHash(level, prefix);
        return node.hash;
      case 'fork':
        node.hash ??= nodeHash(
          this.#sha256,
          this.#hash(node.left, level + 1, prefix << 1),
          this.#hash(node.right, level + 1, (prefix << 1) | 1),
        );
        return node.hash;
      case 'lone':
        return this.#loneHash(node, level);
    }
  }

  #loneHash(node: Lone, level: number): Uint8Array {
    if (node.known?.level === level) return node.known.hash;
    const hash = this.#emptiesOf(node, level).reduce((below, sibling, i) => {
      const isRight = bitAt(node.slot, mapDepth - i) === 1;
      return isRight ? nodeHash(this.#sha256, sibling, below) : nodeHash(this.#sha256, below, sibling);
    }, node.leaf);
    node.known = { level, hash };
    return hash;
  }

  /**
   * Returns the hashes of the empty siblings of a tree that is alone below a node of this level, beginning with level
   * 32.
   */
  #emptiesOf(node: Lone, level: number): readonly Uint8Array[] {
    for (let at = mapDepth - node.empties.length; at > level; at -= 1)
      node.empties.push(this.#emptyHash(at, prefixAt(node.slot, at) ^ 1));
    return node.empties.slice(0, mapDepth - level);
  }

  #emptyHash(level: number, prefix: number): Uint8Array {
    const data = this.#blank;
    const at = data.length - 5;
    new DataView(data.buffer).setUint8(at, level);
    new DataView(data.buffer).setUint32(at + 1, prefix);
    const hash = this.#sha256(data);
    if (hash.length !== hashBytes) throw new RangeError('a hash has 32 bytes');
    return hash;
  }
}
