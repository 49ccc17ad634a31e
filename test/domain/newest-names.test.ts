// A memory of names is bounded: when it is full, the oldest name makes room for a new one.
import { test } from 'tap';
import { NewestNames } from '../../server/domain/newest-names.ts';

test('a name is taken once, and only if it was added', (t) => {
  const names = new NewestNames(2);
  t.equal(names.take('a'), false, 'never added');
  names.add('a');
  t.equal(names.take('b'), false, 'another one');
  t.equal(names.take('a'), true);
  t.equal(names.take('a'), false, 'taken before');
  t.end();
});

test('as many names are kept as were allowed, and those are the newest', (t) => {
  for (const max of [1, 2, 5]) {
    const names = new NewestNames(max);
    const all = Array.from({ length: 8 }, (_, i) => `name ${i}`);
    for (const name of all) names.add(name);
    t.same(
      all.filter((name) => names.take(name)),
      all.slice(-max),
      `${max} of them`,
    );
  }
  t.end();
});

test('a name that was taken leaves its room', (t) => {
  const names = new NewestNames(2);
  names.add('a');
  names.add('b');
  names.take('b');
  names.add('c');
  t.same([names.take('a'), names.take('c')], [true, true]);
  t.end();
});
