// The replayed breach, short: whose files were exposed is answered completely, and what is called certain is true.
import { test } from 'tap';
import { Cluster } from '../support/cluster.ts';
import { addHistory, askScope, judge, play, setUp, thiefAddress } from './theft.ts';

test('a theft, with an edge and the wardens killed during it: the scope is the truth', async (t) => {
  const cluster = await Cluster.start(t, { edges: 2, wardens: 2, limits: { settleMs: 0 } });
  const setting = await setUp(cluster);
  const truth = await play(setting, 6);
  await addHistory(cluster, 5000);
  const credential = setting.processor.fingerprint;
  for (const args of [
    ['--credential', credential, '--source', thiefAddress],
    ['--client-id', 'winscp'],
    ['--source', `${thiefAddress}/32`, '--since', '1d'],
  ]) {
    const verdict = judge(await askScope(cluster, args), truth);
    t.same(verdict.faults, [], args.join(' '));
    t.equal(verdict.recall, 1, 'recall');
    t.equal(verdict.precisionOfCertain, 1, 'precision of what is certain');
    t.equal(verdict.possible, verdict.difference, 'and what is possible is the difference');
    t.equal(verdict.difference, 2, 'the edge died once, his line broke once');
    t.comment(`${verdict.truth} files taken, scope in ${verdict.tookMs} ms`);
  }
  const everything = await askScope(cluster, ['--credential', credential]);
  t.ok(everything.files.length > truth.taken.size, 'the honest owner of the key has read other files');
});
