// Owns: the long run of raced-codes: `npm run soak:codes [ACCOUNTS]`, 2,000 by default. The last line is JSON; the exit
// code is 1 when a code opened two sessions, or none.
import { longRun } from '../support/long-run.ts';
import { raceCodes, racingCluster } from './raced-codes.ts';

await longRun(async (t) => {
  const raced = await raceCodes(await racingCluster(t), Number(process.argv[2] ?? 2000));
  process.stdout.write(`${JSON.stringify(raced)}\n`);
  return raced.twice + raced.never === 0 && raced.accepted === raced.accounts;
});
