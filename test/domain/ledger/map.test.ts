// The blinded map of all trees: known answers that are computed here by hand from docs/reference/ledger-format.md,
// every path, and every order of growing.
import { createHash } from 'node:crypto';
import { test } from 'tap';
import { type Grown, headText, numberCommitment } from '../../../server/domain/ledger/leaf.ts';
import { blindOf, mapLeaf, mapRootFrom, SlotCollision, slotOf, TreeMap } from '../../../server/domain/ledger/map.ts';

const sha256 = (data: Uint8Array): Uint8Array => createHash('sha256').update(data).digest();
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const secret = sha256(Buffer.from('a secret'));

/** The definition, word by word, without any of the tested code. */
const H = (...parts: readonly (string | Uint8Array)[]): Buffer =>
  createHash('sha256')
    .update(Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part))))
    .digest();
const u32 = (n: number): Buffer => Buffer.from(n.toString(16).padStart(8, '0'), 'hex');
const id = (tree: string): Buffer => Buffer.from(tree.replaceAll('-', ''), 'hex');
const slots = new Map<string, number>();
const slotByHand = (tree: string): number => {
  const slot = slots.get(tree) ?? H('cofferdam ledger slot/2', secret, id(tree)).readUInt32BE(0);
  slots.set(tree, slot);
  return slot;
};
const leafByHand = ({ tree, size, root }: Grown): Buffer =>
  H(
    Buffer.of(0),
    `cofferdam ledger tree/2\n${tree} ${size} ${root}\n`,
    H('cofferdam ledger blind/2', secret, id(tree)),
  );
function nodeByHand(level: number, prefix: bigint, trees: readonly Grown[]): Buffer {
  const below = trees.filter(({ tree }) => BigInt(slotByHand(tree)) >> BigInt(32 - level) === prefix);
  const [first] = below;
  if (first === undefined) return H('cofferdam ledger empty/2', secret, Buffer.of(level), u32(Number(prefix)));
  if (level === 32) return leafByHand(first);
  return H(Buffer.of(1), nodeByHand(level + 1, prefix * 2n, below), nodeByHand(level + 1, prefix * 2n + 1n, below));
}
const rootByHand = (trees: readonly Grown[]): string => hex(nodeByHand(0, 0n, trees));

const treeName = (n: number): string => `${n.toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`;
const grown = (n: number, size = n + 1): Grown => ({
  tree: treeName(n),
  size,
  root: Buffer.from(sha256(Buffer.from(`${n} ${size}`))).toString('base64'),
});

test('roots and leaves of maps are the known answers', (t) => {
  const [a, b] = [{ ...grown(1), tree: '7d0c1e52-6c39-4d3a-9a0e-1d0f5a3fe7b9' }, grown(2)];
  t.equal(slotOf(sha256, secret, a.tree), slotByHand(a.tree));
  t.equal(hex(mapLeaf(sha256, a, blindOf(sha256, secret, a.tree))), hex(leafByHand(a)));
  for (const trees of [[], [a], [a, b], Array.from({ length: 40 }, (_, n) => grown(n))])
    t.equal(hex(TreeMap.empty(sha256, secret).with(trees).root()), rootByHand(trees), `${trees.length} trees`);
  const eight = (n: bigint): Buffer => Buffer.from(n.toString(16).padStart(16, '0'), 'hex');
  t.equal(
    hex(numberCommitment(sha256, secret, 7, 2 ** 40 + 5)),
    hex(H('cofferdam ledger number/2', secret, eight(7n), eight(2n ** 40n + 5n))),
  );
  t.equal(
    headText(3, 1_700_000_000_000_001, 'bWFw', 'bnVtYmVy'),
    'cofferdam ledger head/2\n3\n1700000000000001\nbWFw\nbnVtYmVy\n',
  );
  t.throws(() => TreeMap.empty(sha256, new Uint8Array(31)), RangeError);
  t.throws(() => slotOf(sha256, secret, 'ACME'), RangeError, 'a name that is no UUID in lower case');
  t.end();
});

test('a map that grows is the map of its trees, whatever the order; an earlier state is unchanged', (t) => {
  let map = TreeMap.empty(sha256, secret);
  const now = new Map<string, Grown>();
  const earlier: { readonly map: TreeMap; readonly root: string }[] = [];
  const wrong: number[] = [];
  for (let round = 0; round < 60; round += 1) {
    const some = Array.from({ length: 1 + (round % 4) }, (_, i) => grown((round * 7 + i * 13) % 30, round + 1));
    map = map.with(some);
    for (const one of some) now.set(one.tree, one);
    const root = hex(map.root());
    if (root !== rootByHand([...now.values()])) wrong.push(round);
    earlier.push({ map, root });
  }
  t.same(wrong, []);
  t.same(
    earlier.filter((one) => hex(one.map.root()) !== one.root),
    [],
  );
  const names = [...now.values()];
  for (const order of [names, [...names].reverse(), names.toSorted((a, b) => a.size - b.size)])
    t.equal(hex(TreeMap.empty(sha256, secret).with(order).root()), hex(map.root()));
  t.end();
});

