// Owns: the long run of bounded-egress: `npm run soak:grants [ROUNDS]`, 40 by default, half as many with a lying edge.
// The last line is JSON; the exit code is 1 on any violation.
import { Cluster } from '../support/cluster.ts';
import { longRun } from '../support/long-run.ts';
import { boundedEgress, setUp, soakBudgets, soakLimits } from './bounded-egress.ts';

const rounds = Number(process.argv[2] ?? 40);
await longRun(async (t) => {
  const cluster = await Cluster.start(t, { edges: 3, wardens: 2, budgets: soakBudgets, limits: soakLimits });
  const setting = await setUp(cluster);
  const honest = await boundedEgress(setting, rounds, undefined, 0);
  process.stdout.write(`clients: ${JSON.stringify(honest)}\n`);
  await cluster.stopEdge('p3');
  const lying = await boundedEgress(setting, Math.ceil(rounds / 2), 'p3', honest.cap);
  process.stdout.write(`lying edge: ${JSON.stringify(lying)}\n`);
  const violations = honest.violations + lying.violations;
  process.stdout.write(
    `${JSON.stringify({
      rounds: honest.rounds + lying.rounds,
      violations,
      maxReceived: lying.maxReceived,
      cap: lying.cap,
      minRecorded: lying.minRecorded,
      minSurplus: Math.min(honest.minSurplus, lying.minSurplus),
      kills: honest.kills + lying.kills,
    })}\n`,
  );
  return violations === 0;
});
