// T-35: what an edge has put and no upload took is counted exactly, and never beyond its allowance.
import { test } from 'tap';
import { idOf, type NodeName, type ObjectId } from '../../server/domain/ids.ts';
import { countedBytes, Unsettled } from '../../server/store/unsettled.ts';

const [p, q] = [idOf<NodeName>('p'), idOf<NodeName>('q')];
const object = (n: number): ObjectId => idOf<ObjectId>(n.toString(16).padStart(32, '0'));
const over = { code: 'over-limit' };

/** The unit of these tests: what the smallest object counts. */
const unit = 64 * 1024;

test('an object counts whole blocks, and never less than the smallest', (t) => {
  t.same([0, 1, unit, unit + 1, unit + 4096, 2 ** 20].map(countedBytes), [
    unit,
    unit,
    unit,
    unit + 4096,
    unit + 4096,
    2 ** 20,
  ]);
  const unsettled = new Unsettled(10 * unit);
  for (let n = 0; n < 10; n += 1) {
    const holding = unsettled.hold(p);
    holding.add(1);
    holding.whole(object(n));
  }
  t.throws(() => unsettled.hold(p).add(1), over, 'so the allowance bounds how many there are');
  unsettled.hold(q).add(1);
  unsettled.settle([object(3)]);
  const last = unsettled.hold(p);
  for (let n = 0; n < unit; n += 1) last.add(1);
  t.same(unsettled.bytesByNode()[0]?.bytes, 10 * unit, 'pieces count together');
  t.throws(() => last.add(1), over);
  last.release();
  t.same(unsettled.bytesByNode()[0]?.bytes, 9 * unit, 'and nothing of what was refused counts');
  t.end();
});

test('bytes on their way and whole objects count until they are settled or given up; each node has its own', (t) => {
  const unsettled = new Unsettled(100 * unit);
  const held = (node: NodeName): number => unsettled.bytesByNode().find((one) => one.node === node)?.bytes ?? 0;
  const first = unsettled.hold(p);
  first.add(60 * unit);
  const second = unsettled.hold(p);
  t.throws(() => second.add(41 * unit), over);
  second.add(40 * unit);
  t.throws(() => first.add(1), over);
  t.equal(held(p), 100 * unit);
  unsettled.hold(q).add(100 * unit);
  second.release();
  second.release();
  t.equal(held(p), 60 * unit, 'given up once');
  first.whole(object(1));
  first.release();
  t.equal(held(p), 60 * unit, 'a whole object stays counted');
  unsettled.settle([object(2), object(1), object(1)]);
  t.same([held(p), held(q)], [0, 100 * unit]);
  unsettled.hold(p).add(100 * unit);
  t.end();
});

test('the oldest whole objects come first, and none that is younger than asked', (t) => {
  let now = 0;
  const unsettled = new Unsettled(100 * unit, () => now);
  for (const n of [1, 2, 3, 4]) {
    now = n * 10;
    const holding = unsettled.hold(p);
    holding.add(1);
    holding.whole(object(n));
  }
  t.same(unsettled.olderThan(0, 10), [1, 2, 3, 4].map(object));
  t.same(unsettled.olderThan(0, 2), [1, 2].map(object));
  t.same(unsettled.olderThan(20, 10), [1, 2].map(object));
  t.same(unsettled.olderThan(21, 10), [1].map(object));
  unsettled.settle([object(1)]);
  t.same(unsettled.olderThan(20, 10), [2].map(object));
  t.end();
});
