// The bytes of a leaf and of a head: known answers that are computed here by hand from docs/reference/ledger-format.md,
// with every field of an entry.
import { createHash } from 'node:crypto';
import { test } from 'tap';
import {
  classDigest,
  commonTree,
  type Grown,
  headLines,
  headsTree,
  headText,
  leafData,
  numberCommitment,
  type PlacedEntry,
  parseHeadLines,
  publicArray,
  saltBytes,
  sensitiveArray,
} from '../../../server/domain/ledger/leaf.ts';

const sha256 = (data: Uint8Array): Uint8Array => createHash('sha256').update(data).digest();
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const byHand = (salt: Uint8Array, array: readonly unknown[]): string =>
  hex(sha256(Buffer.concat([salt, Buffer.from(JSON.stringify(array))])));

const entry: PlacedEntry = {
  tree: '11111111-1111-4111-8111-111111111111',
  position: 5,
  number: 77,
  at: 1_795_939_200_000_001,
  kind: 'extent.granted',
  observer: 'warden',
  customer: 'the customer',
  account: 'the account',
  session: 'the session',
  node: 'the node',
  plane: 'partner',
  handle: 'the handle',
  version: 'the version',
  extent: 3,
  bytes: 4096,
  publicText: '{"outcome": "ok"}',
  credential: 'the credential',
  alsoCredential: 'the other credential',
  source: '192.0.2.7',
  sourcePort: 4022,
  client: 'SSH-2.0-x',
  operator: 'alice',
  sensitiveText: '{"reason": "ü"}',
};

test('the fields of both classes, in their order', (t) => {
  t.same(publicArray(entry), [
    ...[
      'cofferdam ledger public/2',
      entry.tree,
      5,
      entry.at,
      'extent.granted',
      'warden',
      'the customer',
      'the account',
      'the session',
    ],
    ...['the node', 'partner', 'the handle', 'the version', 3, 4096, '{"outcome": "ok"}'],
  ]);
  t.same(sensitiveArray(entry), [
    ...[
      'cofferdam ledger sensitive/2',
      77,
      'the credential',
      'the other credential',
      '192.0.2.7',
      4022,
      'SSH-2.0-x',
      'alice',
    ],
    '{"reason": "ü"}',
  ]);
  t.end();
});

test('a leaf: two digests, each with its half of the salt', (t) => {
  t.equal(saltBytes, 32);
  const salt = Uint8Array.from({ length: 32 }, (_, i) => i + 1);
  t.equal(hex(classDigest(sha256, salt.subarray(0, 16), ['ü', 1, null])), byHand(salt.subarray(0, 16), ['ü', 1, null]));
  const data = leafData(sha256, entry, salt);
  t.equal(data.length, 64);
  t.equal(hex(data.subarray(0, 32)), byHand(salt.subarray(0, 16), publicArray(entry)));
  t.equal(hex(data.subarray(32)), byHand(salt.subarray(16), sensitiveArray(entry)));
  t.same([commonTree, headsTree], ['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff']);
  t.end();
});

test('a head: its text, and the commitment to its number', (t) => {
  t.equal(
    headText(3, 1_795_939_200_000_001, 'cm9vdA==', 'Y29tbWl0'),
    'cofferdam ledger head/2\n3\n1795939200000001\ncm9vdA==\nY29tbWl0\n',
  );
  const secret = Uint8Array.of(9, 8, 7);
  const numbers = Buffer.alloc(16);
  numbers.writeBigUInt64BE(3n, 0);
  numbers.writeBigUInt64BE(77n, 8);
  const data = Buffer.concat([Buffer.from('cofferdam ledger number/2'), secret, numbers]);
  t.equal(hex(numberCommitment(sha256, secret, 3, 77)), hex(sha256(data)));
  t.end();
});

const grown = (n: number, size: number): Grown => ({
  tree: `${n.toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`,
  size,
  root: Buffer.alloc(32, n).toString('base64'),
});

test('the lines of a head: sorted by tree, read back in the same form and in no other', (t) => {
  const [a, b, c] = [grown(1, 7), grown(2, 1_111_111_111_111_111), grown(0xa0, 1)];
  const line = ({ tree, size, root }: Grown): string => `${tree} ${size} ${root}\n`;
  const lines = headLines([c, a, b]);
  t.equal(lines, line(a) + line(b) + line(c));
  t.same(parseHeadLines(lines), [a, b, c]);
  t.same(parseHeadLines(''), []);
  t.same(parseHeadLines(line(a)), [a]);
  for (const [why, wrong] of [
    ['the last line does not end', lines.slice(0, -1)],
    ['something else where the last line ends', `${lines.slice(0, -1)}x`],
    ['an empty line', `${lines}\n`],
    ['only an empty line', '\n'],
    ['a tree twice', line(a) + line(a)],
    ['another order', line(b) + line(a)],
    ['another order behind two that are sorted', line(a) + line(c) + line(b)],
    ['a size of nothing', line(a).replace(' 7 ', ' 0 ')],
    ['a size with a zero before it', line(a).replace(' 7 ', ' 07 ')],
    ['a root that is too short', line(a).replace('=', '')],
    ['upper case', line(c).toUpperCase()],
    ['a space behind', line(a).replace('\n', ' \n')],
    ['a line of something else', `x\n${line(a)}`],
  ] as const)
    t.equal(parseHeadLines(wrong), undefined, why);
  t.end();
});
