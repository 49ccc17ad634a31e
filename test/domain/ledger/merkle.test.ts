// RFC 6962 trees: known answers, and trees of every size compared with the definition of section 2.1.
import { createHash } from 'node:crypto';
import { test } from 'tap';
import {
  append,
  auditPath,
  blockLeaves,
  emptyFrontier,
  type Frontier,
  frontierBytes,
  frontierOf,
  leafHash,
  levelsOf,
  nodeHash,
  parseFrontier,
  rootOf,
} from '../../../server/domain/ledger/merkle.ts';

const sha256 = (data: Uint8Array): Uint8Array => createHash('sha256').update(data).digest();
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** The leaves and roots with which implementations of Certificate Transparency are compared. */
const leaves = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'];
const roots = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];
const paths: readonly (readonly [number, number, readonly string[]])[] = [
  [0, 1, []],
  [
    0,
    8,
    [
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
    ],
  ],
  [
    5,
    8,
    [
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ],
  ],
  [2, 3, ['fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125']],
  [
    1,
    5,
    [
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
    ],
  ],
];
const known = leaves.map((leaf) => leafHash(sha256, Buffer.from(leaf, 'hex')));

/** RFC 6962 section 2.1, word by word. */
function mth(nodes: readonly Uint8Array[]): Uint8Array {
  if (nodes.length === 0) return sha256(new Uint8Array());
  if (nodes.length === 1) return nodes[0] ?? new Uint8Array();
  let k = 1;
  while (k * 2 < nodes.length) k *= 2;
  return nodeHash(sha256, mth(nodes.slice(0, k)), mth(nodes.slice(k)));
}
function path(m: number, nodes: readonly Uint8Array[]): readonly Uint8Array[] {
  if (nodes.length <= 1) return [];
  let k = 1;
  while (k * 2 < nodes.length) k *= 2;
  return m < k
    ? [...path(m, nodes.slice(0, k)), mth(nodes.slice(k))]
    : [...path(m - k, nodes.slice(k)), mth(nodes.slice(0, k))];
}

test('known answers: roots of zero to eight leaves, and audit paths', async (t) => {
  let frontier: Frontier = emptyFrontier;
  t.equal(hex(rootOf(sha256, frontier)), roots[0]);
  for (const [i, leaf] of known.entries()) {
    frontier = append(sha256, frontier, leaf);
    t.equal(hex(rootOf(sha256, frontier)), roots[i + 1], `${i + 1} leaves`);
  }
  for (const [m, n, expected] of paths)
    t.same(auditPath(levelsOf(sha256, known.slice(0, n)), m).map(hex), expected, `path of ${m} in ${n}`);
});

test('trees of every size: the frontier agrees with the definition, survives being stored, and names each block once', async (t) => {
  const nodes = Array.from({ length: 1300 }, (_, i) => leafHash(sha256, Buffer.from(`${i}`)));
  const blocks: string[] = [];
  let frontier: Frontier = emptyFrontier;
  const wrong: number[] = [];
  for (const [i, leaf] of nodes.entries()) {
    frontier = append(sha256, frontier, leaf, (index, hash) => {
      if (index !== blocks.length) wrong.push(-i);
      blocks.push(hex(hash));
    });
    const again = parseFrontier(frontier.size, frontierBytes(frontier));
    const isLooked = i < 300 || i % 97 === 0;
    if (isLooked && hex(rootOf(sha256, again)) !== hex(mth(nodes.slice(0, i + 1)))) wrong.push(i);
  }
  t.same(wrong, []);
  t.same(
    blocks,
    Array.from({ length: 5 }, (_, i) => hex(mth(nodes.slice(i * blockLeaves, (i + 1) * blockLeaves)))),
  );
  // A path within the block, followed by the path over the blocks, is the path in the tree.
  const inBlocks = [...blocks.map((one) => Buffer.from(one, 'hex')), mth(nodes.slice(1280))];
  const upper = levelsOf(sha256, inBlocks);
  for (const m of [0, 255, 256, 700, 1279, 1280, 1299]) {
    const block = Math.floor(m / blockLeaves);
    const inner = levelsOf(sha256, nodes.slice(block * blockLeaves, (block + 1) * blockLeaves));
    t.same(
      [...auditPath(inner, m % blockLeaves), ...auditPath(upper, block)].map(hex),
      path(m, nodes).map(hex),
      `path of ${m}`,
    );
  }
});

test('bytes that are no frontier are refused', async (t) => {
  t.throws(() => parseFrontier(3, new Uint8Array(32)), RangeError);
  t.throws(() => parseFrontier(-1, new Uint8Array()), RangeError);
  t.throws(() => parseFrontier(1.5, new Uint8Array(32)), RangeError);
  t.same(parseFrontier(0, new Uint8Array()), emptyFrontier);
});

test('a frontier as bytes: exactly as many hashes as its size has bits', (t) => {
  const seven = [1, 2, 3].map((n) => new Uint8Array(32).fill(n));
  const bytes = frontierBytes({ size: 7, roots: seven });
  t.equal(hex(bytes), `${'01'.repeat(32)}${'02'.repeat(32)}${'03'.repeat(32)}`);
  t.same(parseFrontier(7, bytes).roots.map(hex), seven.map(hex));
  t.same(parseFrontier(0, new Uint8Array()), { size: 0, roots: [] });
  for (const [size, length] of [
    [7, 95],
    [7, 128],
    [8, 96],
    [-7, 96],
    [-7, 128],
    [-0.5, 0],
    [2 ** 53, 32],
    [1.5, 64],
    [Number.NaN, 0],
  ] as const)
    t.throws(() => parseFrontier(size, new Uint8Array(length)), RangeError, `${size} in ${length} bytes`);
  t.end();
});

test('a frontier of whole blocks and the leaves behind them is the one that grows leaf by leaf', (t) => {
  let grown: Frontier = emptyFrontier;
  const blocks: Uint8Array[] = [];
  const behind: Uint8Array[] = [];
  for (let n = 0; n < 3 * blockLeaves + 5; n += 1) {
    const leaf = leafHash(sha256, Uint8Array.of(n & 255, n >> 8));
    behind.push(leaf);
    grown = append(sha256, grown, leaf, (_index, hash) => {
      blocks.push(hash);
      behind.length = 0;
    });
    if (n % 97 !== 0 && n < 3 * blockLeaves) continue;
    const made = frontierOf(sha256, blocks, behind);
    t.same([made.size, made.roots.map(hex)], [grown.size, grown.roots.map(hex)], `${n + 1} leaves`);
  }
  t.equal(blocks.length, 3);
  const leaf = new Uint8Array(32);
  t.doesNotThrow(() => frontierOf(sha256, [], Array<Uint8Array>(blockLeaves - 1).fill(leaf)));
  t.throws(() => frontierOf(sha256, [], Array<Uint8Array>(blockLeaves).fill(leaf)), RangeError);
  t.end();
});
