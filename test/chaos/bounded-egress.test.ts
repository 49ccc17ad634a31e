// Edges and wardens with kills, and an edge that lies, against one cap.
import { test } from 'tap';
import { Cluster } from '../support/cluster.ts';
import { boundedEgress, setUp, soakBudgets, soakLimits } from './bounded-egress.ts';

test('3 edges, 2 wardens, 24 clients and kills: never more out than the cap, all of it recorded; also with a lying edge', async (t) => {
  const cluster = await Cluster.start(t, { edges: 3, wardens: 2, budgets: soakBudgets, limits: soakLimits });
  const setting = await setUp(cluster);
  const honest = await boundedEgress(setting, 2, undefined, 0);
  t.comment(JSON.stringify(honest));
  t.same(honest.faults, [], 'clients: no violation');
  t.ok(
    honest.maxReceived > honest.cap / 3,
    `and the cap was within reach: ${honest.maxReceived} of ${honest.cap} bytes`,
  );
  await cluster.stopEdge('p3');
  const lying = await boundedEgress(setting, 2, 'p3', honest.cap);
  t.comment(JSON.stringify(lying));
  t.same(lying.faults, [], 'a lying edge: no violation');
  t.ok(lying.maxReceived > 0, `which took what it could: ${lying.maxReceived} bytes`);
});
