// T-34: the one queue: in order, and as cheap when a million wait as when one does.
import { randomInt } from 'node:crypto';
import { test } from 'tap';
import { Queue } from '../../server/domain/queue.ts';

test('first in, first out, whatever the order of putting and taking', (t) => {
  const queue = new Queue<number>();
  const model: number[] = [];
  for (let i = 0; i < 100_000; i += 1) {
    const isFilling = Math.floor(i / 10_000) % 2 === 0;
    if (randomInt(0, 10) < (isFilling ? 8 : 2)) {
      queue.push(i);
      model.push(i);
    } else if (randomInt(0, 4) === 0) {
      queue.replaceFirst(-i);
      if (model.length > 0) model[0] = -i;
    } else if (queue.take() !== model.shift()) t.fail(`step ${i}`);
    if (queue.length !== model.length || queue.first() !== model[0]) t.fail(`step ${i}`);
  }
  t.same(queue.takeMany(3), model.splice(0, 3));
  t.same(queue.takeMany(1_000_000), model);
  t.equal(queue.length, 0);
  t.same(queue.takeMany(5), []);
  t.equal(queue.take(), undefined);
  t.end();
});

test('half a million wait', (t) => {
  const queue = new Queue<object>();
  const started = performance.now();
  for (let i = 0; i < 500_000; i += 1) queue.push({ i });
  let sum = 0;
  for (let one = queue.take(); one !== undefined; one = queue.take()) sum += 1;
  t.equal(sum, 500_000);
  t.ok(performance.now() - started < 2000, `${Math.round(performance.now() - started)} ms`);
  t.end();
});
