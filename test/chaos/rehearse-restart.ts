// Owns: `npm run rehearse:restart [ROUNDS]`, 5 by default. Last line JSON; exit code 1 when a transfer was lost or altered.
import { restartCluster, rollingRestart } from './rolling-restart.ts';

const works: (() => Promise<void> | void)[] = [];
const cluster = await restartCluster({ teardown: (work) => void works.unshift(work) });
try {
  const rounds = Number(process.argv[2] ?? 5);
  const { faults, ...result } = await rollingRestart(cluster, {
    rounds,
    clients: 2,
    fileBytesMax: 24 * 1024 * 1024,
    bytesPerSecond: 6 * 1024 * 1024,
  });
  for (const fault of faults) process.stdout.write(`fault: ${fault}\n`);
  process.stdout.write(`${JSON.stringify(result)}\n`);
  process.exitCode = result.lost + result.altered === 0 && result.edgesRestarted === 2 * rounds ? 0 : 1;
} finally {
  for (const work of works) await work();
}
