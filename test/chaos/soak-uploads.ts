// Owns: the long run of acknowledged-uploads: `npm run soak:uploads [ROUNDS]`, 1,000 by default. Last line JSON; exit code 1 on any violation.
import { wideBudgetsEnv } from '../support/bank.ts';
import { startWorld } from '../support/world.ts';
import { acknowledgedUploads } from './acknowledged-uploads.ts';

const works: (() => Promise<void> | void)[] = [];
const rounds = Number(process.argv[2] ?? 1000);
const world = await startWorld(
  { teardown: (work) => void works.unshift(work) },
  { limits: { wardenRetryMs: 10_000 }, env: wideBudgetsEnv },
);
try {
  const outcome = await acknowledgedUploads(world, rounds, 3);
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
  process.exitCode = outcome.missing + outcome.altered + outcome.unacknowledgedVisible === 0 ? 0 : 1;
} finally {
  for (const work of works) await work();
}
