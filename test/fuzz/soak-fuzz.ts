// Owns: `npm run soak:fuzz [minutes] [seed]`: the same for long. Last line: JSON {minutes, seed, rounds, faults}.
import { longRun } from '../support/long-run.ts';
import { runFuzz } from './run-fuzz.ts';

const minutes = Number(process.argv[2] ?? 30);
const seed = Number(process.argv[3] ?? (Date.now() % 100_000) + 1);
await longRun(async (t) => {
  let rounds = 0;
  let faults = 0;
  await runFuzz(t, (minutes * 60) / 4, seed, (result) => {
    rounds += result.rounds;
    faults += result.faults.length;
    process.stdout.write(`${JSON.stringify(result)}\n`);
  });
  process.stdout.write(`${JSON.stringify({ minutes, seed, rounds, faults })}\n`);
  return faults === 0;
});
