// T-35, T-38: the places of one line of the table of shares: handed out by turns, bounded for each holder, with a part
// that is reserved.
import { test } from 'tap';
import { defaultShares, linesOf, sharesFaults } from '../../server/config/shares.ts';
import { groupMax, type Share, shareFault } from '../../server/domain/share.ts';
import { Shelf } from '../../server/rpc/shelf.ts';
import { claimant, onBehalfOf, Slots } from '../../server/rpc/slots.ts';

const line: Share = { of: 'node', what: 'things', total: 6, each: 3, reserve: 2, waiting: 4, waitMs: 30_000 };
const a1 = { holder: 'a1', group: 'a' };
const a2 = { holder: 'a2', group: 'a' };
const b1 = { holder: 'b1', group: 'b' };
const nobody = { code: 'over-limit' };

test('a holder has its part, a group leaves the reserve, and a place that is given back can be used again', async (t) => {
  const slots = new Slots({ ...line, waiting: 0 });
  const own = [slots.take(a1), slots.take(a1), slots.take(a1)];
  t.throws(() => slots.take(a1), nobody, 'the fourth of one holder');
  slots.take(a2);
  t.throws(() => slots.take(a2), nobody, 'the fifth of one group');
  slots.take(b1);
  slots.take(b1);
  t.throws(() => slots.take(b1), nobody, 'all six are taken');
  own[0]?.();
  own[0]?.();
  t.equal(slots.used, 5, 'given back once, however often it is said');
  slots.take(b1);
  t.throws(() => slots.take(a2), nobody);
  own[1]?.();
  slots.take(a2);
});

test('waiting callers are served by turns of groups and holders, urgent ones first, and are refused when too many wait', async (t) => {
  const slots = new Slots({ ...line, total: 3, each: 2, reserve: 1, waiting: 3 });
  const order: string[] = [];
  const held = [await slots.acquire(a1), await slots.acquire(a1), await slots.acquire(b1)];
  const wait = (name: string, claim: typeof a1, isUrgent = false): Promise<void> =>
    slots.acquire(claim, isUrgent).then((release) => {
      order.push(name);
      setImmediate(release);
    });
  const all = [wait('a1 first', a1), wait('a1 second', a1), wait('a1 third', a1), wait('a1 known', a1, true)];
  await t.rejects(slots.acquire(a1), nobody, 'its fourth that waits');
  all.push(wait('a2 first', a2), wait('b1 first', b1));
  t.equal(slots.waiting, 6);
  for (const release of held) release();
  await Promise.all(all);
  t.equal(order[0], 'a2 first', 'whoever of the group has least');
  t.ok(order.indexOf('a1 known') < order.indexOf('a1 first'), 'of its own the urgent one first');
  t.ok(order.indexOf('b1 first') < order.indexOf('a1 second'), 'another plane does not stand behind this one');
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(slots.used, 0);
  t.equal(slots.waiting, 0);
});

test('the group with fewer places goes first, however little each holder of the other one has', async (t) => {
  const slots = new Slots({ ...line, total: 5, each: 3, reserve: 1 });
  const held = await Promise.all([a1, a2, { holder: 'a3', group: 'a' }, b1, b1].map((claim) => slots.acquire(claim)));
  const order: string[] = [];
  const all = [{ holder: 'a4', group: 'a' }, b1].map(async (claim) => {
    const release = await slots.acquire(claim);
    order.push(claim.holder);
    release();
  });
  held[4]?.();
  await Promise.all(all);
  t.same(order, ['b1', 'a4'], 'three of the one group were served, and one of the other');
});

test('a wait ends, and a place that its waiter no longer wants is not lost', async (t) => {
  const slots = new Slots({ ...line, total: 2, each: 1, reserve: 1, waitMs: 20 });
  const release = await slots.acquire(a1);
  await t.rejects(slots.acquire(a1), { code: 'unavailable' });
  t.equal(slots.waiting, 0);
  release();
  t.equal(slots.used, 0);
  (await slots.acquire(a1))();
  await t.rejects(
    slots.within(b1, async () => {
      throw new RangeError('mine');
    }),
    RangeError,
  );
  t.equal(slots.used, 0, 'work that fails gives its place back');
});

