// A rotation of the keys of many machines, with a day that lasts seconds.
import { test } from 'tap';
import { rehearsalCluster, rehearse } from './rotation-rehearsal.ts';

test('a rotation in scaled time: whoever follows the procedure notices nothing, and whoever does not is found', async (t) => {
  const options = { accounts: 15, dayMs: 7000, overlapDays: 2, pauseMs: 3000 };
  const cluster = await rehearsalCluster(t, options);
  const result = await rehearse(cluster, options);
  t.comment(JSON.stringify(result));
  t.same(result.faults, []);
  t.equal(result.failedTransfers, 0, `${result.transfers} transfers, none failed of those who followed the procedure`);
  t.equal(result.overdueKeys, 0, 'no key outlives its overlap');
  t.equal(result.laggardsWrong, 0, `exactly the ${result.laggards} laggards are named`);
  t.ok(result.lateRefusals > 0, 'and they were refused');
  t.ok(result.transfers > options.accounts * 3);
});
