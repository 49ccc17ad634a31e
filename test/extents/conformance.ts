// Owns: what every adapter of the store promises, as one test: whole or nothing, never replaced, ranges, lists, free
// space. That an object is durable before its `finish` resolves is examined for each adapter by itself:
// `directory-store-steps.test.ts` does so for the one on a directory.
import { randomBytes } from 'node:crypto';
import type { Test } from 'tap';
import type { ObjectId } from '../../server/domain/ids.ts';
import type { ObjectStore, ObjectWriter } from '../../server/extents/object-store.ts';

/** A piece as the store gets it from an edge: one sealed segment. */
const pieceBytes = 256 * 1024;

/** Returns a new id. It begins with c, so it is in no group (first two digits) that a test lists. */
export const newObject = (): ObjectId => `c${randomBytes(16).toString('hex').slice(1)}` as ObjectId;

/** Writes all bytes in pieces, several of them side by side, each in memory of the adapter. */
async function writePieces(store: ObjectStore, writer: ObjectWriter, data: Buffer): Promise<void> {
  const writes: Promise<void>[] = [];
  for (let at = 0; at < data.length; at += pieceBytes) {
    const piece = data.subarray(at, at + pieceBytes);
    const memory = store.memory(pieceBytes);
    piece.copy(memory);
    writes.push(writer.write(memory, piece.length));
  }
  await Promise.all(writes);
}

export async function putObject(store: ObjectStore, object: ObjectId, data: Buffer): Promise<void> {
  const writer = store.begin(object);
  try {
    await writePieces(store, writer, data);
    await writer.finish();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

const read = (store: ObjectStore, object: ObjectId, offset: number, bytes: number): Promise<Buffer> =>
  store.read(object, offset, Buffer.alloc(bytes, 7));

/** The lengths at which writing in blocks and pieces may err, in bytes. */
const lengths = [
  1,
  511,
  512,
  4095,
  4096,
  4097,
  pieceBytes - 1,
  pieceBytes,
  pieceBytes + 1,
  3 * pieceBytes,
  3 * pieceBytes + 40,
] as const;

/** Examines an empty store. `again` opens the same store as another process would. */
export async function conforms(t: Test, store: ObjectStore, again: () => Promise<ObjectStore>): Promise<void> {
  await t.test('an object is whole under its name, for every length, and for another process too', async (t) => {
    for (const bytes of lengths) {
      const [object, data] = [newObject(), randomBytes(bytes)];
      t.equal(await store.exists(object), undefined, `${bytes} bytes: nothing is there`);
      await putObject(store, object, data);
      const other = await again();
      t.equal(await other.exists(object), bytes);
      t.ok((await read(other, object, 0, bytes + 10)).equals(data), `${bytes} bytes: the same bytes, and none behind`);
    }
  });

  await t.test('nothing can be seen before it is finished, and nothing remains of what is given up', async (t) => {
    for (const bytes of [10, pieceBytes + 10]) {
      const object = newObject();
      const writer = store.begin(object);
      await writePieces(store, writer, randomBytes(bytes));
      t.equal(await store.exists(object), undefined);
      await t.rejects(read(store, object, 0, 10), { code: 'corrupt' });
      t.equal((await store.list('unfinished', null, 10)).found.length, 1, 'it is among the unfinished ones');
      await writer.abort();
      await writer.abort();
      t.equal(await store.exists(object), undefined);
      t.same((await store.list('unfinished', null, 10)).found, []);
      await putObject(store, object, Buffer.from('its twin'));
      t.equal(String(await read(store, object, 0, 10)), 'its twin', 'its name is free');
    }
    const empty = store.begin(newObject());
    await t.rejects(empty.finish(), { code: 'invalid', message: 'an object has at least one byte' });
    await store.begin(newObject()).abort();
  });

  await t.test('an object is never replaced, also by one that is finished at the same time', async (t) => {
    const object = newObject();
    await putObject(store, object, Buffer.from('the first'));
    for (const other of ['the other', 'the first', 'the first and more', 'the'])
      await t.rejects(putObject(store, object, Buffer.from(other)), { code: 'conflict' }, other);
    t.equal(String(await read(store, object, 0, 100)), 'the first');
    const raced = newObject();
    const all = await Promise.allSettled(
      Array.from({ length: 8 }, (_, i) => putObject(store, raced, Buffer.from(`number ${i}`))),
    );
    const won = all.flatMap((one, i) => (one.status === 'fulfilled' ? [i] : []));
    t.equal(won.length, 1, 'one of eight');
    t.equal(String(await read(store, raced, 0, 100)), `number ${won[0]}`);
    t.same((await store.list('unfinished', null, 10)).found, [], 'the others left nothing');
  });

  await t.test('ranges', async (t) => {
    const [object, data] = [newObject(), randomBytes(pieceBytes + 1000)];
    await putObject(store, object, data);
    for (const [offset, bytes] of [
      [0, 40],
      [40, pieceBytes - 40],
      [pieceBytes - 1, 2],
      [pieceBytes, 5000],
      [data.length - 1, 1],
    ] as const)
      t.ok(
        (await read(store, object, offset, bytes)).equals(data.subarray(offset, offset + bytes)),
        `${bytes} from ${offset} on`,
      );
    t.equal((await read(store, object, data.length, 10)).length, 0, 'nothing behind the end');
    await t.rejects(read(store, newObject(), 0, 10), { code: 'corrupt' });
  });

  await t.test('what is deleted is gone, and deleting what is gone is a success', async (t) => {
    const [object, other] = [newObject(), newObject()];
    for (const one of [object, other]) await putObject(store, one, Buffer.from('x'));
    await store.delete(object);
    await store.delete(object);
    t.equal(await store.exists(object), undefined);
    t.equal(await store.exists(other), 1);
  });

  await t.test('lists in parts, in the order of the names', async (t) => {
    const prefix = 'e7';
    const objects = Array.from({ length: 7 }, () => (prefix + newObject().slice(2)) as ObjectId).sort();
    for (const object of objects) await putObject(store, object, Buffer.alloc(5000));
    const seen: string[] = [];
    for (let after: string | null = null, isDone = false; !isDone; ) {
      const { found, next, fault } = await store.list({ prefix }, after, 3);
      t.equal(fault, null);
      t.ok(found.length <= 3);
      t.ok(
        found.every((one) => one.kind === 'file' && one.bytes >= 5000 && one.ageMs > -1000 && one.ageMs < 60_000),
        JSON.stringify(found),
      );
      seen.push(...found.map(({ name }) => name));
      after = next;
      isDone = next === null;
    }
    t.same(seen, objects);
    t.same(await store.list({ prefix: '00' }, null, 3), { found: [], next: null, fault: null }, 'an empty group');
    await t.rejects(store.list({ prefix: '..' }, null, 3), { code: 'corrupt' }, 'a name that leads elsewhere');
  });

  await t.test('no id leads to anything but an object', async (t) => {
    for (const id of ['../secret', '..', '', 'A'.repeat(32), `${'a'.repeat(31)}/`, `${'a'.repeat(32)}\n`]) {
      const object = id as ObjectId;
      t.throws(() => store.begin(object), { code: 'corrupt' }, JSON.stringify(id));
      await t.rejects(store.delete(object), { code: 'corrupt' });
      await t.rejects(store.exists(object), { code: 'corrupt' });
      await t.rejects(read(store, object, 0, 1), { code: 'corrupt' });
    }
  });

  await t.test('free space', async (t) => {
    const free = await store.freeBytes();
    t.ok(Number.isSafeInteger(free) && free > 0, `${free} bytes`);
  });
}