test('persons: security officers reach what is reserved for them, others do not, and the messages say so', async (t) => {
  const slots = new Slots({ ...line, of: 'person', waiting: 0 });
  const viewers = ['v', 'w', 'x', 'y'].map((holder) => slots.take({ holder, group: 'others' }));
  t.throws(() => slots.take({ holder: 'z', group: 'others' }), {
    code: 'over-limit',
    message: /^too many things at once: one person may have 3, and 2 of 6 are kept for officers/,
  });
  slots.take({ holder: 'o', group: 'officers' });
  slots.take({ holder: 'p', group: 'officers' });
  t.equal(viewers.length, groupMax({ ...line, of: 'person' }, 'others'));
});

test('values that are kept: the oldest one of the same holder makes room, never that of another', async (t) => {
  const gone: string[] = [];
  const shelf = new Shelf<string>({ ...line, each: 2, total: 4, reserve: 1 }, 60_000, (value) => gone.push(value));
  for (const value of ['a', 'b', 'c']) shelf.put(a1, value, value);
  t.same(gone, ['a']);
  t.throws(() => shelf.require('a'), { code: 'not-found' });
  t.equal(shelf.require('b'), 'b');
  shelf.put(a2, 'd', 'd');
  shelf.put(a2, 'e', 'e');
  t.same(gone, ['a', 'd'], 'its own, when its group has no more');
  t.throws(() => shelf.put({ holder: 'a3', group: 'a' }, 'f', 'f'), nobody, 'and a third one is told');
  shelf.put(b1, 'g', 'g');
  t.equal(shelf.size, 4);
  shelf.clear();
  t.equal(gone.length, 6);
  const short = new Shelf<string>(line, 1);
  short.put(a1, 'x', 'x');
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.equal(short.get('x'), undefined, 'each for a while');
});

test('a value that is put again replaces the former one, whoever put that', async (t) => {
  const gone: string[] = [];
  const shelf = new Shelf<string>({ ...line, each: 2, total: 4, reserve: 1 }, 60_000, (value) => gone.push(value));
  shelf.put(a1, 'kept', 'kept');
  for (let i = 0; i < 10; i += 1) shelf.put(a1, 'again', `again ${i}`);
  t.same(shelf.values, ['kept', 'again 9'], 'nothing else of its holder had to go');
  t.same(
    gone,
    Array.from({ length: 9 }, (_, i) => `again ${i}`),
    'each that was replaced is said to be gone',
  );
  shelf.put(b1, 'again', 'another holder’s');
  shelf.put(a1, 'third', 'third');
  t.same(shelf.values, ['kept', 'another holder’s', 'third'], 'its place is its former holder’s again');
  for (const id of ['kept', 'again', 'third']) shelf.delete(id);
  for (const claim of [a1, a1, a2, b1]) shelf.put(claim, `${claim.holder} ${shelf.size}`, 'one of four');
  t.equal(shelf.size, 4, 'and no place was lost on the way');
});

test('work and whatever it awaits know for whom it is done', async (t) => {
  t.equal(claimant(), undefined);
  await Promise.all(
    [a1, b1].map((claim) =>
      onBehalfOf(claim, async () => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        t.equal(claimant()?.holder, claim.holder);
      }),
    ),
  );
});

test('every line leaves its reserve free; a table that does not is a fault', async (t) => {
  t.same(sharesFaults(defaultShares), []);
  t.ok(linesOf(defaultShares).length > 15);
  t.match(shareFault({ ...line, each: 5 }), /must leave the reserve/);
  t.match(shareFault({ ...line, reserve: 0 }), /reserve must be at least 1/);
  t.match(shareFault({ ...line, each: 0 }), /each must be at least 1/);
});
