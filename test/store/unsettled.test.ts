// T-35: what an edge has put and no upload took is counted exactly, and never beyond its allowance.
import { test } from 'tap';
import { idOf, type NodeName, type ObjectId } from '../../server/domain/ids.ts';
import { Unsettled } from '../../server/store/unsettled.ts';

const [p, q] = [idOf<NodeName>('p'), idOf<NodeName>('q')];
const object = (n: number): ObjectId => idOf<ObjectId>(n.toString(16).padStart(32, '0'));
const over = { code: 'over-limit' };

test('bytes on their way and whole objects count until they are settled or given up; each node has its own', (t) => {
  const unsettled = new Unsettled(100);
  const held = (node: NodeName): number => unsettled.held().find((one) => one.node === node)?.bytes ?? 0;
  const first = unsettled.hold(p);
  first.add(60);
  const second = unsettled.hold(p);
  t.throws(() => second.add(41), over);
  second.add(40);
  t.throws(() => first.add(1), over);
  t.equal(held(p), 100);
  unsettled.hold(q).add(100);
  second.release();
  second.release();
  t.equal(held(p), 60, 'given up once');
  first.whole(object(1));
  first.release();
  t.equal(held(p), 60, 'a whole object stays counted');
  unsettled.settle([object(2), object(1), object(1)]);
  t.same([held(p), held(q)], [0, 100]);
  unsettled.hold(p).add(100);
  t.end();
});

test('the oldest whole objects come first, and none that is younger than asked', (t) => {
  let now = 0;
  const unsettled = new Unsettled(100, () => now);
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
