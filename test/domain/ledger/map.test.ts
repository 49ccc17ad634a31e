// The blinded map of all trees: known answers computed here by hand from docs/reference/ledger-format.md, and every path and every order of growing.
import { createHash } from 'node:crypto';
import { test } from 'tap';
import { type Grown, headText, numberCommitment } from '../../../server/domain/ledger/leaf.ts';
import { blindOf, mapLeaf, mapRootFrom, SlotCollision, slotOf, TreeMap } from '../../../server/domain/ledger/map.ts';

const sha256 = (data: Uint8Array): Uint8Array => createHash('sha256').update(data).digest();
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const secret = sha256(Buffer.from('a secret'));

/** The definition, word by word, without any of what is tested. */
const H = (...parts: readonly (string | Uint8Array)[]): Buffer =>
  createHash('sha256')
    .update(Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part))))
    .digest();
const u32 = (n: number): Buffer => Buffer.from(n.toString(16).padStart(8, '0'), 'hex');
const id = (tree: string): Buffer => Buffer.from(tree.replaceAll('-', ''), 'hex');
const slotByHand = (tree: string): number => H('cofferdam ledger slot/2', secret, id(tree)).readUInt32BE(0);
const leafByHand = ({ tree, size, root }: Grown): Buffer =>
  H(Buffer.of(0), `cofferdam ledger tree/2\n${tree} ${size} ${root}\n`, H('cofferdam ledger blind/2', secret, id(tree)));
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

test('known answers', (t) => {
  const [a, b] = [grown(1), grown(2)];
  t.equal(slotOf(sha256, secret, a.tree), slotByHand(a.tree));
  t.equal(hex(mapLeaf(sha256, a, blindOf(sha256, secret, a.tree))), hex(leafByHand(a)));
  for (const trees of [[], [a], [a, b], Array.from({ length: 40 }, (_, n) => grown(n))])
    t.equal(hex(TreeMap.empty(sha256, secret).with(trees).root()), rootByHand(trees), `${trees.length} trees`);
  const eight = (n: bigint): Buffer => Buffer.from(n.toString(16).padStart(16, '0'), 'hex');
  t.equal(
    hex(numberCommitment(sha256, secret, 7, 2 ** 40 + 5)),
    hex(H('cofferdam ledger number/2', secret, eight(7n), eight(2n ** 40n + 5n))),
  );
  t.equal(headText(3, 1_700_000_000_000_001, 'bWFw', 'bnVtYmVy'), 'cofferdam ledger head/2\n3\n1700000000000001\nbWFw\nbnVtYmVy\n');
  t.throws(() => TreeMap.empty(sha256, new Uint8Array(31)), RangeError);
  t.throws(() => slotOf(sha256, secret, 'ACME'), RangeError, 'a name that is no UUID in lower case');
  t.end();
});

test('a map that grows is the map of what has grown, whatever the order; an earlier state stays what it was', (t) => {
  let map = TreeMap.empty(sha256, secret);
  const now = new Map<string, Grown>();
  const earlier: { readonly map: TreeMap; readonly root: string }[] = [];
  const wrong: number[] = [];
  for (let round = 0; round < 120; round += 1) {
    const some = Array.from({ length: 1 + (round % 4) }, (_, i) => grown((round * 7 + i * 13) % 60, round + 1));
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

test('the path of each tree leads to the root, and of none other', (t) => {
  const trees = Array.from({ length: 50 }, (_, n) => grown(n));
  const map = TreeMap.empty(sha256, secret).with(trees);
  const root = hex(map.root());
  for (const one of trees) {
    const path = map.path(one.tree);
    if (path === undefined) throw new Error('no path');
    t.equal(path.siblings.length, 32);
    t.equal(hex(mapRootFrom(sha256, mapLeaf(sha256, one, path.blind), path.slot, path.siblings)), root);
    t.not(hex(mapRootFrom(sha256, mapLeaf(sha256, { ...one, size: one.size + 1 }, path.blind), path.slot, path.siblings)), root);
    t.not(hex(mapRootFrom(sha256, mapLeaf(sha256, one, path.blind), (path.slot ^ 1) >>> 0, path.siblings)), root);
  }
  t.equal(map.path(treeName(99)), undefined, 'a tree that is not there');
  t.equal(TreeMap.empty(sha256, secret).path(treeName(0)), undefined);
  t.throws(() => mapRootFrom(sha256, secret, 0, [secret]), RangeError);
  t.end();
});

test('two trees of one slot are told, and nothing is lost by it', (t) => {
  // A hash that gives these two one slot, and is the real one for everything else.
  const [a, b] = [grown(1), grown(2)];
  const isSlotOf = (data: Uint8Array, tree: string): boolean =>
    Buffer.from(data).equals(Buffer.concat([Buffer.from('cofferdam ledger slot/2'), secret, id(tree)]));
  const colliding = (data: Uint8Array): Uint8Array =>
    isSlotOf(data, b.tree) ? H('cofferdam ledger slot/2', secret, id(a.tree)) : sha256(data);
  const map = TreeMap.empty(colliding, secret).with([a]);
  t.throws(() => map.with([b]), SlotCollision);
  t.equal(hex(map.root()), rootByHand([a]), 'the state before stays');
  t.equal(hex(map.with([grown(3)]).root()), rootByHand([a, grown(3)]), 'twin: one of another slot');
  t.end();
});
