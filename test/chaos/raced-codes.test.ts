// One code is used on two edges and two wardens at the same moment.
import { test } from 'tap';
import { raceCodes, racingCluster } from './raced-codes.ts';

/** `npm run soak:codes` does it with many more. */
const accounts = 400;

test('one code on two edges and two wardens at once, over 400 accounts: exactly one success each', async (t) => {
  const cluster = await racingCluster(t);
  const raced = await raceCodes(cluster, accounts);
  t.comment(JSON.stringify(raced));
  t.equal(raced.twice, 0, 'no code opened two sessions');
  t.equal(raced.never, 0, 'each opened one');
  t.equal(raced.accepted, accounts);
});
