// Owns: the long run of ledger-kills: `npm run soak:ledger [KILLS]`, 1,000 by default, about a quarter of an hour. Last line JSON; exit code 1 on any violation.
import { ledgerKills } from './ledger-kills.ts';

const outcome = await ledgerKills(Number(process.argv[2] ?? 1000), 10, (line) => void process.stdout.write(line));
for (const fault of outcome.faults) process.stdout.write(`${fault}\n`);
const { kills, falseAlarms, tampers, found, acknowledged, missing, twice, entries, checkpoints, byKind } = outcome;
process.stdout.write(`${JSON.stringify(byKind)}\n`);
process.stdout.write(`${JSON.stringify({ kills, falseAlarms, tampers, found, acknowledged, missing, twice, entries, checkpoints })}\n`);
process.exitCode = outcome.faults.length === 0 && found === tampers ? 0 : 1;
