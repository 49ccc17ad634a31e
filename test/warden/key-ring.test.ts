// The key ring over rows in memory: a key that it makes opens again, is bound to its owner, and has 32 bytes.
import { createHash, createPublicKey, randomUUID, verify } from 'node:crypto';
import { test } from 'tap';
import { type ContentId, type CustomerId, idOf } from '../../server/domain/ids.ts';
import type { Transaction } from '../../server/postgres/database.ts';
import { keyRingOverRows } from '../support/key-rows.ts';

const [acme, globex] = [idOf<CustomerId>(randomUUID()), idOf<CustomerId>(randomUUID())];
const newContent = (): ContentId => idOf<ContentId>(randomUUID());

test('a file key opens for its customer, its content and its customer key, and for nothing else', async (t) => {
  const { keys, again, tx, read, rows } = keyRingOverRows(t);
  await t.rejects(keys.createFileKey(tx, acme, newContent()), { code: 'bug', message: 'a customer has no key' });
  const [ours, theirs] = [await keys.createCustomerKey(tx, acme), await keys.createCustomerKey(tx, globex)];
  t.same(
    rows.map((row) => row.id),
    [ours, theirs],
    'it is stored when it is given',
  );
  const content = newContent();
  const { customerKeyId, fileKey, wrappedKey } = await keys.createFileKey(tx, acme, content);
  t.same([customerKeyId, fileKey.length, wrappedKey.length], [ours, 32, 32 + 28]);
  t.ok(
    rows.every((row) => row.wrapped.length === 32 + 28),
    'keys of customers, too',
  );
  t.ok((await keys.openFileKey(read, acme, content, ours, wrappedKey)).equals(fileKey));
  t.ok(
    (await again().openFileKey(read, acme, content, ours, wrappedKey)).equals(fileKey),
    'another process with the same master key',
  );
  t.notOk((await keys.createFileKey(tx, acme, content)).fileKey.equals(fileKey), 'each is new');
  await t.rejects(keys.openFileKey(read, acme, newContent(), ours, wrappedKey), {
    code: 'corrupt',
    message: /does not verify/,
  });
  await t.rejects(keys.openFileKey(read, globex, content, theirs, wrappedKey), {
    code: 'corrupt',
    message: /does not verify/,
  });
  await t.rejects(keys.openFileKey(read, globex, content, ours, wrappedKey), {
    code: 'corrupt',
    message: /is missing/,
  });
  const failing = { query: () => Promise.reject(new Error('no room')) } as unknown as Transaction;
  await t.rejects(keys.createCustomerKey(failing, acme), /no room/, 'a key that was not stored is not given');
  const newer = await keys.createCustomerKey(tx, acme);
  t.equal((await keys.createFileKey(tx, acme, content)).customerKeyId, newer, 'the newest one wraps');
});

test('small secrets are bound to their purpose and their owner', async (t) => {
  const { keys, again } = keyRingOverRows(t);
  const { sealed, sealedBy } = keys.sealSecret('totp', 'a', Buffer.from('seed'));
  t.equal(sealedBy, keys.rowSealId);
  t.equal(again().openSecret('totp', 'a', sealed, sealedBy).toString(), 'seed');
  for (const [purpose, owner] of [
    ['totp', 'b'],
    ['other', 'a'],
    ['a', 'totp'],
  ] as const)
    t.throws(() => keys.openSecret(purpose, owner, sealed, sealedBy), { code: 'corrupt' }, `${purpose} ${owner}`);
  t.throws(() => keys.openSecret('totp', 'a', sealed, 'another'), { code: 'unavailable' });
});

test('receipts are signed by the key whose name is on them', async (t) => {
  const { keys } = keyRingOverRows(t);
  const { id, pem } = keys.receiptPublicKey;
  const publicKey = createPublicKey(pem);
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  t.equal(id, createHash('sha256').update(spki).digest('hex').slice(0, 16));
  const message = Buffer.from('a receipt');
  t.ok(verify(null, message, publicKey, keys.signReceipt(message)));
  t.notOk(verify(null, Buffer.from('another'), publicKey, keys.signReceipt(message)));
});
