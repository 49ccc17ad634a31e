// Owns: the long run of raced-codes: `npm run soak:codes [ACCOUNTS]`, 2,000 by default. Last line JSON; exit code 1 when a code opened two sessions, or none.
import { raceCodes, racingCluster } from './raced-codes.ts';

const works: (() => Promise<void> | void)[] = [];
const cluster = await racingCluster({ teardown: (work) => void works.unshift(work) });
try {
  const raced = await raceCodes(cluster, Number(process.argv[2] ?? 2000));
  process.stdout.write(`${JSON.stringify(raced)}\n`);
  process.exitCode = raced.twice + raced.never === 0 && raced.accepted === raced.accounts ? 0 : 1;
} finally {
  for (const work of works) await work();
}
