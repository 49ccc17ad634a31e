// Known answers for every context to which a key is bound. They were computed by another implementation (Python's
// `cryptography`). A part of a context that is cut, added or moved changes who can open what, and nothing else would
// notice it.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'tap';
import { runtimePaths } from '../../server/config/config.ts';
import { type ContentId, type CustomerId, type CustomerKeyId, idOf, type ObjectId } from '../../server/domain/ids.ts';
import { extentContext, extentKey } from '../../server/extents/extent-key.ts';
import type { Transaction } from '../../server/postgres/database.ts';
import { createKeyRing } from '../../server/warden/keys/key-ring.ts';
import { unwrap, wrap } from '../../server/warden/keys/wrapping.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const customer = idOf<CustomerId>('11111111-1111-4111-8111-111111111111');
const content = idOf<ContentId>('22222222-2222-4222-8222-222222222222');
const customerKey = idOf<CustomerKeyId>('33333333-3333-4333-8333-333333333333');
const object = idOf<ObjectId>('aa'.repeat(16));
const other = '44444444-4444-4444-8444-444444444444';
const masterId = '1182caf3ca4590b1';

test('wrapping: every part of the context, and its order, is authenticated', (t) => {
  const key = Buffer.alloc(32, 7);
  const wrapped = hex('000102030405060708090a0b79a19a157e7bbc3d71b819be96b9d6ce6adcadf474043375');
  const context = ['kind', 'one', 'two'];
  t.equal(unwrap(key, wrapped, context).toString(), 'a secret');
  t.equal(unwrap(key, wrap(key, Buffer.from('again'), context), context).toString(), 'again', 'there and back');
  for (const wrong of [
    ['kind'],
    ['kind', 'one'],
    ['kind', 'two', 'one'],
    ['kind', 'one', 'two', ''],
    ['kind', 'onetwo'],
    ['kind', 'one', 'TWO'],
    [],
  ])
    t.throws(() => unwrap(key, wrapped, wrong), { code: 'corrupt' }, JSON.stringify(wrong));
  t.throws(() => unwrap(Buffer.alloc(32, 8), wrapped, context), { code: 'corrupt' }, 'another key');
  // A nonce and a tag, and nothing between them.
  const nothing = wrap(key, Buffer.alloc(0), context);
  t.equal(nothing.length, 28);
  t.equal(unwrap(key, nothing, context).length, 0, 'the shortest that there is');
  for (const short of [0, 12, 27])
    t.throws(
      () => unwrap(key, nothing.subarray(0, short), context),
      { code: 'corrupt', message: 'a wrapped secret is too short' },
      `${short}`,
    );
  t.throws(() => unwrap(key, wrapped.subarray(1), context), {
    code: 'corrupt',
    message: 'a wrapped secret does not verify',
  });
  t.end();
});

test('the key of an extent: customer, content, index and object', (t) => {
  const fileKey = Buffer.alloc(32, 7);
  const keyOf = (...of: Parameters<typeof extentContext>): string =>
    extentKey(fileKey, extentContext(...of)).toString('hex');
  const known = '8bcf1afceb9d064c9e1775fe1171609fcea37592208f212d8ab850734dcd2531';
  t.equal(keyOf(customer, content, 3, object), known);
  for (const bytes of [31, 33])
    t.throws(() => extentKey(Buffer.alloc(bytes), Buffer.from('x')), RangeError, `a file key of ${bytes} bytes`);
  const different = [
    keyOf(idOf<CustomerId>(other), content, 3, object),
    keyOf(customer, idOf<ContentId>(other), 3, object),
    keyOf(customer, content, 4, object),
    keyOf(customer, content, 33, object),
    keyOf(customer, content, 3, idOf<ObjectId>('ab'.repeat(16))),
  ];
  t.equal(new Set([known, ...different]).size, different.length + 1, 'each part counts');
  t.end();
});

test('the key ring: customer keys, file keys, small secrets, seals of rows', async (t) => {
  const runtimeDirectory = join(temporaryDirectory(t), 'var');
  const config = { mode: 'development', runtimeDirectory, storeDirectory: runtimeDirectory } as const;
  const { masterKey } = runtimePaths(config);
  mkdirSync(dirname(masterKey), { recursive: true, mode: 0o700 });
  writeFileSync(masterKey, Buffer.from(Array.from({ length: 32 }, (_, i) => i)), { mode: 0o400 });
  const row = {
    id: customerKey,
    wrapped: hex(
      '010101010101010101010101b60224f4a944a9a71595a6d9d9a693190aaf4e1a5042d71d321ac62d5cc83ff03893463d2fc1383d5ac723e228a79b11',
    ),
    wrapped_by: masterId,
  };
  const fileKey = hex(
    '020202020202020202020202d61fdc8c26de9effc7b0bc4c9a83b254a238ccac7a5c05c76b522fe9f460d760e1036bed7e653390639e9de29ca4a30b',
  );
  /** A ring that remembers nothing, and a database that answers everybody with this row. */
  const open = (of: { customer?: string; content?: string; key?: string }, answer: object = row): Promise<Buffer> =>
    createKeyRing(config).openFileKey(
      (work) => work({ query: async () => [{ ...answer, id: of.key ?? customerKey }] } as unknown as Transaction),
      idOf<CustomerId>(of.customer ?? customer),
      idOf<ContentId>(of.content ?? content),
      idOf<CustomerKeyId>(of.key ?? customerKey),
      fileKey,
    );
  t.equal((await open({})).toString('hex'), 'f1'.repeat(32));
  for (const swapped of [{ customer: other }, { content: other }, { key: other }])
    await t.rejects(open(swapped), { code: 'corrupt' }, `rows that were swapped: ${JSON.stringify(swapped)}`);
  await t.rejects(open({}, { ...row, wrapped_by: 'another' }), { code: 'unavailable' }, 'another master key');

  const ring = createKeyRing(config);
  t.equal(ring.rowSealId, masterId);
  const secret = hex(
    '0303030303030303030303039d2e59b22be13773ba7d751ba8ce74747f3392d1e4565400e924cf8d3dd2e582896ab8e6',
  );
  t.equal(ring.openSecret('totp', customer, secret, masterId).toString(), 'seed seed seed seed!');
  t.throws(() => ring.openSecret('totp', other, secret, masterId), { code: 'corrupt' }, 'the seed of another account');
  t.throws(() => ring.openSecret('other', customer, secret, masterId), { code: 'corrupt' }, 'for another purpose');
  const sealed = ring.sealRow(['account', customer, '{}', '', '']).toString('hex');
  t.equal(sealed, '431514bcca14cdbef27c02a7515976a5181d049b0eef330c887e297dcaa64498');
  const moved = [
    ['account', customer, '{}', ''],
    ['account', `${customer}{}`, '', '', ''],
    ['credential', customer, '{}', '', ''],
  ];
  for (const parts of moved) t.not(ring.sealRow(parts).toString('hex'), sealed, 'each part where it is');
});
