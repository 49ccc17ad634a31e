// Owns: `npm run soak:edge-walk -- MINUTES [SEED] [on]`: the walk for long. Its last line:
// {"calls","pairs","violations","otherPlaneWorstMs"}.
import { longRun } from '../support/long-run.ts';
import { Walk } from './play.ts';
import { Scene } from './scene.ts';

const minutes = Number(process.argv[2] ?? 10);
const seed = Number(process.argv[3] ?? Math.floor(Date.now() / 1000));
/** `on`: continues after a violation, without shrinking. */
const goesOn = process.argv[4] === 'on';
await longRun(async (t) => {
  const walk = await Walk.create(await Scene.start(t));
  const walked = await walk.play({ seed, untilMs: Date.now() + minutes * 60_000, goesOn });
  for (const one of walked.violations) process.stdout.write(`${one}\n`);
  process.stdout.write(`${JSON.stringify({ firstSeed: seed, seeds: walked.seeds, ...walked.notes })}\n`);
  const { calls, pairs, violations, otherPlaneWorstMs } = walked;
  process.stdout.write(`${JSON.stringify({ calls, pairs, violations: violations.length, otherPlaneWorstMs })}\n`);
  return violations.length === 0;
});
