// Owns: `npm run rehearse:rotation [ACCOUNTS]`, 500 by default, with a day of a minute. The last line is JSON; the exit
// code is 1 when an account failed, or one that moved late was not named.
import { longRun } from '../support/long-run.ts';
import { rehearsalCluster, rehearse } from './rotation-rehearsal.ts';

const options = { accounts: Number(process.argv[2] ?? 500), dayMs: 60_000, overlapDays: 2, pauseMs: 40_000 };
await longRun(async (t) => {
  const { faults, ...result } = await rehearse(await rehearsalCluster(t, options), options);
  for (const fault of faults) process.stdout.write(`fault: ${fault}\n`);
  process.stdout.write(`${JSON.stringify(result)}\n`);
  return faults.length === 0 && result.failedTransfers === 0 && result.overdueKeys === 0 && result.laggardsWrong === 0;
});
