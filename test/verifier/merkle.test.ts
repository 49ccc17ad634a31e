// The verifier's trees compared with the published figures of RFC 6962's reference tests and with the RFC's definition.
import { test } from 'tap';
import { Frontier, leafHash, nodeHash, sha256, verifyAuditPath } from '../../verifier/index.js';
import { leafHashOf, pathOf, rootOf } from './make-record.ts';

const inputs = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'];
const roots = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];
const paths: readonly (readonly [index: number, size: number, path: readonly string[]])[] = [
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
const bytes = (text: string): Buffer => Buffer.from(text, 'hex');

test('the published roots and audit paths', async (t) => {
  const frontier = new Frontier();
  t.equal(frontier.root().toString('hex'), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  for (const [i, input] of inputs.entries()) {
    frontier.append(leafHash(bytes(input)));
    t.equal(frontier.root().toString('hex'), roots[i], `the root of ${i + 1} leaves`);
    t.equal(frontier.size, i + 1);
  }
  for (const [index, size, path] of paths) {
    const leaf = leafHash(bytes(inputs[index] ?? ''));
    const root = bytes(roots[size - 1] ?? '');
    t.ok(verifyAuditPath(leaf, index, size, path.map(bytes), root), `leaf ${index} of ${size}`);
    t.notOk(verifyAuditPath(leaf, index, size, [...path.map(bytes), root], root), 'one hash too many');
    t.notOk(verifyAuditPath(leaf, index, size + 8, path.map(bytes), root), 'another size');
    t.notOk(verifyAuditPath(leaf, index + 8, size, path.map(bytes), root), 'beyond the tree');
    t.notOk(verifyAuditPath(leafHash(bytes('ff')), index, size, path.map(bytes), root), 'another leaf');
    if (path.length > 0)
      t.notOk(verifyAuditPath(leaf, index, size, path.slice(1).map(bytes), root), 'one hash missing');
  }
  t.same(nodeHash(bytes('00'), bytes('01')), sha256(bytes('010001')));
});

test('every leaf of every tree of up to 300 leaves has its path, and no other path', async (t) => {
  const leaves = Array.from({ length: 300 }, (_, i) => leafHashOf(Buffer.from(`leaf ${i}`)));
  const frontier = new Frontier();
  let [good, bad, checked] = [0, 0, 0];
  for (let size = 1; size <= leaves.length; size += 1) {
    frontier.append(leaves[size - 1] ?? Buffer.alloc(32));
    const these = leaves.slice(0, size);
    const root = rootOf(these);
    if (!frontier.root().equals(root)) t.fail(`the root of ${size} leaves`);
    // All of the small trees; of the others, those at the edges and some between.
    for (let index = 0; index < size; index += size < 70 || index < 2 || index > size - 4 ? 1 : 13) {
      const path = pathOf(index, these);
      const leaf = leaves[index] ?? Buffer.alloc(32);
      checked += 1;
      if (verifyAuditPath(leaf, index, size, path, root)) good += 1;
      const other = (index + 1) % size;
      if (size > 1 && verifyAuditPath(leaf, other, size, path, root)) bad += 1;
    }
  }
  t.ok(checked > 6000, `${checked} paths`);
  t.equal(good, checked, 'each leads to the root');
  t.equal(bad, 0, 'none does from another place');
});

test('blocks stand for 256 leaves, and are reported when they are complete', async (t) => {
  const leaves = Array.from({ length: 600 }, (_, i) => leafHashOf(Buffer.from(`leaf ${i}`)));
  const [one, other] = [new Frontier(), new Frontier()];
  const blocks: Buffer[] = [];
  for (const leaf of leaves) {
    one.append(leaf);
    if (one.block !== undefined) blocks.push(one.block);
  }
  t.same(blocks, [rootOf(leaves.slice(0, 256)), rootOf(leaves.slice(256, 512))]);
  for (const block of blocks) other.appendBlock(block);
  for (const leaf of leaves.slice(512)) other.append(leaf);
  t.same(other.root(), one.root());
  t.throws(() => other.appendBlock(leaves[0] ?? Buffer.alloc(32)), /multiple of 256/);
});