test('the path of each tree leads to the root, and the path of no other tree does', (t) => {
  const trees = Array.from({ length: 50 }, (_, n) => grown(n));
  const map = TreeMap.empty(sha256, secret).with(trees);
  const root = hex(map.root());
  for (const one of trees) {
    const path = map.path(one.tree);
    if (path === undefined) throw new Error('no path');
    t.equal(path.siblings.length, 32);
    t.equal(hex(mapRootFrom(sha256, mapLeaf(sha256, one, path.blind), path.slot, path.siblings)), root);
    t.not(
      hex(mapRootFrom(sha256, mapLeaf(sha256, { ...one, size: one.size + 1 }, path.blind), path.slot, path.siblings)),
      root,
    );
    t.not(hex(mapRootFrom(sha256, mapLeaf(sha256, one, path.blind), (path.slot ^ 1) >>> 0, path.siblings)), root);
  }
  // Their slots lead to empty nodes and to other trees.
  for (let n = 100; n < 140; n += 1) t.equal(map.path(treeName(n)), undefined, 'a tree that is not there');
  t.equal(TreeMap.empty(sha256, secret).path(treeName(0)), undefined);
  t.throws(() => mapRootFrom(sha256, secret, 0, [secret]), RangeError);
  t.end();
});

test('a path that is asked for before the root is the same path, and so is the root behind it', (t) => {
  const trees = Array.from({ length: 16 }, (_, n) => grown(n));
  const root = rootByHand(trees);
  for (const one of trees) {
    const map = TreeMap.empty(sha256, secret).with(trees);
    const path = map.path(one.tree);
    if (path === undefined) throw new Error('no path');
    t.equal(hex(mapRootFrom(sha256, leafByHand(one), path.slot, path.siblings)), root);
    t.equal(hex(path.blind), hex(H('cofferdam ledger blind/2', secret, id(one.tree))));
    t.equal(hex(map.root()), root);
  }
  t.end();
});

test('what did not change is not hashed again', (t) => {
  let hashes = 0;
  const counting = (data: Uint8Array): Uint8Array => {
    hashes += 1;
    return sha256(data);
  };
  const counted = <T>(work: () => T): readonly [T, number] => {
    const before = hashes;
    const made = work();
    return [made, hashes - before];
  };
  // Two trees whose slots differ in the first bit: the root has two nodes below it, with one tree in each.
  const trees = Array.from({ length: 20 }, (_, n) => grown(n));
  const left = trees.find(({ tree }) => slotByHand(tree) < 2 ** 31);
  const right = trees.find(({ tree }) => slotByHand(tree) >= 2 ** 31);
  if (left === undefined || right === undefined) throw new Error('all slots on one side');
  const map = TreeMap.empty(counting, secret).with([left, right]);
  const [root, first] = counted(() => map.root());
  t.equal(first, 2 * (31 + 31) + 1, 'for each tree 31 empty siblings and 31 nodes, and the root');
  t.equal(counted(() => map.root())[1], 0, 'asked again');
  const [path, again] = counted(() => map.path(left.tree));
  t.equal(again, 1, 'a path whose nodes are known takes the slot of its tree');
  t.equal(hex(mapRootFrom(sha256, leafByHand(left), path?.slot ?? 0, path?.siblings ?? [])), hex(root));
  const [, grew] = counted(() => map.with([{ ...left, size: left.size + 1 }]).root());
  t.equal(
    grew,
    1 + 1 + 31 + 1,
    'a tree that grew: its slot, its leaf, its nodes and the root; nothing of the other tree',
  );
  t.end();
});

test('a hash of another length is no hash', (t) => {
  for (const length of [31, 33])
    t.throws(() => TreeMap.empty(() => new Uint8Array(length), secret).root(), {
      name: 'RangeError',
      message: 'a hash has 32 bytes',
    });
  t.equal(TreeMap.empty(() => new Uint8Array(32), secret).root().length, 32);
  t.end();
});

test('two trees with one slot are reported, and nothing is lost', (t) => {
  // A hash that gives these two trees one slot, and is the real hash for everything else.
  const [a, b] = [grown(1), grown(2)];
  const isSlotOf = (data: Uint8Array, tree: string): boolean =>
    Buffer.from(data).equals(Buffer.concat([Buffer.from('cofferdam ledger slot/2'), secret, id(tree)]));
  const colliding = (data: Uint8Array): Uint8Array =>
    isSlotOf(data, b.tree) ? H('cofferdam ledger slot/2', secret, id(a.tree)) : sha256(data);
  const map = TreeMap.empty(colliding, secret).with([a]);
  t.throws(() => map.with([b]), SlotCollision);
  t.throws(() => map.with([b]), { name: 'SlotCollision', message: 'two trees have the same slot of the map' });
  t.equal(hex(map.root()), rootByHand([a]), 'the state before stays');
  t.equal(hex(map.with([grown(3)]).root()), rootByHand([a, grown(3)]), 'twin: one of another slot');
  t.end();
});
