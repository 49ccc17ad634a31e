// What a short extent costs its sender: nothing while there are few, and nothing at all for pieces of ordinary length.
import { test } from 'tap';
import { freeExtents, itemsOf, shortBytes, shortCutBytes } from '../../server/warden/transfers/extent-price.ts';

test('short extents beyond the first ones cost an item each', (t) => {
  const costs = (index: number, bytes: number): number => itemsOf({ index, bytes });
  t.same([costs(0, 1), costs(freeExtents - 1, 1)], [0, 0], 'the first ones are free');
  t.same([costs(freeExtents, 1), costs(1_000_000, shortBytes - 1)], [1, 1]);
  t.same([costs(freeExtents, shortBytes), costs(1_000_000, 16 * 2 ** 20)], [0, 0], 'of ordinary length');
  // As fsync makes them: whatever their length, a version can have no more free extents than its size permits.
  for (const bytes of [1, 100, 16_383, 16_384, 32_768]) {
    const extents = 5000;
    const free = Array.from({ length: extents }, (_, index) => costs(index, bytes)).filter(
      (items) => items === 0,
    ).length;
    t.ok(free <= freeExtents + (extents * bytes) / shortBytes, `${bytes} bytes each`);
  }
  t.end();
});

test('nobody pays for what the edge cut by itself, and the word of the edge permits no more than that', (t) => {
  const costs = (bytes: number): number => itemsOf({ index: freeExtents, bytes, isCut: true });
  t.same(
    [costs(shortCutBytes), costs(8192), costs(shortBytes - 1)],
    [0, 0, 0],
    'pieces of clients that write 4 KiB and more',
  );
  t.same([costs(1), costs(shortCutBytes - 1)], [1, 1], 'shorter than any edge cuts');
  t.equal(itemsOf({ index: freeExtents, bytes: 8192 }), 1, 'as a client ends them: it pays');
  t.end();
});
