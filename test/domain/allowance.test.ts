// An allowance permits a number at once and a number per minute: exact amounts at exact times. The number of holders
// that are remembered is bounded.
import { test } from 'tap';
import { fullPurse, Purses, partOf, takeOne } from '../../server/domain/allowance.ts';

const allowance = { atOnce: 3, perMinute: 60 } as const;

test('what was taken comes back with time, up to the number that is allowed at once', (t) => {
  const purse = fullPurse(allowance, 1000);
  t.same(purse, { left: 3, at: 1000 });
  const take = (at: number): boolean => takeOne(purse, allowance, at);
  t.same([take(1000), take(1000), take(1000), take(1000)], [true, true, true, false], 'three at once');
  t.same(purse, { left: 0, at: 1000 }, 'a refusal takes nothing');
  t.equal(take(1999), false, 'a moment before one came back');
  t.equal(take(2000), true, 'one a second');
  t.equal(take(2000), false);
  t.equal(take(1000), false, 'a clock that went back gives nothing');
  t.equal(purse.left, 0, 'and takes nothing');
  take(3_600_000);
  t.equal(purse.left, 2, 'an hour later it is full, and no fuller; one was taken');
  t.end();
});

test('a part of an allowance is never zero', (t) => {
  t.same(partOf({ atOnce: 10, perMinute: 61 }, 3), { atOnce: 3, perMinute: 20 });
  t.same(partOf({ atOnce: 2, perMinute: 2 }, 3), { atOnce: 1, perMinute: 1 });
  t.same(partOf({ atOnce: 7, perMinute: 8 }, 1), { atOnce: 7, perMinute: 8 });
  t.end();
});

test('each holder has an allowance of its own; when there are too many holders, the one that used it least recently is forgotten', (t) => {
  const purses = new Purses(2);
  const once = { atOnce: 1, perMinute: 1 } as const;
  t.equal(purses.take('a', once, 0), true);
  t.equal(purses.take('a', once, 0), false, 'had');
  t.equal(purses.take('b', once, 0), true, 'another one has its own');
  t.equal(purses.size, 2);
  t.equal(purses.take('a', once, 0), false, 'used lately');
  t.equal(purses.take('c', once, 0), true);
  t.equal(purses.size, 2, 'as many as may be');
  t.equal(purses.take('a', once, 0), false, 'is remembered');
  t.equal(purses.take('b', once, 0), true, 'was forgotten');
  t.equal(purses.size, 2);
  t.end();
});

test('no holder is forgotten while there is room', (t) => {
  const purses = new Purses(3);
  const once = { atOnce: 1, perMinute: 1 } as const;
  for (const holder of ['a', 'b', 'c']) t.equal(purses.take(holder, once, 0), true);
  t.equal(purses.size, 3);
  for (const holder of ['a', 'b', 'c']) t.equal(purses.take(holder, once, 0), false, holder);
  t.end();
});
