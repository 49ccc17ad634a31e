// T-35, T-37: what anybody may ask for takes one place, however often it is asked.
import { test } from 'tap';
import { joined } from '../../server/warden/every.ts';

test('a flood of wishes is one pass and one behind it, which sees all of them', async (t) => {
  let asked = 0;
  const seen: number[] = [];
  let most = 0;
  let under = 0;
  const { ask, stop } = joined(
    async () => {
      under += 1;
      most = Math.max(most, under);
      seen.push(asked);
      await new Promise((resolve) => setTimeout(resolve, 20));
      under -= 1;
      if (seen.length === 1) throw new Error('once');
    },
    (error) => t.match(error, { message: 'once' }, 'a pass that fails is told, and the next one comes'),
  );
  for (asked = 1; asked < 10_000; asked += 1) ask();
  ask();
  while (seen.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  await new Promise((resolve) => setTimeout(resolve, 300));
  t.same(seen, [1, 10_000], 'the first wish at once, all others together');
  t.equal(most, 1);
  await stop();
  ask();
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(seen.length, 2, 'and none when it is over');
});
