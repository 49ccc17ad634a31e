// Edges and wardens restart in turn under load.
import { test } from 'tap';
import { restartCluster, rollingRestart } from './rolling-restart.ts';

const MiB = 1024 * 1024;

test('a rolling restart of two edges and two wardens under load: no transfer is lost, no byte altered', async (t) => {
  const cluster = await restartCluster(t);
  const before = cluster.partnerNodes.map((node) => cluster.pidOfEdge(node));
  const result = await rollingRestart(cluster, {
    rounds: 1,
    clients: 2,
    fileBytesMax: 4 * MiB,
    bytesPerSecond: 2 * MiB,
  });
  t.comment(JSON.stringify(result));
  t.same(result.faults, []);
  t.equal(result.lost, 0, `none of ${result.uploads + result.downloads} transfers lost`);
  t.equal(result.altered, 0, 'none altered');
  t.equal(result.edgesRestarted, 2);
  t.equal(result.wardensRestarted, 2);
  for (const [i, node] of cluster.partnerNodes.entries())
    t.not(cluster.pidOfEdge(node), before[i], `${node} is a new process`);
  t.ok(result.underWay >= 4, `and every blow met transfers: ${result.underWay}`);
  t.ok(result.uploads > 4 && result.downloads > 4, `${result.uploads} uploads, ${result.downloads} downloads`);
});
