// Owns: `npm run soak:fuzz [minutes] [seed]`: the same for long. Last line: JSON {minutes, seed, rounds, faults}.
import { runFuzz } from './run-fuzz.ts';

const minutes = Number(process.argv[2] ?? 30);
const seed = Number(process.argv[3] ?? (Date.now() % 100_000) + 1);
const endings: (() => unknown)[] = [];
let rounds = 0;
let faults = 0;
try {
  await runFuzz({ teardown: (work) => void endings.push(work) }, (minutes * 60) / 4, seed, (result) => {
    rounds += result.rounds;
    faults += result.faults.length;
    process.stdout.write(`${JSON.stringify(result)}\n`);
  });
} finally {
  for (const end of endings.reverse()) await end();
}
process.stdout.write(`${JSON.stringify({ minutes, seed, rounds, faults })}\n`);
process.exitCode = faults === 0 ? 0 : 1;
