// Owns: the long run of acknowledged-uploads: `npm run soak:uploads [ROUNDS]`, 1,000 by default. The last line is JSON;
// the exit code is 1 on any violation.
import { wideBudgetsEnv } from '../support/bank.ts';
import { longRun } from '../support/long-run.ts';
import { startWorld } from '../support/world.ts';
import { acknowledgedUploads } from './acknowledged-uploads.ts';

const rounds = Number(process.argv[2] ?? 1000);
await longRun(async (t) => {
  const world = await startWorld(t, { limits: { wardenRetryMs: 10_000 }, env: wideBudgetsEnv });
  const outcome = await acknowledgedUploads(world, rounds, 3);
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
  return outcome.missing + outcome.altered + outcome.unacknowledgedVisible === 0;
});
