// T-34: the one queue keeps the order, and costs no more with a million waiting items than with one.
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
  t.same(queue.takeMany(model.length + 1), model);
  t.equal(queue.length, 0);
  t.same(queue.takeMany(5), []);
  t.equal(queue.take(), undefined);
  t.end();
});

/** What may be done with a queue, done with a list, too. Returns whether both gave the same. */
const calls = {
  push: (queue, list, name) => {
    queue.push(name);
    return list.push(name) === queue.length;
  },
  replaceFirst: (queue, list, name) => {
    queue.replaceFirst(name);
    if (list.length > 0) list[0] = name;
    return true;
  },
  replaceLast: (queue, list, name) => {
    queue.replaceLast(name);
    if (list.length > 0) list[list.length - 1] = name;
    return true;
  },
  clear: (queue, list) => {
    queue.clear();
    list.length = 0;
    return queue.length === 0;
  },
  first: (queue, list) => queue.first() === list[0],
  take: (queue, list) => queue.take() === list.shift(),
  takeTwo: (queue, list) => queue.takeMany(2).join() === list.splice(0, 2).join(),
} as const satisfies Readonly<Record<string, (queue: Queue<string>, list: string[], name: string) => boolean>>;
type Call = keyof typeof calls;
const sequences = (length: number): readonly (readonly Call[])[] =>
  length === 0
    ? [[]]
    : sequences(length - 1).flatMap((before) => (Object.keys(calls) as Call[]).map((name) => [...before, name]));

test('every short sequence of calls gives and leaves the items that a list would', (t) => {
  const isLikeList = (sequence: readonly Call[]): boolean => {
    const queue = new Queue<string>();
    const list: string[] = [];
    // Two items are there already, so that a sequence reaches a queue that something has left.
    const all: readonly Call[] = ['push', 'push', ...sequence];
    const areSame = all.every((name, i) => calls[name](queue, list, `${name} ${i}`));
    return areSame && queue.length === list.length && queue.takeMany(9).join() === list.join();
  };
  t.same(
    sequences(4).filter((sequence) => !isLikeList(sequence)),
    [],
  );
  t.end();
});

test('half a million waiting items cost no more each than one', (t) => {
  const queue = new Queue<object>();
  const started = performance.now();
  for (let i = 0; i < 500_000; i += 1) queue.push({ i });
  let sum = 0;
  for (let one = queue.take(); one !== undefined; one = queue.take()) sum += 1;
  t.equal(sum, 500_000);
  t.ok(performance.now() - started < 2000, `${Math.round(performance.now() - started)} ms`);
  t.end();
});
