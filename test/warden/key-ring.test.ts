// The key ring over rows in memory: what it makes opens again, bound to whose it is, is 32 bytes, and is looked up once.
import { createHash, createPublicKey, randomUUID, verify } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import type { Config } from '../../server/config/config.ts';
import { type ContentId, type CustomerId, type CustomerKeyId, idOf } from '../../server/domain/ids.ts';
import type { Transaction } from '../../server/postgres/database.ts';
import type { Read } from '../../server/warden/context.ts';
import { createKeyRing } from '../../server/warden/keys/key-ring.ts';
import { temporaryDirectory } from '../support/database.ts';

type Row = { readonly id: string; readonly customer: string; readonly wrapped: Buffer; readonly wrapped_by: string };
const [acme, globex] = [idOf<CustomerId>(randomUUID()), idOf<CustomerId>(randomUUID())];
const newContent = (): ContentId => idOf<ContentId>(randomUUID());

function setUp(t: Test) {
  const runtimeDirectory = join(temporaryDirectory(t), 'var');
  mkdirSync(runtimeDirectory);
  const config = { mode: 'development', runtimeDirectory, storeDirectory: runtimeDirectory } as Config;
  const rows: Row[] = [];
  const seen = { reads: 0 };
  /** The three statements of key-queries, over an array. */
  const tx = {
    query: async (text: string, [first, second, wrapped, wrappedBy]: readonly (string | Buffer)[]) => {
      await null;
      if (text.startsWith('insert'))
        rows.push({ id: String(first), customer: String(second), wrapped: wrapped as Buffer, wrapped_by: String(wrappedBy) });
      else if (second === undefined) return rows.filter((row) => row.customer === first).slice(-1);
      else return rows.filter((row) => row.customer === first && row.id === second);
      return [];
    },
  } as unknown as Transaction;
  const read: Read = (work) => {
    seen.reads += 1;
    return work(tx);
  };
  return { keys: createKeyRing(config), again: () => createKeyRing(config), tx, read, rows, seen };
}

test('a file key opens for its customer, its content and its customer key, and for nothing else', async (t) => {
  const { keys, again, tx, read, rows } = setUp(t);
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
  t.ok((await again().openFileKey(read, acme, content, ours, wrappedKey)).equals(fileKey), 'another process with the same master key');
  t.notOk((await keys.createFileKey(tx, acme, content)).fileKey.equals(fileKey), 'each is new');
  await t.rejects(keys.openFileKey(read, acme, newContent(), ours, wrappedKey), { code: 'corrupt', message: /does not verify/ });
  await t.rejects(keys.openFileKey(read, globex, content, theirs, wrappedKey), { code: 'corrupt', message: /does not verify/ });
  await t.rejects(keys.openFileKey(read, globex, content, ours, wrappedKey), { code: 'corrupt', message: /is missing/ });
  const newer = await keys.createCustomerKey(tx, acme);
  t.equal((await keys.createFileKey(tx, acme, content)).customerKeyId, newer, 'the newest one wraps');
});

test('a customer key is read once, and a bounded number of them is remembered', async (t) => {
  const { keys, tx, read, seen } = setUp(t);
  const made: { readonly id: CustomerKeyId; readonly content: ContentId; readonly wrapped: Buffer }[] = [];
  const make = async (): Promise<void> => {
    const id = await keys.createCustomerKey(tx, acme);
    const content = newContent();
    made.push({ id, content, wrapped: (await keys.createFileKey(tx, acme, content)).wrappedKey });
  };
  /** How many rows were read for it. */
  const open = async (nth: number): Promise<number> => {
    const one = made[nth];
    if (one === undefined) throw new Error('there is none');
    const before = seen.reads;
    await keys.openFileKey(read, acme, one.content, one.id, one.wrapped);
    return seen.reads - before;
  };
  await make();
  await make();
  t.same([await open(0), await open(0), await open(1), await open(0)], [1, 0, 1, 0]);
  // Ids that lead to the same row: only their number matters. Two are remembered already.
  const [{ id, content, wrapped } = { id: undefined, content: undefined, wrapped: undefined }] = made;
  if (id === undefined) throw new Error('there is none');
  const renamed: Read = async (work) => work({ query: async () => [] } as unknown as Transaction);
  await t.rejects(keys.openFileKey(renamed, acme, content, idOf<CustomerKeyId>(randomUUID()), wrapped), { message: /is missing/ });
  t.same([await open(0), await open(1)], [0, 0], 'what is missing is not remembered');
  const [row] = await tx.query<Row>('select', [acme, id]);
  const same: Read = async (work) => work({ query: async () => [row] } as unknown as Transaction);
  const another = (): Promise<Buffer> => keys.openFileKey(same, acme, content, idOf<CustomerKeyId>(randomUUID()), wrapped);
  // Its content was wrapped under another id, so it does not open; the row is remembered all the same.
  for (let i = 2; i < 10_000; i += 1) await another().catch(() => {});
  t.equal(await open(0), 0, 'ten thousand');
  t.equal(await open(1), 1, 'and the next one begins anew');
});

test('small secrets are bound to their purpose and their owner', async (t) => {
  const { keys, again } = setUp(t);
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
  const { keys } = setUp(t);
  const { id, pem } = keys.receiptPublicKey;
  const publicKey = createPublicKey(pem);
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  t.equal(id, createHash('sha256').update(spki).digest('hex').slice(0, 16));
  const message = Buffer.from('a receipt');
  t.ok(verify(null, message, publicKey, keys.signReceipt(message)));
  t.notOk(verify(null, Buffer.from('another'), publicKey, keys.signReceipt(message)));
});
