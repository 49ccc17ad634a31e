// Owns: the long run of ledger-kills: `npm run soak:ledger [KILLS]`, 1,000 by default, about a quarter of an hour. The
// last line is JSON, the lines before say what the owner of the database did. The exit code is 1 on any violation, on a
// touch that was not found, and on one that was found later than ten times what the threat model says.
import { randomInt } from 'node:crypto';
import { longRun } from '../support/long-run.ts';
import { ledgerKills, ownersTurns } from './ledger-kills.ts';

/** Each touch once in a thousand kills. */
const turns = { every: Math.floor(1000 / ownersTurns), next: randomInt(ownersTurns) };
await longRun(async (t) => {
  const outcome = await ledgerKills(
    t,
    Number(process.argv[2] ?? 1000),
    10,
    turns,
    (line) => void process.stdout.write(line),
  );
  for (const fault of outcome.faults) process.stdout.write(`${fault}\n`);
  const { kills, falseAlarms, tampers, found, acknowledged, missing, twice, entries, checkpoints, byKind } = outcome;
  const { late, ...owner } = outcome.owner;
  process.stdout.write(`${JSON.stringify(byKind)}\n`);
  process.stdout.write(`${JSON.stringify({ owner })}\n`);
  process.stdout.write(
    `${JSON.stringify({ kills, falseAlarms, tampers, found, acknowledged, missing, twice, entries, checkpoints })}\n`,
  );
  return outcome.faults.length === 0 && found === tampers && owner.found === owner.mustFind && late === 0;
});
