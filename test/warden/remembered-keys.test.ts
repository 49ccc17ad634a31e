// What the key ring remembers: a customer key is looked up once, and no more than ten thousand of them are kept.
import { randomUUID } from 'node:crypto';
import { test } from 'tap';
import { type ContentId, type CustomerId, type CustomerKeyId, idOf } from '../../server/domain/ids.ts';
import type { Transaction } from '../../server/postgres/database.ts';
import type { Read } from '../../server/warden/keys/key-ring.ts';
import { type KeyRow, keyRingOverRows } from '../support/key-rows.ts';

const acme = idOf<CustomerId>(randomUUID());
const newContent = (): ContentId => idOf<ContentId>(randomUUID());

test('a customer key is read once, and a bounded number of them is remembered', async (t) => {
  const { keys, tx, read, seen } = keyRingOverRows(t);
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
  // Ids that lead to the same row: only their number matters. Two are already remembered.
  const [{ id, content, wrapped } = { id: undefined, content: undefined, wrapped: undefined }] = made;
  if (id === undefined) throw new Error('there is none');
  const renamed: Read = async (work) => work({ query: async () => [] } as unknown as Transaction);
  await t.rejects(keys.openFileKey(renamed, acme, content, idOf<CustomerKeyId>(randomUUID()), wrapped), {
    message: /is missing/,
  });
  t.same([await open(0), await open(1)], [0, 0], 'what is missing is not remembered');
  const [row] = await tx.query<KeyRow>('select', [acme, id]);
  const same: Read = async (work) => work({ query: async () => [row] } as unknown as Transaction);
  const another = (): Promise<Buffer> =>
    keys.openFileKey(same, acme, content, idOf<CustomerKeyId>(randomUUID()), wrapped);
  // Its content was wrapped under another id, so it does not open. The row is remembered all the same.
  for (let i = 2; i < 10_000; i += 1) await another().catch(() => {});
  t.equal(await open(0), 0, 'ten thousand');
  t.equal(await open(1), 1, 'and the next one begins anew');
});
