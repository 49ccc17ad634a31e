// Owns: `npm run rehearse:rotation [ACCOUNTS]`, 500 by default, a day = a minute. Last line JSON; exit code 1 when anybody noticed or was missed.
import { rehearsalCluster, rehearse } from './rotation-rehearsal.ts';

const works: (() => Promise<void> | void)[] = [];
const options = { accounts: Number(process.argv[2] ?? 500), dayMs: 60_000, overlapDays: 2, pauseMs: 40_000 };
const cluster = await rehearsalCluster({ teardown: (work) => void works.unshift(work) }, options);
try {
  const { faults, ...result } = await rehearse(cluster, options);
  for (const fault of faults) process.stdout.write(`fault: ${fault}\n`);
  process.stdout.write(`${JSON.stringify(result)}\n`);
  process.exitCode = faults.length === 0 && result.failedTransfers === 0 && result.overdueKeys === 0 && result.laggardsWrong === 0 ? 0 : 1;
} finally {
  for (const work of works) await work();
}
