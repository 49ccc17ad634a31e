// Owns: `npm run rehearse:restart [ROUNDS]`, 5 by default. The last line is JSON; the exit code is 1 when a transfer
// was lost or altered.
import { longRun } from '../support/long-run.ts';
import { restartCluster, rollingRestart } from './rolling-restart.ts';

const rounds = Number(process.argv[2] ?? 5);
await longRun(async (t) => {
  const { faults, ...result } = await rollingRestart(await restartCluster(t), {
    rounds,
    clients: 2,
    fileBytesMax: 24 * 1024 * 1024,
    bytesPerSecond: 6 * 1024 * 1024,
  });
  for (const fault of faults) process.stdout.write(`fault: ${fault}\n`);
  process.stdout.write(`${JSON.stringify(result)}\n`);
  return result.lost + result.altered === 0 && result.edgesRestarted === 2 * rounds;
});
