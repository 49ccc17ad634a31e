// Owns: `npm run soak:theft [MINUTES]`: the replayed breach at the length of an hour of traffic. Ends with one line of
// JSON.
import { Cluster } from '../support/cluster.ts';
import { longRun } from '../support/long-run.ts';
import { addHistory, askScope, judge, play, setUp, thiefAddress } from './theft.ts';

const minutes = Number(process.argv[2] ?? 60);
await longRun(async (t) => {
  const cluster = await Cluster.start(t, { edges: 2, wardens: 2, limits: { settleMs: 0 } });
  const setting = await setUp(cluster);
  const truth = await play(setting, minutes);
  await addHistory(cluster, 200_000);
  const verdict = judge(
    await askScope(cluster, ['--credential', setting.processor.fingerprint, '--source', thiefAddress]),
    truth,
  );
  for (const fault of verdict.faults) process.stderr.write(`${fault}\n`);
  process.stdout.write(`${JSON.stringify({ minutes, ...verdict, faults: verdict.faults.length })}\n`);
  return verdict.faults.length === 0;
});
